"""The columns of an export: which declared field each one is, and their values typed by it.

Requesting an export and splitting it into columns do not belong here, nor does one value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from ods_pipeline.dataset import Dataset, Field
from ods_pipeline.errors import SchemaMismatch, Unproven
from ods_pipeline.portal.exports.field_names import listed, match
from ods_pipeline.portal.http.limits import BOUNDS, require_number, require_rows
from ods_pipeline.portal.query import Query
from ods_pipeline.tables.batches import map_ahead
from ods_pipeline.tables.columns import Dialect, typed, without_separators
from ods_pipeline.tables.oddities import Oddities, OddityLog, OnBad
from ods_pipeline.tables.schema import arrow_field, arrow_schema, arrow_type

# A batch as an export has it, and the number of its first record.
_Numbered = tuple[int, pa.RecordBatch]


@dataclass(frozen=True)
class Columns:
    """Which column of an export becomes which of the result.

    Attributes:
        parts: For each column of the result its name in the export, its Arrow field, and the
            declared field that it is typed by; None for expressions of a query.
        missing: Declared fields that the export lacks.
        notes: What a reader should know of the names.
    """

    parts: Sequence[tuple[str, pa.Field, Field | None]]
    missing: Sequence[str] = ()
    notes: Sequence[str] = ()

    @classmethod
    def of(cls, schema: pa.Schema, dataset: Dataset, query: Query) -> Columns:
        """Match the columns of an export with the fields of its dataset.

        Raises:
            SchemaMismatch: Two columns, or two fields, have the same name.
        """
        require_number("the export", len(schema.names), BOUNDS.columns, "columns")
        repeated = [name for name, times in Counter(schema.names).items() if times > 1]
        if repeated:
            raise SchemaMismatch(f"the export has the column {repeated[0]!r} more than once")
        declared = {field.name: field for field in dataset.fields}
        if query.reshapes:
            # Portals make a group for each value of a list, and give that value alone.
            kept = {
                name
                for name, field in declared.items()
                if query.keeps(name) and not (query.group_by and field.multivalued)
            }
            return cls(
                [
                    (item.name, arrow_field(declared[item.name]), declared[item.name])
                    if item.name in kept
                    else (item.name, item, None)
                    for item in schema
                ]
            )
        arrow_schema(dataset.fields)
        matched = match(schema.names, declared)
        parts = [
            (matched.columns[name], arrow_field(field), field)
            for name, field in declared.items()
            if name in matched.columns
        ]
        return cls(parts, matched.missing, matched.notes)

    @property
    def fields(self) -> list[Field]:
        """The declared fields that it has."""
        return [field for _, _, field in self.parts if field]

    @property
    def schema(self) -> pa.Schema:
        """The columns of the result."""
        return pa.schema([target for _, target, _ in self.parts])

    @property
    def lists(self) -> list[tuple[str, Field]]:
        """The columns that hold lists, each with its field."""
        return [
            (name, field)
            for name, _, field in self.parts
            if field and pa.types.is_list(arrow_type(field))
        ]

    def require_all(self, dataset: Dataset) -> None:
        """Refuse an export that lacks a field.

        Raises:
            SchemaMismatch: It does.
            Unproven: It has none of them, so that it may be no export at all.
        """
        if self.missing and not self.parts:
            raise Unproven(
                f"what came has none of the {len(self.missing)} columns that the catalog declares",
                portal=dataset.portal,
                dataset=dataset.dataset_id,
            )
        if self.missing:
            raise SchemaMismatch(
                f"the export lacks {listed(self.missing)}, which the catalog declares",
                portal=dataset.portal,
                dataset=dataset.dataset_id,
            )


@dataclass(frozen=True)
class Typing:
    """Types the batches of an export; what is odd about them is noted after the last one.

    Attributes:
        columns: Which columns it has.
        dataset: The dataset.
        dialect: How it writes lists and files.
        notes: Takes the notes.
        on_bad: Takes the bad values of each batch; without it they are refused after the last one.
    """

    columns: Columns
    dataset: Dataset
    dialect: Dialect
    notes: list[str]
    on_bad: OnBad | None

    def batches(self, raw: Iterator[pa.RecordBatch]) -> Generator[pa.RecordBatch, None, None]:
        """The batches of an export as its result has them.

        Raises:
            TypeMismatch: There are bad values, and nothing takes them.
        """
        log = OddityLog(self.on_bad)
        for alone in map_ahead(self._alone, _numbered(raw, self.dataset)):
            batch, oddities = self._in_turn(log, *alone)
            log.take(oddities)
            yield batch
        self.notes.extend(log.notes())

    def _alone(self, raw: _Numbered) -> tuple[pa.RecordBatch, Oddities, _Numbered | None]:
        """A batch without knowing of others, its oddities, and its raw form if these may matter."""
        oddities = Oddities()
        return self._typed(raw, oddities), oddities, raw if oddities.zones else None

    def _in_turn(
        self, log: OddityLog, batch: pa.RecordBatch, alone: Oddities, raw: _Numbered | None
    ) -> tuple[pa.RecordBatch, Oddities]:
        """The same batch, read again if the ones before, of which it did not know, matter."""
        if not raw or log.agrees(alone):
            return batch, alone
        oddities = log.begun()
        return self._typed(raw, oddities), oddities

    def _typed(self, raw: _Numbered, oddities: Oddities) -> pa.RecordBatch:
        row, batch = raw
        arrays = [
            typed(batch.column(name), field, row, self.dialect, oddities)
            if field
            else without_separators(batch.column(name))
            for name, _, field in self.columns.parts
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self.columns.schema)


def _numbered(raw: Iterator[pa.RecordBatch], dataset: Dataset) -> Iterator[_Numbered]:
    """Each batch with the number of its first record; refuses far more than the portal counts."""
    row = 1
    for batch in raw:
        require_rows(row - 1 + batch.num_rows, dataset.records_count)
        yield row, batch
        row += batch.num_rows
