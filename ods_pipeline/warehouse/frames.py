"""Turns landed files, or tables of the warehouse, into the form of rows that is wanted.

Several are put one after the other: columns are matched by name and have to be of one type, and
where a dataset does not have a column its rows have nulls. Which files are read, and who asks for
them, does not belong here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from ods_pipeline.errors import ConfigurationError
from ods_pipeline.lake.bucket import LakePath, on_disk
from ods_pipeline.tables.batches import ROWS_PER_BATCH, read_batches
from ods_pipeline.tables.forms import Form
from ods_pipeline.tables.geometry import geometry_columns, packed_points
from ods_pipeline.tables.schema import pandas_type, with_geoarrow

if TYPE_CHECKING:
    import duckdb

_LASTING = {Form.READER, Form.LAZY, Form.RELATION}
_EXTENSION = b"ARROW:extension:name"


def from_files(paths: Mapping[str, LakePath], form: Form) -> Any:
    """The rows of landed files.

    Args:
        paths: The files by dataset, at least one.
        form: A `LazyFrame` has read nothing, a reader reads as it goes, and a relation whenever it
            is queried; the rest is in memory.

    Raises:
        ConfigurationError: The files cannot be had in that form.
    """
    if form is Form.RELATION:
        from ods_pipeline.warehouse import reading

        connection = reading.connect_to_files()
        relations = {name: reading.rows_of_file(connection, p) for name, p in paths.items()}
        return _in_a_row(connection, relations)
    files = {name: on_disk(path) for name, path in paths.items()}
    schemas = {name: pq.read_schema(path) for name, path in files.items()}
    _require_one_type(
        {name: dict(zip(s.names, s.types, strict=True)) for name, s in schemas.items()}
    )
    if form is Form.LAZY:
        return _scan(list(files.values()))
    if form is Form.READER:
        return _stream(list(files.values()), _united(list(schemas.values())))
    tables = {name: pq.read_table(path, partitioning=None) for name, path in files.items()}
    if form is Form.GEOPANDAS:
        tables = {name: table.cast(with_geoarrow(table.schema)) for name, table in tables.items()}
    return _in_memory(tables, form)


def from_tables(
    connect: Callable[[], duckdb.DuckDBPyConnection],
    schema: str,
    tables: Mapping[str, str],
    form: Form,
) -> Any:
    """The rows of tables of the warehouse.

    Args:
        connect: Opens the warehouse for reading. A reader, a `LazyFrame` and a relation keep it
            open until nothing refers to them any more, the others close it.
        schema: Schema of the tables.
        tables: The tables by dataset, at least one.
        form: As for `from_files`.

    Raises:
        ConfigurationError: The tables cannot be had in that form.
        WarehouseError: The warehouse cannot be opened.
    """
    from ods_pipeline.warehouse import reading

    with ExitStack() as opened:
        connection = opened.enter_context(closing(connect()))
        relations = {
            name: reading.rows_of_table(connection, schema, table) for name, table in tables.items()
        }
        whole = _in_a_row(connection, relations)
        if form in _LASTING:
            rows = _lasting(connection, whole, form)
            opened.pop_all()
            return rows
        read = {name: relation.to_arrow_table() for name, relation in relations.items()}
    return _in_memory(read, form)


def from_arrow(readers: Mapping[str, pa.RecordBatchReader], form: Form) -> Any:
    """The rows of tables that come as Arrow; a reader reads as it goes, the rest is in memory.

    Args:
        readers: The rows by dataset, at least one.
        form: As for `from_files`.

    Raises:
        ConfigurationError: They cannot be had in that form.
    """
    schemas = {name: reader.schema for name, reader in readers.items()}
    _require_one_type(
        {name: dict(zip(s.names, s.types, strict=True)) for name, s in schemas.items()}
    )
    if form is Form.READER:
        united = _united(list(schemas.values()))

        def batches() -> Iterator[pa.RecordBatch]:
            for reader in readers.values():
                for batch in reader:
                    yield _widened(batch, united)

        return pa.RecordBatchReader.from_batches(united, batches())
    tables = {name: reader.read_all() for name, reader in readers.items()}
    if form is Form.LAZY:
        return _polars().from_arrow(_plain(_joined(list(tables.values())))).lazy()
    if form is Form.RELATION:
        import duckdb

        return duckdb.connect().from_arrow(_plain(_joined(list(tables.values()))))
    return _in_memory(tables, form)


def _lasting(
    connection: duckdb.DuckDBPyConnection, rows: duckdb.DuckDBPyRelation, form: Form
) -> Any:
    """Rows that are read when they are used; they hold the connection."""
    if form is Form.READER:
        reader = rows.to_arrow_reader(ROWS_PER_BATCH)

        def batches() -> Iterator[pa.RecordBatch]:
            # Held here, for a reader does not hold it: DuckDB waits for ever when it is to open a
            # file of which this process has lost the connection and still has a reader.
            with closing(connection):
                yield from reader

        return pa.RecordBatchReader.from_batches(reader.schema, batches())
    if form is Form.LAZY:
        from ods_pipeline.warehouse import reading

        _polars()
        return reading.without_geometries(rows).pl(lazy=True)
    return rows


def _in_a_row(
    connection: duckdb.DuckDBPyConnection, relations: Mapping[str, duckdb.DuckDBPyRelation]
) -> duckdb.DuckDBPyRelation:
    _require_one_type(
        {n: dict(zip(r.columns, map(str, r.types), strict=True)) for n, r in relations.items()}
    )
    from ods_pipeline.warehouse import reading

    return reading.one_after_the_other(connection, list(relations.values()))


def _require_one_type(columns: Mapping[str, Mapping[str, object]]) -> None:
    """Refuse datasets whose columns have one name and several types.

    Args:
        columns: The types of each dataset's columns.
    """
    first: dict[str, tuple[str, object]] = {}
    for dataset, types in columns.items():
        for column, kind in types.items():
            other, known = first.setdefault(column, (dataset, kind))
            if known != kind:
                raise ConfigurationError(
                    f"the datasets cannot be put into one frame: the column {column!r} is {known} "
                    f"in {other} and {kind} in {dataset}; take them one by one, as dict[str, …]"
                )


def _united(schemas: list[pa.Schema]) -> pa.Schema:
    """All columns of some schemas; what a file says of itself is left out where there are more."""
    if len(schemas) == 1:
        return schemas[0]
    return pa.unify_schemas(schemas).remove_metadata()


def _in_memory(tables: Mapping[str, pa.Table], form: Form) -> Any:
    primary = _primary(tables) if form is Form.GEOPANDAS else ""
    whole = _joined(list(tables.values()))
    if form is Form.GEOPANDAS:
        import geopandas

        keep = {"types_mapper": pandas_type}
        return geopandas.GeoDataFrame.from_arrow(whole, geometry=primary, to_pandas_kwargs=keep)
    if form is Form.PANDAS:
        return whole.to_pandas(types_mapper=pandas_type)
    if form is Form.POLARS:
        return _polars().from_arrow(_plain(whole))
    return whole


def _joined(tables: list[pa.Table]) -> pa.Table:
    if len(tables) == 1:
        return tables[0]
    return pa.concat_tables(tables, promote_options="default").replace_schema_metadata()


def _stream(paths: list[Path], schema: pa.Schema) -> pa.RecordBatchReader:
    """Files batch by batch, in bounded memory; one is open at a time."""

    def batches() -> Iterator[pa.RecordBatch]:
        for path in paths:
            with pq.ParquetFile(path) as file:
                for batch in read_batches(file):
                    yield _widened(batch, schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def _widened(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """A batch with all columns of a schema, those that it does not have as nulls."""
    have = set(batch.schema.names)
    columns = [
        batch.column(field.name) if field.name in have else pa.nulls(len(batch), field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _scan(paths: list[Path]) -> Any:
    polars = _polars()
    # Else a folder called `key=value` makes a column, and a `[` in a path is a pattern.
    scans = [polars.scan_parquet(p, glob=False, hive_partitioning=False) for p in paths]
    return scans[0] if len(scans) == 1 else polars.concat(scans, how="diagonal")


def _polars() -> Any:
    try:
        import polars
    except ImportError:
        raise ConfigurationError(
            "a frame of polars is asked for, and polars is not installed: install it with "
            "`pip install polars`"
        ) from None
    return polars


def _primary(tables: Mapping[str, pa.Table]) -> str:
    """The geometry column of several datasets: a shape before a point, as in the lake.

    Raises:
        ConfigurationError: None of them has one, or not the same.
    """
    found = {name: first for name, table in tables.items() if (first := _first_geometry(table))}
    if not found:
        raise ConfigurationError(
            f"{', '.join(list(tables)[:10])}: there is no geographic field; take it as "
            "pandas.DataFrame"
        )
    (one, column), *others = found.items()
    for other, another in others:
        if another != column:
            raise ConfigurationError(
                f"the datasets cannot be put into one GeoDataFrame: the geometry of {one} is "
                f"{column!r} and that of {other} is {another!r}; take them one by one, as "
                "dict[str, geopandas.GeoDataFrame]"
            )
    return column


def _first_geometry(table: pa.Table) -> str:
    if known := geometry_columns(table.schema):
        return known[0]
    # The warehouse does not know the portal's types.
    geometries = [item.name for item in table.schema if _EXTENSION in (item.metadata or {})]
    shapes = (name for name in geometries if not _only_points(table.column(name)))
    return next(shapes, "") or next(iter(geometries), "")


def _only_points(column: pa.ChunkedArray) -> bool:
    return all(packed_points(chunk) is not None for chunk in column.chunks)


def _plain(table: pa.Table) -> pa.Table:
    """A table whose geometries are bytes: polars does not calculate with types it does not know."""
    return table.cast(
        pa.schema(
            item.remove_metadata() if _EXTENSION in (item.metadata or {}) else item
            for item in table.schema
        )
    )
