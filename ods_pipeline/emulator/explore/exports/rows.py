"""The rows of an export as one Arrow table, for formats that libraries write whole.

Formats that stream their rows do not need it; how a format is written is in its own file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

from ods_pipeline.emulator.datasets.dataset import Column
from ods_pipeline.emulator.datasets.formatting import text_value
from ods_pipeline.emulator.datasets.geometry import project_shapes
from ods_pipeline.emulator.datasets.store import Store
from ods_pipeline.emulator.explore.query import Query
from ods_pipeline.emulator.http.errors import api_error
from ods_pipeline.emulator.http.request import Request

GEO = ("geo_shape", "geo_point_2d")
#: What is written whole is held whole; portals have no such bound.
MOST = 200_000
NATIVE = {"int": pa.int64(), "double": pa.float64(), "boolean": pa.bool_()}


@dataclass(frozen=True)
class Rows:
    """The values of each column, and the place of each row where the export has one."""

    columns: tuple[Column, ...]
    values: tuple[pa.Array, ...]
    shapes: np.ndarray[Any, Any]

    def table(self, names: list[str]) -> pa.Table:
        """The values under other names."""
        return pa.Table.from_arrays(list(self.values), names)


def geometry_column(columns: tuple[Column, ...]) -> Column | None:
    """The column that gives the rows their places: a shape before a point, as in GeoJSON."""
    return next((c for kind in GEO for c in columns if c.type == kind), None)


def read(
    store: Store, query: Query, request: Request, files: str, *, places: bool = True, epsg: int = 0
) -> Rows:
    """The rows of an export.

    Args:
        store: Where they are.
        query: Which they are.
        request: For its time zone.
        files: The address of the dataset's files.
        places: Whether geometries are places; else they are text as in CSV. The recorded
            FlatGeobuf of a dataset with a shape and a point has the shape alone.
        epsg: The reference system of the places; that of the request where it is 0.

    Raises:
        ApiError: There are more than the emulator holds at once.
    """
    outer = query.outer()
    place = geometry_column(outer) if places else None
    kept = tuple(c for c in outer if not places or c.type not in GEO)
    expressions = [_sql(column, request.timezone, files) for column in kept]
    if place:
        point = place.type == "geo_point_2d"
        expressions.append(f"geo_text({place.sql})" if point else place.sql)
    table = store.table(f"SELECT * FROM ({query.select(expressions)}) LIMIT {MOST + 1}")
    if table.num_rows > MOST:
        message = f"The emulator writes no more than {MOST} records in this format."
        raise api_error(400, "InvalidRESTParameterError", message)
    arrays = [table.column(i).combine_chunks() for i in range(len(kept))]
    values = tuple(
        array.cast(NATIVE.get(column.type, pa.string()) if not column.multivalued else pa.string())
        for column, array in zip(kept, arrays, strict=True)
    )
    shapes = np.full(table.num_rows, None, dtype=object)
    if place:
        texts = np.array(table.column(len(kept)).to_pylist(), dtype=object)
        found = np.atleast_1d(shapely.from_geojson(texts))
        shapes = project_shapes(found, epsg or request.integer("epsg", 4326, 1))
    return Rows(kept, values, shapes)


def _sql(column: Column, timezone: str, files: str) -> str:
    native = column.type in NATIVE and not column.multivalued
    return column.sql if native else f"({text_value(column, timezone, ',', files)})::VARCHAR"
