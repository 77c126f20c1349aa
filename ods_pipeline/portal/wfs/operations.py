"""Builds the requests of a WFS, as parameters or XML bodies, in the documented forms.

Nothing here sends them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlencode
from xml.sax.saxutils import escape, quoteattr

from ods_pipeline.errors import ConfigurationError

Version = Literal["1.1.0", "2.0.0"]
VERSIONS: tuple[Version, ...] = ("1.1.0", "2.0.0")
Method = Literal["GET", "POST"]
Bounds = tuple[float, float, float, float]

_PATH = "/api/wfs"
_SCHEMA = (
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    ' xsi:schemaLocation="http://www.opengis.net/wfs ../wfs/1.1.0/WFS.xsd"'
)


def type_name(dataset_id: str) -> str:
    """The feature type of a dataset; a name with a colon stays as it is."""
    return dataset_id if ":" in dataset_id else f"ods:{dataset_id}"


@dataclass(frozen=True)
class GetFeature:
    """A request for features.

    Attributes:
        type_name: Feature type, with its prefix.
        properties: Names of the properties to return; all without it.
        max_features: Maximum number; all without it. A portal may cap requests with a number.
        feature_id: Identifiers of single features.
        bbox: West, south, east and north in degrees.
        hits: Whether to request only their number.
    """

    type_name: str
    properties: Sequence[str] = ()
    max_features: int | None = None
    feature_id: Sequence[str] = ()
    bbox: Bounds | None = None
    hits: bool = False


def address(base: str, version: Version, request: str, parameters: dict[str, str]) -> str:
    """The URL of a request by GET, always with the version."""
    known = {"service": "WFS", "version": version, "request": request}
    return f"{base}{_PATH}?{urlencode({**known, **parameters}, safe=':/,')}"


def endpoint(base: str) -> str:
    """The URL that XML bodies are posted to."""
    return f"{base}{_PATH}"


def get_capabilities(version: Version, sections: Sequence[str]) -> dict[str, str]:
    """Parameters of GetCapabilities."""
    wanted = {"sections": ",".join(sections)} if sections else {}
    return {"AcceptVersions": version, **wanted}


def describe_feature_type(version: Version, names: Sequence[str]) -> dict[str, str]:
    """Parameters of DescribeFeatureType; all types without names."""
    if not names:
        return {}
    joined = ",".join(names)
    # The documentation of 2.0.0 has one in its table and the other in its example.
    return {"typeName": joined} if version == "1.1.0" else {"typeNames": joined, "typeName": joined}


def get_feature(version: Version, query: GetFeature) -> dict[str, str]:
    """Parameters of GetFeature.

    Raises:
        ConfigurationError: The version does not have one of them.
    """
    modern = version != "1.1.0"
    parameters = {"typeNames" if modern else "typeName": query.type_name}
    if query.properties:
        # 1.1.0 documents `ods:dataset/field`, 2.0.0 the bare field.
        lead = "" if modern else f"{query.type_name}/"
        parameters["propertyName"] = ",".join(lead + name for name in query.properties)
    if query.max_features is not None:
        parameters["count" if modern else "maxFeatures"] = str(query.max_features)
    if query.feature_id:
        parameters["featureId"] = ",".join(query.feature_id)
    if query.bbox:
        if not modern:
            raise ConfigurationError("WFS 1.1.0 of a portal has no bbox; use version 2.0.0 for it")
        west, south, east, north = query.bbox
        corners = ",".join(map(repr, (south, west, north, east)))
        parameters["bbox"] = f"{corners},urn:ogc:def:crs:EPSG::4326"
    if query.hits:
        parameters["resultType"] = "hits"
    return parameters


def capabilities_body(version: Version, sections: Sequence[str]) -> bytes:
    """GetCapabilities as XML; its root is in the namespace of OWS, as in the documentation."""
    wanted = "".join(f"<Section>{escape(name)}</Section>" for name in sections)
    return _xml(
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<GetCapabilities xmlns="http://www.opengis.net/ows" xmlns:ows="http://www.opengis.net/ows"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        ' xsi:schemaLocation="http://www.opengis.net/ows fragmentGetCapabilitiesRequest.xsd"'
        ' service="WFS">',
        f"<AcceptVersions><Version>{version}</Version></AcceptVersions>",
        f"<Sections>{wanted}</Sections>" if wanted else "",
        "</GetCapabilities>",
    )


def describe_body(names: Sequence[str]) -> bytes:
    """DescribeFeatureType as XML."""
    return _xml(
        '<?xml version="1.0" ?>',
        '<DescribeFeatureType version="1.1.0" service="WFS" xmlns="http://www.opengis.net/wfs"'
        f" {_SCHEMA}>",
        *(f"<TypeName>{escape(name)}</TypeName>" for name in names),
        "</DescribeFeatureType>",
    )


def feature_body(query: GetFeature) -> bytes:
    """GetFeature as XML; here, names of properties have no prefix.

    Raises:
        ConfigurationError: The documented body cannot express the request.
    """
    if query.feature_id or query.bbox:
        raise ConfigurationError("featureId and bbox are parameters of GET; POST has neither")
    most = "" if query.max_features is None else f' maxFeatures="{query.max_features}"'
    kind = ' resultType="hits"' if query.hits else ""
    return _xml(
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<wfs:GetFeature service="WFS" version="1.1.0"{most}{kind}'
        ' xmlns:wfs="http://www.opengis.net/wfs" xmlns:ogc="http://www.opengis.net/ogc"'
        f' xmlns:myns="http://www.someserver.com/myns" {_SCHEMA}>',
        f"<wfs:Query typeName={quoteattr(query.type_name)}>",
        *(f"<wfs:PropertyName>{escape(name)}</wfs:PropertyName>" for name in query.properties),
        "</wfs:Query>",
        "</wfs:GetFeature>",
    )


def _xml(*lines: str) -> bytes:
    return "\n".join(line for line in lines if line).encode()
