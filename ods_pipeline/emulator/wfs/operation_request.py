"""What a request asks, whether it came as parameters or as a document; nothing is answered here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ods_pipeline.emulator.http.request import Request
from ods_pipeline.emulator.wfs.exception_report import Refused, invalid, missing
from ods_pipeline.emulator.wfs.xml import DIALECTS, LATEST, Dialect


@dataclass(frozen=True)
class LandingRequest:
    """One feature type and the properties wanted of it: none named is all."""

    type_name: str
    properties: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asked:
    """One operation with everything documented for it; the rest was ignored."""

    operation: str
    dialect: Dialect
    wanted: tuple[LandingRequest, ...] = ()
    sections: tuple[str, ...] = ()
    limit: int | None = None
    start: int = 0
    ids: tuple[str, ...] = ()
    hits: bool = False
    bbox: str = ""
    stored_query: str = ""


def of_parameters(request: Request, stubborn: str = "") -> Asked:
    """From the query of a GET: names in any case, those not documented ignored."""
    given = {name.lower(): value for name, value in request.pairs if value != ""}
    service(given.get("service"))
    operation = given.get("request")
    if operation is None:
        raise missing("request")
    dialect = DIALECTS[stubborn or chosen(operation, given)]
    return Asked(
        operation=operation.lower(),
        dialect=dialect,
        wanted=_wanted(given),
        sections=listed(given.get("sections")),
        limit=positive(given.get(dialect.limit), dialect.limit),
        start=positive(given.get("startindex"), "startIndex", 0) or 0,
        ids=listed(given.get("featureid") or given.get("id") or given.get("resourceid")),
        hits=hits(given.get("resulttype")),
        bbox=given.get("bbox", "") if dialect.modern else "",
        stored_query=given.get("storedquery_id", "") if dialect.modern else "",
    )


def service(value: str | None) -> None:
    """Refuse what is not addressed to the WFS."""
    if value is None or value.upper() != "WFS":
        raise invalid("service", "Service must be WFS or CSW.")


def chosen(operation: str, given: Mapping[str, str]) -> str:
    """The version to answer in; the latest where none is named."""
    accepted = listed(given.get("acceptversions"))
    if operation.lower() == "getcapabilities" and accepted:
        return negotiated(accepted)
    version = given.get("version", LATEST)
    if version not in DIALECTS:
        raise invalid("version", f"Version {version} is not supported.")
    return version


def negotiated(accepted: Sequence[str]) -> str:
    """The first acceptable version that is spoken here."""
    for version in accepted:
        if version in DIALECTS:
            return version
    text = f"None of the versions {', '.join(accepted)} is supported."
    raise Refused("VersionNegotiationFailed", "AcceptVersions", text)


def listed(text: str | None) -> tuple[str, ...]:
    """The items of a comma list."""
    return tuple(item.strip() for item in (text or "").split(",") if item.strip())


def positive(text: str | None, name: str, least: int = 1) -> int | None:
    """A whole number, where one is given."""
    if text is None:
        return None
    if not text.isdecimal() or int(text) < least:
        raise invalid(name, f"{name} must be a positive integer.")
    return int(text)


def hits(text: str | None) -> bool:
    """Whether only the count is wanted."""
    kind = (text or "results").lower()
    if kind not in ("results", "hits"):
        raise invalid("resultType", "resultType must be results or hits.")
    return kind == "hits"


def _wanted(given: Mapping[str, str]) -> tuple[LandingRequest, ...]:
    """Documented with and without an s, in both versions."""
    types = listed(given.get("typename") or given.get("typenames"))
    text = given.get("propertyname") or given.get("propertynames") or ""
    groups = text.strip("()").split(")(")
    if len(groups) == 1:
        groups *= len(types)
    if len(groups) != len(types) and types:
        raise invalid("propertyName", "There must be one list of properties for each type.")
    return tuple(LandingRequest(t, listed(g)) for t, g in zip(types, groups, strict=False))
