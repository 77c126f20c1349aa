"""Reads feature collections of GML 2, 3.1.1 and 3.2, completely or not at all.

`Collection` reads a stream in batches, `read_gml` a document as a GeoDataFrame. Nothing here
fetches documents, or what they link to.
"""

from __future__ import annotations

from ods_pipeline.portal.gml.collection import Collection, FeatureBatch, Geometries, hits_in
from ods_pipeline.portal.gml.containers import Declared
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
