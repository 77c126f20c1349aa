"""The XML names of WFS 1.1.0 and 2.0.0, and small documents made of elements.

Nothing of datasets belongs here; large collections are streamed and not made of these elements.
"""

from __future__ import annotations

from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

WFS_PATH = "/api/wfs"
XML_TYPE = "text/xml; charset=utf-8"
XML_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
XSI_NAMESPACE = "http://www.w3.org/2001/XMLSchema-instance"
SCHEMAS = "http://schemas.opengis.net"


@dataclass(frozen=True)
class WfsVersion:
    """The names and namespaces of one version."""

    number: str
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
    def is_2_0(self) -> bool:
        """Whether this is 2.0.0."""
        return self.number == "2.0.0"


V1_1 = WfsVersion(
    number="1.1.0",
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
V2_0 = WfsVersion(
    number="2.0.0",
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
VERSIONS = {"1.1.0": V1_1, "2.0.0": V2_0}
LATEST = "2.0.0"


def namespace(base: str) -> str:
    """The namespace of a portal's properties: its own address, never a common one."""
    return f"{base}{WFS_PATH}/featuretype"


def xml_text(value: object) -> str:
    """A value as the text of an element."""
    return escape(str(value))


def tag(element: str, /, *inner: str, **attributes: str) -> str:
    """An element; in the names of attributes a double underscore is a colon."""
    written = "".join(f" {k.replace('__', ':')}={quoteattr(v)}" for k, v in attributes.items())
    return (
        f"<{element}{written}>{''.join(inner)}</{element}>" if inner else f"<{element}{written}/>"
    )
