"""Reads a WFS operation with its parameters, from a query string or from an XML body.

Nothing is answered here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError, fromstring

from ods_pipeline.emulator.http.request import Request
from ods_pipeline.emulator.wfs.exception_report import (
    WfsError,
    invalid_parameter,
    missing_parameter,
)
from ods_pipeline.emulator.wfs.xml import LATEST, V1_1, VERSIONS, WfsVersion


@dataclass(frozen=True)
class TypeQuery:
    """A feature type and the properties requested of it: all where none is named."""

    type_name: str
    properties: tuple[str, ...] = ()


@dataclass(frozen=True)
class OperationRequest:
    """An operation with all its documented parameters; others are ignored."""

    name: str
    version: WfsVersion
    types: tuple[TypeQuery, ...] = ()
    sections: tuple[str, ...] = ()
    limit: int | None = None
    start: int = 0
    ids: tuple[str, ...] = ()
    hits: bool = False
    bbox: str = ""
    stored_query: str = ""


def from_parameters(request: Request, forced_version: str = "") -> OperationRequest:
    """Read the query string of a GET, whose names are in any case."""
    given = {name.lower(): value for name, value in request.pairs if value != ""}
    require_wfs(given.get("service"))
    operation = given.get("request")
    if operation is None:
        raise missing_parameter("request")
    version = VERSIONS[forced_version or requested_version(operation, given)]
    return OperationRequest(
        name=operation.lower(),
        version=version,
        types=_types_of_parameters(given),
        sections=comma_list(given.get("sections")),
        limit=whole_number(given.get(version.limit), version.limit),
        start=whole_number(given.get("startindex"), "startIndex", 0) or 0,
        ids=comma_list(given.get("featureid") or given.get("id") or given.get("resourceid")),
        hits=is_hits(given.get("resulttype")),
        bbox=given.get("bbox", "") if version.is_2_0 else "",
        stored_query=given.get("storedquery_id", "") if version.is_2_0 else "",
    )


def require_wfs(value: str | None) -> None:
    """Refuse a request that is not for the WFS."""
    if value is None or value.upper() != "WFS":
        raise invalid_parameter("service", "Service must be WFS or CSW.")


def requested_version(operation: str, given: Mapping[str, str]) -> str:
    """The version to answer in; the latest where none is named."""
    accepted = comma_list(given.get("acceptversions"))
    if operation.lower() == "getcapabilities" and accepted:
        return first_supported(accepted)
    version = given.get("version", LATEST)
    if version not in VERSIONS:
        raise invalid_parameter("version", f"Version {version} is not supported.")
    return version


def first_supported(accepted: Sequence[str], supported: Collection[str] = VERSIONS) -> str:
    """The first accepted version that is supported."""
    for version in accepted:
        if version in supported:
            return version
    text = f"None of the versions {', '.join(accepted)} is supported."
    raise WfsError("VersionNegotiationFailed", "AcceptVersions", text)


def comma_list(text: str | None) -> tuple[str, ...]:
    """The items of a comma-separated list."""
    return tuple(item.strip() for item in (text or "").split(",") if item.strip())


def whole_number(text: str | None, name: str, minimum: int = 1) -> int | None:
    """A whole number, where one is given."""
    if text is None:
        return None
    if not text.isdecimal() or int(text) < minimum:
        raise invalid_parameter(name, f"{name} must be a positive integer.")
    return int(text)


def is_hits(text: str | None) -> bool:
    """Whether only the count is requested."""
    kind = (text or "results").lower()
    if kind not in ("results", "hits"):
        raise invalid_parameter("resultType", "resultType must be results or hits.")
    return kind == "hits"


def _types_of_parameters(given: Mapping[str, str]) -> tuple[TypeQuery, ...]:
    """Documented with and without an s, in both versions."""
    types = comma_list(given.get("typename") or given.get("typenames"))
    text = given.get("propertyname") or given.get("propertynames") or ""
    groups = text.strip("()").split(")(")
    if len(groups) == 1:
        groups *= len(types)
    if len(groups) != len(types) and types:
        raise invalid_parameter(
            "propertyName", "There must be one list of properties for each type."
        )
    return tuple(TypeQuery(t, comma_list(g)) for t, g in zip(types, groups, strict=False))


def from_body(request: Request, forced_version: str = "") -> OperationRequest:
    """Read the body of a POST, as documented for 1.1.0; 2.0.0 has only GET."""
    root = _parsed_body(request)
    require_wfs(root.get("service"))
    version = root.get("version", V1_1.number)
    operation = _local_name(root).lower()
    if operation == "getcapabilities":
        # POST is there in one version alone, so that is the first one that can be given.
        version = first_supported(_texts_of(root, "Version") or (V1_1.number,), {V1_1.number})
    if version != V1_1.number:
        raise invalid_parameter("version", "POST is only supported with version 1.1.0.")
    return OperationRequest(
        name=operation,
        version=VERSIONS[forced_version or version],
        types=tuple(_types_of_body(root)),
        sections=_texts_of(root, "Section"),
        limit=whole_number(root.get("maxFeatures"), "maxFeatures"),
        ids=tuple(_ids_of_body(root)),
        hits=is_hits(root.get("resultType")),
    )


def _ids_of_body(root: Element) -> Iterator[str]:
    """Identifiers in filters, in both forms of OGC. UNCERTAIN: portals document no filter."""
    for item in root.iter():
        if _local_name(item) in {"FeatureId", "GmlObjectId"}:
            yield from item.attrib.values()


def _parsed_body(request: Request) -> Element:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "text/xml":
        raise invalid_parameter("Content-Type", "The Content-Type of a POST must be text/xml.")
    try:
        return fromstring(request.body)  # noqa: S314 - loopback, and expat bounds entities itself
    except ParseError as error:
        raise WfsError("NoApplicableCode", "", f"The request is not XML: {error}.") from None


def _local_name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _texts_of(root: Element, name: str) -> tuple[str, ...]:
    found = (e.text for e in root.iter() if _local_name(e) == name)
    return tuple(text.strip() for text in found if text and text.strip())


def _types_of_body(root: Element) -> Iterator[TypeQuery]:
    for name in _texts_of(root, "TypeName"):
        yield TypeQuery(name)
    for query in (e for e in root.iter() if _local_name(e) == "Query"):
        for name in comma_list(query.get("typeName")):
            yield TypeQuery(name, _texts_of(query, "PropertyName"))
