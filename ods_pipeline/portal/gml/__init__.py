"""GML as rows: feature collections of GML 2, 3.1.1 and 3.2, read whole or not at all.

`Collection` reads a stream batch by batch in flat memory; `read_gml` makes a GeoDataFrame of a
document at hand. Nothing here fetches anything, neither documents nor what they link to.
"""

from __future__ import annotations

from ods_pipeline.portal.gml.batches import Declared, FeatureBatch, Geometries
from ods_pipeline.portal.gml.collection import Collection, hits_in
from ods_pipeline.portal.gml.frame import read_gml
from ods_pipeline.portal.gml.geometry.axes import AxisOrder

__all__ = [
    "AxisOrder",
    "Collection",
    "Declared",
    "FeatureBatch",
    "Geometries",
    "hits_in",
    "read_gml",
]
