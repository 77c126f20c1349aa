"""JSON, JSON Lines and GeoJSON exports, streamed, with the values of ``records``.

Other JSON replies do not belong here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from ods_pipeline.emulator.datasets.geometry import project_geojson
from ods_pipeline.emulator.datasets.store import Store
from ods_pipeline.emulator.explore.query import Query, json_rows
from ods_pipeline.emulator.http.request import Request

ROWS_PER_PIECE = 500


def array(store: Store, query: Query, request: Request) -> Iterator[bytes]:
    """One line: ``[{…},{…}]``."""
    rows = json_rows(store, query, request.timezone)
    return _pieces(b"[", map(json.dumps, rows), ",", b"]")


def lines(store: Store, query: Query, request: Request) -> Iterator[bytes]:
    """One object per line."""
    rows = json_rows(store, query, request.timezone)
    return _pieces(b"", (json.dumps(row) + "\n" for row in rows), "", b"")


def features(store: Store, query: Query, request: Request) -> Iterator[bytes]:
    """A FeatureCollection: the primary geometry, the other fields as properties."""
    geo = geometry_field(query)
    epsg = request.integer("epsg", 4326, 1)
    shapes = [c.name for c in query.columns if c.type == "geo_shape"]
    rows = json_rows(store, query, request.timezone)

    def features() -> Iterator[str]:
        for row in rows:
            geometry = _geometry(row.get(geo)) if geo else None
            kept = {k: _property(v) for k, v in row.items() if k != geo and k not in shapes}
            geometry = project_geojson(geometry, epsg) if geometry else None
            feature = {"type": "Feature", "geometry": geometry, "properties": kept}
            yield json.dumps(feature)

    head = b'{"type":"FeatureCollection", "features": [\n'
    return _pieces(head, features(), ",\n", b"\n]}")


def geometry_field(query: Query) -> str | None:
    """The name of the geometry field: a shape before a point."""
    for kind in ("geo_shape", "geo_point_2d"):
        for column in query.columns:
            if column.type == kind:
                return column.name
    return None


def _property(value: Any) -> Any:
    """A point that is not the geometry is written latitude first, as in CSV."""
    if isinstance(value, dict) and value.keys() == {"lon", "lat"}:
        return f"{value['lat']}, {value['lon']}"
    return value


def _geometry(value: Any) -> dict[str, Any] | None:
    if not value:
        return None
    if "lon" in value:
        return {"type": "Point", "coordinates": [value["lon"], value["lat"]]}
    geometry: dict[str, Any] = value["geometry"]
    return geometry


def _pieces(head: bytes, texts: Iterable[str], separator: str, tail: bytes) -> Iterator[bytes]:
    source = iter(texts)
    yield head
    first = True
    while piece := list(islice(source, ROWS_PER_PIECE)):
        yield ("" if first else separator).encode() + separator.join(piece).encode()
        first = False
    yield tail
