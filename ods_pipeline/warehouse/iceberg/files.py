"""The data file of a table: a landed file's rows, copied to where the table's files are.

Its name never comes back: snapshots name it, and what they name must never change. Which snapshot
names it is not decided here.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.conversions import to_bytes
from pyiceberg.exceptions import CommitFailedException, ValidationException
from pyiceberg.io import FileIO
from pyiceberg.io.pyarrow import (
    MetricModeTypes,
    MetricsMode,
    compute_statistics_plan,
    data_file_statistics_from_parquet_metadata,
    parquet_path_to_id_mapping,
)
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.schema import Schema
from pyiceberg.table.locations import load_location_provider
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.typedef import Record
from pyiceberg.types import BinaryType, DateType, PrimitiveType, TimestampType, TimestamptzType

from ods_pipeline.warehouse.iceberg import columns, field_ids
from ods_pipeline.warehouse.iceberg.copying import copied
from ods_pipeline.warehouse.landed import (
    Partition,
    damaged,
    refused,
    require_checksum,
    require_intact,
)

#: Errors after which it is certain that nothing was committed.
NOT_COMMITTED = (CommitFailedException, ValidationException)


def own_name(metadata: TableMetadata) -> str:
    """How the names of a table's own files begin: two tables may be in one folder."""
    return f"{metadata.table_uuid}-"


@contextmanager
def placed(io: FileIO, metadata: TableMetadata, partition: Partition) -> Iterator[DataFile | None]:
    """The rows of a partition as a file of a table, for a block that commits it.

    It is removed again where the block fails and it is certain that nothing was committed.

    Args:
        io: Writes the table's files.
        metadata: The table as it will be.
        partition: The landed file.

    Yields:
        The file, as a snapshot names it; None where there are no rows.

    Raises:
        WarehouseError: The landed file is damaged.
    """
    if not partition.receipt.rows:
        require_intact(partition)
        yield None
        return
    provider = load_location_provider(metadata.location, metadata.properties)
    location = provider.new_data_location(f"{own_name(metadata)}{uuid.uuid4()}.parquet")
    committing = False
    try:
        file = _copied(io, metadata, partition, location)
        committing = True
        yield file
    except BaseException as error:
        # After any other error of a commit it may have been made all the same.
        if not committing or isinstance(error, NOT_COMMITTED):
            with suppress(Exception):
                io.delete(location)
        raise


def _copied(io: FileIO, metadata: TableMetadata, partition: Partition, location: str) -> DataFile:
    require_checksum(partition)
    schema = columns.file_schema(metadata.schema(), partition.columns)
    # All of it from one open file: another one may be published under its name meanwhile.
    with partition.file.open("rb") as source:
        try:
            end, bare = field_ids.split(source)
            footer = pq.read_metadata(source)
            arrow = field_ids.with_numbers(
                pq.read_schema(source), lambda path: columns.number_of(schema, path)
            )
            old, new = field_ids.ended(bare), field_ids.numbered(bare, arrow)
            whole = copied(io, location, source, end, old, new)
        except (ValueError, IndexError, pa.ArrowException) as error:
            require_intact(partition)
            says = f"{partition.path} cannot be numbered for Iceberg ({error})"
            raise refused(partition, f"{says}: fetch the dataset again") from error
    if not whole:
        raise damaged(partition)
    if partition.receipt.file_sha256.encode() not in old:
        says = f"{partition.path} was replaced while it was loaded"
        raise refused(partition, f"{says}: the next run loads it")
    return _described(metadata, schema, footer, location, end + len(new))


def _described(
    metadata: TableMetadata, schema: Schema, footer: pq.FileMetaData, location: str, size: int
) -> DataFile:
    counts = MetricsMode(MetricModeTypes.COUNTS)
    plan = compute_statistics_plan(schema, metadata.properties)
    for number, item in plan.items():
        # Bounds of moments are below: Python's own dates end in the year 9999. Those of bytes of
        # geometries say nothing.
        if isinstance(item.iceberg_type, (*_MOMENTS, BinaryType)):
            plan[number] = replace(item, mode=counts)
    paths = parquet_path_to_id_mapping(schema)
    known = data_file_statistics_from_parquet_metadata(footer, plan, paths).to_serialized_dict()
    for lower, name in ((True, "lower_bounds"), (False, "upper_bounds")):
        known[name] = {**known[name], **_bounds(footer, schema, paths, lower=lower)}
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=location,
        file_format=FileFormat.PARQUET,
        partition=Record(),
        file_size_in_bytes=size,
        sort_order_id=None,
        spec_id=metadata.default_spec_id,
        equality_ids=None,
        key_metadata=None,
        **known,
    )


_MOMENTS = (DateType, TimestampType, TimestamptzType)


def _bounds(
    footer: pq.FileMetaData, schema: Schema, paths: dict[str, int], *, lower: bool
) -> dict[int, bytes]:
    """The first or last day or moment of each column of the table that has such."""
    bounds: dict[int, bytes] = {}
    for place in range(footer.num_columns):
        column = footer.schema.column(place)
        kind = schema.find_type(paths[column.path])
        if not isinstance(kind, _MOMENTS) or column.max_repetition_level:
            continue
        values = _extremes(footer, place, lower=lower)
        if values:
            value = (min if lower else max)(values) * _factor(column, kind)
            bounds[paths[column.path]] = to_bytes(kind, value)
    return bounds


def _factor(column: Any, kind: PrimitiveType) -> int:
    if isinstance(kind, DateType):
        return 1
    # Iceberg counts microseconds.
    return 1000 if "milliseconds" in str(column.logical_type) else 1


def _extremes(footer: pq.FileMetaData, place: int, *, lower: bool) -> list[int]:
    """The raw bound of each group of rows; none where one of them has none."""
    found = []
    for group in range(footer.num_row_groups):
        chunk = footer.row_group(group).column(place)
        known = chunk.statistics if chunk.is_stats_set else None
        if known is not None and known.has_null_count and known.null_count == chunk.num_values:
            continue
        if known is None or not known.has_min_max:
            return []
        found.append(known.min_raw if lower else known.max_raw)
    return found
