"""A server's features as our reader gives them, and the truth as each server can tell it.

What a server loses before we see it is written down here, once per server.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import requests

from ods_pipeline.portal.gml import AxisOrder, Collection, Declared
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.wfs import Method, Version, Wfs
from ods_pipeline.tables.columns import typed
from tests.servers.wfs.bridge import PATH
from tests.servers.wfs.layers import FIELDS, Layer

Bounds = tuple[float, float, float, float]
_BEYOND = re.compile(r"[\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Read:
    """A collection, read to its end.

    Attributes:
        rows: Identifiers, the fields by their declared types, and the geometry.
        texts: The properties as text, untyped.
        crs: Of the geometry.
        declared: What the document says of itself.
        notes: What was decided about the order of coordinates.
    """

    rows: pa.Table
    texts: dict[str, list[object]]
    crs: set[str]
    declared: Declared
    notes: tuple[str, ...]


def read(
    chunks: Iterable[bytes],
    *,
    extent: Bounds | None = None,
    axis_order: AxisOrder = "auto",
    crs: str = "",
) -> Read:
    """Read a collection whose features have one geometry, whatever its name is."""
    collection = Collection(chunks, axis_order=axis_order, extent=extent, crs=crs)
    parts, texts, systems = [], dict[str, list[object]](), set[str]()
    for batch in collection:
        (shapes,) = batch.geometries.values()
        systems.add(shapes.crs)
        for name, column in batch.texts.items():
            texts.setdefault(name, []).extend(column.to_pylist())
        columns = {f.name: typed(batch.texts[f.name], f) for f in FIELDS}
        parts.append(pa.table({"gml_id": batch.ids, **columns, "geom": shapes.wkb}))
    return Read(
        pa.concat_tables(parts), texts, systems, collection.declared, tuple(collection.axis_notes)
    )


def read_layer(wfs: Wfs, layer: Layer, **how: Any) -> Read:
    """Read a layer as it is best read: with the extent that the server's capabilities state."""
    offered = wfs.capabilities().feature_type(layer.name)
    assert offered is not None
    with wfs.features(layer.name) as chunks:
        return read(chunks, extent=offered.bounds, **how)


def service(url: str, version: Version = "1.1.0", method: Method = "GET") -> Wfs:
    """Our client's view of a server."""
    return Wfs(Client(url), version, method=method)


def asked(url: str, **parameters: str) -> bytes:
    """A GetFeature that our client does not send, by somebody else's."""
    whole = {"service": "WFS", "request": "GetFeature", **parameters}
    reply = requests.get(url + PATH, whole, timeout=60)
    assert reply.ok, reply.text
    return reply.content


def truth(layer: Layer) -> pa.Table:
    """All rows of a layer; empty text is null, as in every partition."""
    rows = layer.table.add_column(0, "gml_id", [_ids(layer)])
    for name in ("name", "code"):
        rows = _mapped(rows, name, lambda text: text or None)
    return rows


def told_by_mapserver(layer: Layer) -> pa.Table:
    """MapServer leaves out what has no geometry, and cuts seconds and doubles short."""
    rows = truth(layer)
    rows = rows.filter(rows["geom"].is_valid())
    rows = _mapped(rows, "at", lambda at: at and at.replace(microsecond=0))
    largest = sys.float_info.max
    return _mapped(rows, "ratio", lambda ratio: ratio and min(float(f"{ratio:.15g}"), largest))


def told_by_qgis(layer: Layer) -> pa.Table:
    """QGIS Server drops characters beyond the basic plane, such as emoji."""
    return _mapped(truth(layer), "name", lambda text: text and _BEYOND.sub("", text))


def _ids(layer: Layer) -> pa.Array:
    refs = layer.table["ref"].cast(pa.string())
    return pc.binary_join_element_wise(layer.name, refs, ".").combine_chunks()


def _mapped(rows: pa.Table, name: str, change: Callable[[Any], object]) -> pa.Table:
    position, field = rows.schema.get_field_index(name), rows.schema.field(name)
    values = [change(value) for value in rows[name].to_pylist()]
    return rows.set_column(position, field, pa.array(values, field.type))
