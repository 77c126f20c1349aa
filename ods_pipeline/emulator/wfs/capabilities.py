"""GetCapabilities: the service, its operations and its feature types.

The schema of a feature type does not belong here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ods_pipeline.emulator.datasets.dataset import Dataset
from ods_pipeline.emulator.datasets.state import State
from ods_pipeline.emulator.http.request import Request
from ods_pipeline.emulator.quirks import WfsQuirks
from ods_pipeline.emulator.wfs.exception_report import invalid_parameter
from ods_pipeline.emulator.wfs.feature_types import TYPE_PREFIX, feature_types
from ods_pipeline.emulator.wfs.gml_geometries import SRS
from ods_pipeline.emulator.wfs.operation_request import OperationRequest
from ods_pipeline.emulator.wfs.xml import (
    VERSIONS,
    WFS_PATH,
    XML_DECLARATION,
    XSI_NAMESPACE,
    WfsVersion,
    namespace,
    tag,
    xml_text,
)

OPERATIONS = ("GetCapabilities", "DescribeFeatureType", "GetFeature")
OPERATIONS_2_0 = ("ListStoredQueries", "DescribeStoredQueries")
WHOLE_WORLD = (-180.0, -90.0, 180.0, 90.0)
SECTIONS = ("ServiceIdentification", "ServiceProvider", "OperationsMetadata", "FeatureTypeList")
SECTIONS_2_0 = (*SECTIONS, "Languages", "Filter_Capabilities")


def get_capabilities(request: Request, state: State, operation: OperationRequest) -> list[bytes]:
    """The whole document, or the requested sections."""
    version = operation.version
    wanted = _sections(operation)
    written: dict[str, Callable[[], str]] = {
        "ServiceIdentification": lambda: _service(version),
        "ServiceProvider": lambda: _provider(request),
        "OperationsMetadata": lambda: _operations(request, version, state.quirks.wfs),
        "FeatureTypeList": lambda: _types(state, version),
        "Languages": lambda: tag("ows:Languages", tag("ows:Language", "en")),
        "Filter_Capabilities": lambda: _filters(version),
    }
    names = {
        "xmlns__wfs": version.wfs,
        "xmlns__ows": version.ows,
        "xmlns__gml": version.gml,
        "xmlns__fes" if version.is_2_0 else "xmlns__ogc": version.filters,
        "xmlns__ods": namespace(request.base),
        "xmlns__xlink": "http://www.w3.org/1999/xlink",
        "xmlns__xsi": XSI_NAMESPACE,
        "xsi__schemaLocation": f"{version.wfs} {version.wfs_schema}",
        "version": version.number,
    }
    inner = [make() for name, make in written.items() if name.lower() in wanted]
    return [(XML_DECLARATION + tag("wfs:WFS_Capabilities", *inner, **names) + "\n").encode()]


def _sections(operation: OperationRequest) -> set[str]:
    """Lower case names; 1.1.0 always has its filters when all sections are requested."""
    documented = SECTIONS_2_0 if operation.version.is_2_0 else SECTIONS
    if not operation.sections or "all" in map(str.lower, operation.sections):
        return {name.lower() for name in SECTIONS_2_0} - (
            set() if operation.version.is_2_0 else {"languages"}
        )
    known = {name.lower() for name in documented}
    for name in operation.sections:
        if name.lower() not in known:
            raise invalid_parameter("Sections", f"Section {name} does not exist.")
    return {name.lower() for name in operation.sections}


def _service(version: WfsVersion) -> str:
    versions = sorted(VERSIONS, reverse=True) if version.is_2_0 else [version.number]
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


def _operations(request: Request, version: WfsVersion, quirks: WfsQuirks) -> str:
    names = OPERATIONS + (OPERATIONS_2_0 if version.is_2_0 else ())
    service = {"service": ("WFS",), "version": tuple(VERSIONS)}
    paging = "TRUE" if quirks.page else "FALSE"
    constraints = {"KVPEncoding": "TRUE", "ImplementsResultPaging": paging}
    return tag(
        "ows:OperationsMetadata",
        *(_operation(request, version, name) for name in names),
        *(_values("Parameter", name, values) for name, values in service.items()),
        *(_constraint(k, v) for k, v in constraints.items() if version.is_2_0),
    )


def _operation(request: Request, version: WfsVersion, name: str) -> str:
    address = request.base + WFS_PATH
    methods = [tag("ows:Get", xlink__href=address)]
    methods += [] if version.is_2_0 else [tag("ows:Post", xlink__href=address)]
    parameters: dict[str, tuple[str, ...]] = {}
    if name == "GetCapabilities":
        sections = SECTIONS_2_0 if version.is_2_0 else SECTIONS
        parameters = {"AcceptVersions": tuple(VERSIONS), "Sections": sections}
    if name == "GetFeature":
        parameters = {"resultType": ("results", "hits")}
    described = (_values("Parameter", key, values) for key, values in parameters.items())
    return tag("ows:Operation", tag("ows:DCP", tag("ows:HTTP", *methods)), *described, name=name)


def _values(kind: str, name: str, values: tuple[str, ...]) -> str:
    listed = "".join(tag("ows:Value", xml_text(value)) for value in values)
    return tag(f"ows:{kind}", listed, name=name)


def _constraint(name: str, value: str) -> str:
    default = tag("ows:DefaultValue", value)
    return tag("ows:Constraint", tag("ows:NoValues"), default, name=name)


def _types(state: State, version: WfsVersion) -> str:
    types = (_type(dataset, version, state.quirks.wfs) for dataset in feature_types(state))
    return tag("wfs:FeatureTypeList", *types)


def _type(dataset: Dataset, version: WfsVersion, quirks: WfsQuirks) -> str:
    metas = dataset.metas["default"]
    srs = SRS[quirks.srs][0] or SRS["urn"][0]
    west, south, east, north = extent(metas.get("bbox"))
    keywords = [tag("ows:Keyword", xml_text(word)) for word in metas.get("keyword") or ()]
    return tag(
        "wfs:FeatureType",
        tag("wfs:Name", xml_text(TYPE_PREFIX + dataset.dataset_id)),
        tag("wfs:Title", xml_text(metas.get("title") or dataset.dataset_id)),
        *(
            [tag("wfs:Abstract", xml_text(metas["description"]))]
            if metas.get("description")
            else []
        ),
        *([tag("ows:Keywords", *keywords)] if keywords else []),
        tag(f"wfs:Default{version.crs}", srs),
        tag(
            "ows:WGS84BoundingBox",
            tag("ows:LowerCorner", f"{west} {south}"),
            tag("ows:UpperCorner", f"{east} {north}"),
        ),
    )


def extent(bbox: Any) -> tuple[float, float, float, float]:
    """The bounds of a declared bounding box, longitude first; else of the whole world."""
    positions = list(_positions((bbox or {}).get("geometry", {}).get("coordinates") or []))
    if not positions:
        return WHOLE_WORLD
    longitudes, latitudes = zip(*positions, strict=True)
    return min(longitudes), min(latitudes), max(longitudes), max(latitudes)


def _positions(part: list[Any]) -> Iterator[tuple[float, float]]:
    if part and isinstance(part[0], (int, float)):
        yield part[0], part[1]
        return
    for piece in part:
        yield from _positions(piece)


def _filters(version: WfsVersion) -> str:
    """No filter is supported: the least that a schema allows."""
    if not version.is_2_0:
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
