"""What WFS 1.1.0 and 2.0.0 call things; nothing here knows of datasets."""

from __future__ import annotations

from dataclasses import dataclass

PATH = "/api/wfs"
XML = "text/xml; charset=utf-8"
PROLOGUE = '<?xml version="1.0" encoding="UTF-8"?>\n'
XSI = "http://www.w3.org/2001/XMLSchema-instance"
SCHEMAS = "http://schemas.opengis.net"


@dataclass(frozen=True)
class Dialect:
    """The names of one version."""

    version: str
    wfs: str
    gml: str
    ows: str
    filters: str
    wfs_schema: str
    gml_schema: str
    feature_base: str
    crs: str
    type_name: str
    limit: str

    @property
    def modern(self) -> bool:
        """Whether this is 2.0.0."""
        return self.version == "2.0.0"


OLD = Dialect(
    version="1.1.0",
    wfs="http://www.opengis.net/wfs",
    gml="http://www.opengis.net/gml",
    ows="http://www.opengis.net/ows",
    filters="http://www.opengis.net/ogc",
    wfs_schema=f"{SCHEMAS}/wfs/1.1.0/wfs.xsd",
    gml_schema=f"{SCHEMAS}/gml/3.1.1/base/gml.xsd",
    feature_base="gml:_Feature",
    crs="SRS",
    type_name="typeName",
    limit="maxfeatures",
)
NEW = Dialect(
    version="2.0.0",
    wfs="http://www.opengis.net/wfs/2.0",
    gml="http://www.opengis.net/gml/3.2",
    ows="http://www.opengis.net/ows/1.1",
    filters="http://www.opengis.net/fes/2.0",
    wfs_schema=f"{SCHEMAS}/wfs/2.0/wfs.xsd",
    gml_schema=f"{SCHEMAS}/gml/3.2.1/gml.xsd",
    feature_base="gml:AbstractFeature",
    crs="CRS",
    type_name="typeNames",
    limit="count",
)
DIALECTS = {"1.1.0": OLD, "2.0.0": NEW}
LATEST = "2.0.0"


def namespace(base: str) -> str:
    """The namespace of a portal's properties: its own address, never a common one."""
    return f"{base}{PATH}/featuretype"
