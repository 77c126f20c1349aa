"""Which PostgreSQL type a column of a landed file gets, and what its geometries are like.

Pure: Arrow in, names of types out. How values are written is the encoder's matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from ods_pipeline.errors import WarehouseError
from ods_pipeline.warehouse.landed import CRS84, Column
from ods_pipeline.warehouse.names import short

BYTEA, JSON, TEXT = "bytea", "jsonb", pa.string()
_ORDER_AND_TYPE = 5
# The flags of EWKB, and the thousands of ISO WKB.
_Z, _M = 0x80000000, 0x40000000
_DIMENSIONS = ("", "Z", "M", "ZM")


@dataclass(frozen=True)
class Target:
    """A column of a table.

    Attributes:
        name: Its name.
        kind: The Arrow type of its values.
        geometry: Whether they are geometries for PostGIS.
        srid: Reference system of the geometries, 0 where it is unknown.
        dimensions: Their dimensions beside the first two, `Z`, `M` or `ZM`; None where they differ,
            so that no single type has them.
    """

    name: str
    kind: pa.DataType
    geometry: bool = False
    srid: int = 0
    dimensions: str | None = ""

    @property
    def sql(self) -> str:
        """Its type, a geometry's without the schema that PostGIS is in."""
        if not self.geometry:
            return sql_type(self.kind, self.name)
        if self.dimensions is None or not (self.srid or self.dimensions):
            return "geometry"
        return f"geometry(Geometry{self.dimensions}{f',{self.srid}' if self.srid else ''})"


def targets(
    schema: pa.Schema, columns: Iterable[Column], *, wkb: bool = False
) -> tuple[Target, ...]:
    """The columns of a table, in the order of the file.

    Args:
        schema: The file's.
        columns: The partition's.
        wkb: Whether geometries stay bytes.

    Raises:
        WarehouseError: A column is of a type that PostgreSQL does not have.
    """
    made = [
        Target(column.name, _stored(field.type), column.geometry and not wkb, _srid(column.crs))
        for column, field in zip(columns, schema, strict=True)
    ]
    for target in made:
        target.sql  # noqa: B018 - refuses what has no type
    return tuple(made)


def like(found: Mapping[str, str], columns: Iterable[Target]) -> tuple[Target, ...]:
    """The columns with the dimensions that a table of these types has: most stay what they are."""
    return tuple(
        replace(column, dimensions=_dimensions_of(found.get(column.name, ""), column))
        for column in columns
    )


def sql_type(kind: pa.DataType, name: str) -> str:
    """The type of a column's values.

    Raises:
        WarehouseError: There is none.
    """
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if pa.types.is_struct(kind) or (is_list and pa.types.is_nested(kind.value_type)):
        return JSON
    if is_list:
        return f"{sql_type(kind.value_type, name)}[]"
    for is_kind, sql in _TYPES:
        if is_kind(kind):
            return sql
    if pa.types.is_timestamp(kind):
        return f"timestamp with{'' if kind.tz else 'out'} time zone"
    raise WarehouseError(
        f"the column {short(name)!r} is of the type {kind}, which PostgreSQL has no type for; give "
        "it another one with `types`"
    )


_TYPES: tuple[tuple[Any, str], ...] = (
    (pa.types.is_string, "text"),
    (pa.types.is_large_string, "text"),
    (pa.types.is_null, "text"),
    (pa.types.is_int64, "bigint"),
    (pa.types.is_float64, "double precision"),
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_date32, "date"),
    (pa.types.is_binary, BYTEA),
    (pa.types.is_large_binary, BYTEA),
)


def dimensions(column: pa.Array) -> frozenset[str]:
    """The dimensions beside the first two of all geometries of a column of WKB."""
    column = column.drop_null()
    if not len(column):
        return frozenset()
    heads = wkb_heads(column)
    kinds = wkb_types(heads)
    thousands = (kinds & 0x0FFFFFFF) // 1000
    z = ((kinds & _Z) != 0) | (thousands == 1) | (thousands == 3)
    m = ((kinds & _M) != 0) | (thousands == 2) | (thousands == 3)
    return frozenset(_DIMENSIONS[number] for number in np.unique(z + 2 * m))


def wkb_heads(column: pa.Array) -> np.ndarray[Any, Any]:
    """The first five bytes of each value of a column without nulls; zeros behind shorter ones."""
    wide = "<i8" if pa.types.is_large_binary(column.type) else "<i4"
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, wide)[column.offset : column.offset + len(column) + 1]
    text = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
    places = ends[:-1, np.newaxis] + np.arange(_ORDER_AND_TYPE)
    inside = places < ends[1:, np.newaxis]
    if inside.all():
        return text[places]
    heads = np.zeros(places.shape, np.uint8)
    heads[inside] = text[places[inside]]
    return heads


def wkb_types(heads: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The number of the type in the first bytes of WKB, in either order of bytes."""
    numbers = np.ascontiguousarray(heads[:, 1:])
    little, big = numbers.view("<u4").ravel(), numbers.view(">u4").ravel().astype("<u4")
    return np.where(heads[:, 0] == 1, little, big)


def _dimensions_of(kind: str, column: Target) -> str | None:
    if not column.geometry or not kind.startswith("geometry"):
        return column.dimensions
    found = re.match(r"geometry\(Geometry(Z|M|ZM)?\b", kind)
    return (found[1] or "") if found else None


def _srid(crs: str) -> int:
    authority, _, code = crs.partition(":")
    if crs == CRS84:
        # The order of axes is that of the numbers, as everywhere in PostGIS.
        return 4326
    return int(code) if authority == "EPSG" and code.isdecimal() and len(code) < 7 else 0


def _stored(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind
