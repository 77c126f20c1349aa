"""The documented XML bodies of 1.1.0 as the same question; 2.0.0 is only asked by GET."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError, fromstring

from ods_pipeline.emulator.http.request import Request
from ods_pipeline.emulator.wfs.exception_report import Refused, invalid
from ods_pipeline.emulator.wfs.operation_request import (
    Asked,
    LandingRequest,
    hits,
    listed,
    negotiated,
    positive,
    service,
)
from ods_pipeline.emulator.wfs.xml import DIALECTS, OLD


def of_body(request: Request, stubborn: str = "") -> Asked:
    """From the body of a POST."""
    root = _document(request)
    service(root.get("service"))
    version = root.get("version", OLD.version)
    operation = _local(root).lower()
    if operation == "getcapabilities":
        version = negotiated(_texts(root, "Version") or (OLD.version,))
    if version != OLD.version:
        raise invalid("version", "POST is only supported with version 1.1.0.")
    return Asked(
        operation=operation,
        dialect=DIALECTS[stubborn or version],
        wanted=tuple(_wanted(root)),
        sections=_texts(root, "Section"),
        limit=positive(root.get("maxFeatures"), "maxFeatures"),
        hits=hits(root.get("resultType")),
    )


def _document(request: Request) -> Element:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "text/xml":
        raise invalid("Content-Type", "The Content-Type of a POST must be text/xml.")
    try:
        return fromstring(request.body)  # noqa: S314 - loopback, and expat bounds entities itself
    except ParseError as error:
        raise Refused("NoApplicableCode", "", f"The request is not XML: {error}.") from None


def _local(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _texts(root: Element, name: str) -> tuple[str, ...]:
    found = (e.text for e in root.iter() if _local(e) == name)
    return tuple(text.strip() for text in found if text and text.strip())


def _wanted(root: Element) -> Iterator[LandingRequest]:
    for name in _texts(root, "TypeName"):
        yield LandingRequest(name)
    for query in (e for e in root.iter() if _local(e) == "Query"):
        for name in listed(query.get("typeName")):
            yield LandingRequest(name, _texts(query, "PropertyName"))
