"""Builds the requests of a WFS, as parameters or XML bodies, in the documented forms.

Nothing here sends them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


#: Properties to return: of one type, or of each by its name.
Properties = Sequence[str] | Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class GetFeature:
    """A request for features.

    Attributes:
        types: Feature types, with their prefixes, and the names of the properties to return of
            each; all where none is named.
        max_features: Maximum number; all without it. A portal may cap requests with a number.
        feature_id: Identifiers of single features.
        bbox: West, south, east and north in degrees.
        hits: Whether to request only their number.
    """

    types: Mapping[str, Sequence[str]]
    max_features: int | None = None
    feature_id: Sequence[str] = ()
    bbox: Bounds | None = None
    hits: bool = False


def types_of(names: str | Sequence[str], properties: Properties = ()) -> dict[str, Sequence[str]]:
    """Feature types with the properties to return of each.

    Args:
        names: Identifiers of datasets, or feature types with prefixes.
        properties: Names of properties of the only type, or of some types by their names.

    Raises:
        ConfigurationError: There is no type, or it is not said which one has the properties.
    """
    types = [type_name(name) for name in ([names] if isinstance(names, str) else names)]
    if not types:
        raise ConfigurationError("name at least one feature type")
    if isinstance(properties, Mapping):
        given = {type_name(name): listed for name, listed in properties.items()}
        strange = [name for name in given if name not in types]
        if strange:
            raise ConfigurationError(f"properties are named of {strange[0]!r}, which is not asked")
        return {name: given.get(name, ()) for name in types}
    if properties and len(types) > 1:
        raise ConfigurationError(
            f"{len(types)} feature types are asked for: give properties by type, such as "
            f"{{{types[0]!r}: {list(properties)!r}}}"
        )
    return dict.fromkeys(types, properties)


def address(base: str, version: Version, request: str, parameters: dict[str, str]) -> str:
    """The URL of a request by GET, always with the version."""
    known = {"service": "WFS", "version": version, "request": request}
    return f"{base}{_PATH}?{urlencode({**known, **parameters}, safe=':/,')}"


def endpoint(base: str) -> str:
    """The URL that XML bodies are posted to."""
    return f"{base}{_PATH}"


def get_capabilities(versions: Sequence[str], sections: Sequence[str]) -> dict[str, str]:
    """Parameters of GetCapabilities; the best version is first."""
    wanted = {"sections": ",".join(sections)} if sections else {}
    return {"AcceptVersions": ",".join(versions), **wanted}


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
    parameters = {"typeNames" if modern else "typeName": ",".join(query.types)}
    if any(query.types.values()):
        lists = [_properties(name, listed, modern) for name, listed in query.types.items()]
        several = len(lists) > 1
        # Several types have a list each, in brackets, as OGC's documents have it.
        parameters["propertyName"] = "".join(f"({each})" for each in lists) if several else lists[0]
    if query.max_features is not None:
        parameters["count" if modern else "maxFeatures"] = str(query.max_features)
    if query.feature_id:
        parameters["featureId"] = ",".join(query.feature_id)
        if modern:
            # Portals document 1.1.0's name for 2.0.0 too, which OGC's documents call otherwise.
            parameters["resourceId"] = parameters["featureId"]
    if query.bbox:
        if not modern:
            raise ConfigurationError("WFS 1.1.0 of a portal has no bbox; use version 2.0.0 for it")
        west, south, east, north = query.bbox
        corners = ",".join(map(repr, (south, west, north, east)))
        parameters["bbox"] = f"{corners},urn:ogc:def:crs:EPSG::4326"
    if query.hits:
        parameters["resultType"] = "hits"
    return parameters


def _properties(name: str, listed: Sequence[str], modern: bool) -> str:
    """1.1.0 documents `ods:dataset/field`, 2.0.0 the bare field."""
    lead = "" if modern else f"{name}/"
    return ",".join(lead + each for each in listed) or "*"


def capabilities_body(versions: Sequence[str], sections: Sequence[str]) -> bytes:
    """GetCapabilities as XML; its root is in the namespace of OWS, as in the documentation."""
    accepted = "".join(f"<Version>{escape(version)}</Version>" for version in versions)
    wanted = "".join(f"<Section>{escape(name)}</Section>" for name in sections)
    return _xml(
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<GetCapabilities xmlns="http://www.opengis.net/ows" xmlns:ows="http://www.opengis.net/ows"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        ' xsi:schemaLocation="http://www.opengis.net/ows fragmentGetCapabilitiesRequest.xsd"'
        ' service="WFS">',
        f"<AcceptVersions>{accepted}</AcceptVersions>",
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

    Identifiers are a filter of OGC's, which portals do not document; a box is of 2.0.0 alone.
    """
    most = "" if query.max_features is None else f' maxFeatures="{query.max_features}"'
    kind = ' resultType="hits"' if query.hits else ""
    return _xml(
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<wfs:GetFeature service="WFS" version="1.1.0"{most}{kind}'
        ' xmlns:wfs="http://www.opengis.net/wfs" xmlns:ogc="http://www.opengis.net/ogc"'
        f' xmlns:myns="http://www.someserver.com/myns" {_SCHEMA}>',
        *(
            line
            for name, properties in query.types.items()
            for line in _query(name, properties, query.feature_id)
        ),
        "</wfs:GetFeature>",
    )


def _query(name: str, properties: Sequence[str], ids: Sequence[str]) -> list[str]:
    chosen = "".join(f"<ogc:FeatureId fid={quoteattr(each)}/>" for each in ids)
    return [
        f"<wfs:Query typeName={quoteattr(name)}>",
        *(f"<wfs:PropertyName>{escape(each)}</wfs:PropertyName>" for each in properties),
        f"<ogc:Filter>{chosen}</ogc:Filter>" if chosen else "",
        "</wfs:Query>",
    ]


def _xml(*lines: str) -> bytes:
    return "\n".join(line for line in lines if line).encode()
