"""A landed dataset at a glance: its columns, its first rows, its extent, and whether it is held.

How that is shown belongs to `cli` and `dagster`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ods_pipeline.errors import LakeError
from ods_pipeline.lake.bucket import LakePath
from ods_pipeline.lake.files import require_files
from ods_pipeline.lake.footers import columns_of
from ods_pipeline.lake.geoparquet import extent
from ods_pipeline.lake.holds import Hold
from ods_pipeline.lake.landed import LandedDataset, held
from ods_pipeline.tables.geometry import geometry_columns
from ods_pipeline.tables.schema_diff import metadata_text, type_of


@dataclass(frozen=True)
class ShownColumn:
    """A column as the publisher describes it.

    Attributes:
        type: The portal's type, else Arrow's.
    """

    name: str
    type: str
    label: str
    description: str
    unit: str


@dataclass(frozen=True)
class Overview:
    """A landed dataset at a glance.

    Attributes:
        landed: The dataset.
        columns: All its columns.
        names: The columns of `rows`: all but geometries.
        rows: The first rows.
        extent: West, south, east and north in degrees; None without geometries.
        hold: Why its last good rows stay; None where they are the portal's.
    """

    landed: LandedDataset
    columns: tuple[ShownColumn, ...]
    names: tuple[str, ...]
    rows: tuple[dict[str, Any], ...]
    extent: tuple[float, float, float, float] | None
    hold: Hold | None

    @classmethod
    def of(cls, landed: LandedDataset, rows: int) -> Overview:
        """Read a landed file.

        Args:
            landed: The dataset.
            rows: How many rows to read at most.

        Raises:
            LakeError: The file cannot be read.
        """
        try:
            schema = columns_of(landed.path)
            names, found = first_rows(landed.path, rows)
        except (OSError, pa.ArrowException) as error:
            require_files(error)
            advice = f"delete it and sync {landed.dataset_id} again"
            raise LakeError(f"{landed.path} cannot be read ({error}); {advice}") from error
        return cls(
            landed,
            tuple(map(_column, schema)),
            tuple(names),
            tuple(found),
            extent(schema),
            held([landed]).get(landed.path),
        )


def _column(item: pa.Field) -> ShownColumn:
    label, description, unit = (metadata_text(item, k) for k in ("label", "description", "unit"))
    return ShownColumn(item.name, type_of(item), label, description, unit)


def first_rows(
    path: LakePath, rows: int, most_columns: int | None = None
) -> tuple[Sequence[str], list[dict[str, Any]]]:
    """The first rows of a landed file, without geometries, which a table cannot show.

    Args:
        path: The file.
        rows: How many rows at most.
        most_columns: How many columns at most; all without it.

    Returns:
        The names of the columns, and the rows.
    """
    with pq.ParquetFile(path) as file:
        shapes = set(geometry_columns(file.schema_arrow))
        names = [name for name in file.schema_arrow.names if name not in shapes][:most_columns]
        if not names or rows < 1:
            return names, []
        batches = file.iter_batches(rows, columns=names, use_threads=False)
        first = next(batches, None)
    return names, first.to_pylist() if first is not None else []


def cell(value: Any) -> str:
    """A value in one line, for people."""
    return "" if value is None else " ".join(str(value).split())
