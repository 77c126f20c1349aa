"""The portal's Web Feature Service (WFS): its requests and replies.

Nothing here parses GML, types features or proves them.
"""

from ods_pipeline.portal.wfs.capabilities import Capabilities, FeatureType
from ods_pipeline.portal.wfs.description import Property, StoredQuery
from ods_pipeline.portal.wfs.operations import VERSIONS, Method, Version, type_name
from ods_pipeline.portal.wfs.service import Wfs

__all__ = [
    "VERSIONS",
    "Capabilities",
    "FeatureType",
    "Method",
    "Property",
    "StoredQuery",
    "Version",
    "Wfs",
    "type_name",
]
