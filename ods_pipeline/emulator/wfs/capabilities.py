"""GetCapabilities: what the service is, what it can do and which types it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ods_pipeline.emulator.datasets.dataset import Dataset
from ods_pipeline.emulator.datasets.state import State
from ods_pipeline.emulator.http.request import Request
from ods_pipeline.emulator.quirks import WfsQuirks
from ods_pipeline.emulator.wfs.exception_report import invalid
from ods_pipeline.emulator.wfs.feature_types import PREFIX, layers
from ods_pipeline.emulator.wfs.gml_geometries import SRS
from ods_pipeline.emulator.wfs.operation_request import Asked
from ods_pipeline.emulator.wfs.tags import tag, text
from ods_pipeline.emulator.wfs.xml import DIALECTS, PATH, PROLOGUE, XSI, Dialect, namespace

OPERATIONS = ("GetCapabilities", "DescribeFeatureType", "GetFeature")
STORED = ("ListStoredQueries", "DescribeStoredQueries")
WORLD = (-180.0, -90.0, 180.0, 90.0)
SECTIONS = ("ServiceIdentification", "ServiceProvider", "OperationsMetadata", "FeatureTypeList")
MODERN_SECTIONS = (*SECTIONS, "Languages", "Filter_Capabilities")


def capabilities(request: Request, state: State, asked: Asked) -> list[bytes]:
    """The whole document, or the sections asked for."""
    dialect = asked.dialect
    wanted = _sections(asked)
    written: dict[str, Callable[[], str]] = {
        "ServiceIdentification": lambda: _service(dialect),
        "ServiceProvider": lambda: _provider(request),
        "OperationsMetadata": lambda: _operations(request, dialect, state.quirks.wfs),
        "FeatureTypeList": lambda: _types(state, dialect),
        "Languages": lambda: tag("ows:Languages", tag("ows:Language", "en")),
        "Filter_Capabilities": lambda: _filters(dialect),
    }
    names = {
        "xmlns__wfs": dialect.wfs,
        "xmlns__ows": dialect.ows,
        "xmlns__gml": dialect.gml,
        "xmlns__fes" if dialect.modern else "xmlns__ogc": dialect.filters,
        "xmlns__ods": namespace(request.base),
        "xmlns__xlink": "http://www.w3.org/1999/xlink",
        "xmlns__xsi": XSI,
        "xsi__schemaLocation": f"{dialect.wfs} {dialect.wfs_schema}",
        "version": dialect.version,
    }
    inner = [make() for name, make in written.items() if name.lower() in wanted]
    return [(PROLOGUE + tag("wfs:WFS_Capabilities", *inner, **names) + "\n").encode()]


def _sections(asked: Asked) -> set[str]:
    """Lower case names; 1.1.0 always has its filters when everything is asked for."""
    documented = MODERN_SECTIONS if asked.dialect.modern else SECTIONS
    if not asked.sections or "all" in map(str.lower, asked.sections):
        return {name.lower() for name in MODERN_SECTIONS} - (
            set() if asked.dialect.modern else {"languages"}
        )
    known = {name.lower() for name in documented}
    for name in asked.sections:
        if name.lower() not in known:
            raise invalid("Sections", f"Section {name} does not exist.")
    return {name.lower() for name in asked.sections}


def _service(dialect: Dialect) -> str:
    versions = sorted(DIALECTS, reverse=True) if dialect.modern else [dialect.version]
    return tag(
        "ows:ServiceIdentification",
        tag("ows:Title", "Emulated portal"),
        tag("ows:ServiceType", "WFS"),
        *(tag("ows:ServiceTypeVersion", version) for version in versions),
    )


def _provider(request: Request) -> str:
    return tag(
        "ows:ServiceProvider",
        tag("ows:ProviderName", "Emulated portal"),
        tag("ows:ProviderSite", xlink__href=request.base),
        tag("ows:ServiceContact"),
    )


def _operations(request: Request, dialect: Dialect, quirks: WfsQuirks) -> str:
    names = OPERATIONS + (STORED if dialect.modern else ())
    service = {"service": ("WFS",), "version": tuple(DIALECTS)}
    paging = "TRUE" if quirks.page else "FALSE"
    constraints = {"KVPEncoding": "TRUE", "ImplementsResultPaging": paging}
    return tag(
        "ows:OperationsMetadata",
        *(_operation(request, dialect, name) for name in names),
        *(_values("Parameter", name, values) for name, values in service.items()),
        *(_constraint(k, v) for k, v in constraints.items() if dialect.modern),
    )


def _operation(request: Request, dialect: Dialect, name: str) -> str:
    address = request.base + PATH
    methods = [tag("ows:Get", xlink__href=address)]
    methods += [] if dialect.modern else [tag("ows:Post", xlink__href=address)]
    parameters: dict[str, tuple[str, ...]] = {}
    if name == "GetCapabilities":
        sections = MODERN_SECTIONS if dialect.modern else SECTIONS
        parameters = {"AcceptVersions": tuple(DIALECTS), "Sections": sections}
    if name == "GetFeature":
        parameters = {"resultType": ("results", "hits")}
    told = (_values("Parameter", key, values) for key, values in parameters.items())
    return tag("ows:Operation", tag("ows:DCP", tag("ows:HTTP", *methods)), *told, name=name)


def _values(kind: str, name: str, values: tuple[str, ...]) -> str:
    listed = "".join(tag("ows:Value", text(value)) for value in values)
    return tag(f"ows:{kind}", listed, name=name)


def _constraint(name: str, value: str) -> str:
    default = tag("ows:DefaultValue", value)
    return tag("ows:Constraint", tag("ows:NoValues"), default, name=name)


def _types(state: State, dialect: Dialect) -> str:
    types = (_type(dataset, dialect, state.quirks.wfs) for dataset in layers(state))
    return tag("wfs:FeatureTypeList", *types)


def _type(dataset: Dataset, dialect: Dialect, quirks: WfsQuirks) -> str:
    metas = dataset.metas["default"]
    srs = SRS[quirks.srs][0] or SRS["urn"][0]
    west, south, east, north = extent(metas.get("bbox"))
    keywords = [tag("ows:Keyword", text(word)) for word in metas.get("keyword") or ()]
    return tag(
        "wfs:FeatureType",
        tag("wfs:Name", text(PREFIX + dataset.dataset_id)),
        tag("wfs:Title", text(metas.get("title") or dataset.dataset_id)),
        *([tag("wfs:Abstract", text(metas["description"]))] if metas.get("description") else []),
        *([tag("ows:Keywords", *keywords)] if keywords else []),
        tag(f"wfs:Default{dialect.crs}", srs),
        tag(
            "ows:WGS84BoundingBox",
            tag("ows:LowerCorner", f"{west} {south}"),
            tag("ows:UpperCorner", f"{east} {north}"),
        ),
    )


def extent(bbox: Any) -> tuple[float, float, float, float]:
    """The bounds of a declared box, longitude first; the world where none is declared."""
    positions = list(_positions((bbox or {}).get("geometry", {}).get("coordinates") or []))
    if not positions:
        return WORLD
    longitudes, latitudes = zip(*positions, strict=True)
    return min(longitudes), min(latitudes), max(longitudes), max(latitudes)


def _positions(part: list[Any]) -> Iterator[tuple[float, float]]:
    if part and isinstance(part[0], (int, float)):
        yield part[0], part[1]
        return
    for piece in part:
        yield from _positions(piece)


def _filters(dialect: Dialect) -> str:
    """No filter is supported: the least that a schema allows."""
    if not dialect.modern:
        ids = tag("ogc:Id_Capabilities", tag("ogc:FID"))
        operators = tag("ogc:Scalar_Capabilities")
        return tag("ogc:Filter_Capabilities", operators, ids)
    names = ("ImplementsQuery", "ImplementsAdHocQuery", "ImplementsFunctions")
    constraints = (
        tag(
            "fes:Constraint",
            tag("ows:NoValues"),
            tag("ows:DefaultValue", "TRUE" if name == "ImplementsQuery" else "FALSE"),
            name=name,
        )
        for name in names
    )
    return tag("fes:Filter_Capabilities", tag("fes:Conformance", *constraints))
