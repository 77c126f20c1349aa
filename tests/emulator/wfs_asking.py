"""Asking an emulated portal's WFS, and taking its replies apart with the standard library alone.

Only what several of the WFS tests share.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pyogrio
import requests

from ods_pipeline.emulator import Emulator

DOCUMENTED = Path(__file__).parents[1] / "portal" / "wfs" / "recorded"
VERSIONS = ("1.1.0", "2.0.0")
WFS = {"1.1.0": "http://www.opengis.net/wfs", "2.0.0": "http://www.opengis.net/wfs/2.0"}
GML = {"1.1.0": "http://www.opengis.net/gml", "2.0.0": "http://www.opengis.net/gml/3.2"}
NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"


def wfs(portal: Emulator, operation: str, version: str = "1.1.0", **params: Any) -> Any:
    """GET an operation."""
    asked = {"service": "WFS", "version": version, "request": operation, **params}
    return requests.get(portal.url + "/api/wfs", params=asked, timeout=60)


def features(
    portal: Emulator, dataset_id: str, version: str = "1.1.0", **params: Any
) -> requests.Response:
    """GET the features of a dataset."""
    return wfs(portal, "GetFeature", version, typeName=f"ods:{dataset_id}", **params)


def post(portal: Emulator, body: bytes, kind: str = "text/xml") -> requests.Response:
    """POST a body."""
    headers = {"Content-Type": kind}
    return requests.post(portal.url + "/api/wfs", data=body, headers=headers, timeout=60)


def local(element: ET.Element) -> str:
    """The name without its namespace."""
    return element.tag.rpartition("}")[2]


def members(body: bytes) -> list[ET.Element]:
    """The features of a collection, whatever they are wrapped in."""
    root = ET.fromstring(body)
    wrappers = ("member", "featureMember", "featureMembers")
    return [feature for part in root if local(part) in wrappers for feature in part]


def ids(body: bytes) -> list[str | None]:
    """The ids of the features."""
    found = []
    for feature in members(body):
        names = [name for name in feature.attrib if name.endswith("}id")]
        found.append(feature.attrib[names[0]] if names else None)
    return found


def values(feature: ET.Element) -> dict[str, list[str | None]]:
    """The texts of the properties by name; geometries as the text of their positions."""
    found: dict[str, list[str | None]] = {}
    for part in feature:
        text = "".join(part.itertext()) if len(part) else part.text
        found.setdefault(local(part), []).append(text)
    return found


def refusal(reply: requests.Response) -> tuple[str | None, str | None, str | None]:
    """Code, locator and text of an exception report."""
    root = ET.fromstring(reply.content)
    assert root.tag == "{http://www.opengis.net/ows}ExceptionReport"
    return root[0].get("exceptionCode"), root[0].get("locator"), root[0][0].text


def by_gdal(body: bytes) -> Any:
    """The collection as GDAL reads it from memory, as a GeoDataFrame.

    It holds the interpreter while it reads: were it to ask this process for the schema, both would
    wait for ever.
    """
    return pyogrio.read_dataframe(io.BytesIO(body), DOWNLOAD_SCHEMA="NO")


def by_hand(feature: ET.Element, name: str) -> Any:
    """One geometry as GeoJSON, latitude first as the default has it, read to the last bit."""
    [part] = [part for part in feature if local(part) == name]
    return _geometry(part[0])


def _geometry(gml: ET.Element) -> Any:
    kind = local(gml)
    if kind == "MultiGeometry":
        return {"type": "GeometryCollection", "geometries": [_geometry(m[0]) for m in gml]}
    if kind.startswith("Multi"):
        return {"type": kind, "coordinates": [_geometry(m[0])["coordinates"] for m in gml]}
    found = _positions(gml) if kind != "Polygon" else [_positions(side) for side in gml]
    return {"type": kind, "coordinates": found[0] if kind == "Point" else found}


def _positions(gml: ET.Element) -> list[list[float]]:
    numbers = [float(text) for text in "".join(gml.itertext()).split()]
    return [[lon, lat] for lat, lon in zip(numbers[::2], numbers[1::2], strict=True)]


def publish_shapes(portal: Emulator, shapes: Sequence[Any], dataset_id: str = "shapes") -> None:
    """A dataset of GeoJSON geometries, and a number each."""
    fields = [{"name": "n", "type": "int"}, {"name": "shape", "type": "geo_shape"}]
    records = [{"n": n, "shape": shape} for n, shape in enumerate(shapes)]
    portal.publish(dataset_id, fields=fields, records=records)
