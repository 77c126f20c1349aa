"""Converts batches of features to record batches of the declared types.

The types are those of the records, so that a feature's properties equal its record's columns. What
WFS writes differently from exports is converted here; the values are typed in `tables`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ods_pipeline.dataset import GEOGRAPHIC, Dataset, Field
from ods_pipeline.errors import SchemaMismatch
from ods_pipeline.portal.exports.field_names import match
from ods_pipeline.portal.features.lists import Lists
from ods_pipeline.portal.http.address import dataset_path
from ods_pipeline.portal.http.client import Client
from ods_pipeline.tables.columns import Dialect, typed
from ods_pipeline.tables.oddities import Oddities, OddityLog, OnBad
from ods_pipeline.tables.schema import arrow_type, unknown_types

if TYPE_CHECKING:
    from ods_pipeline.portal.gml import FeatureBatch

# Elements of GML itself, which are not fields of a dataset.
_OF_GML = frozenset({"gml_name", "gml_description", "gml_identifier"})


class FeatureColumns:
    """Types the features of one dataset, batch by batch."""

    def __init__(
        self,
        client: Client,
        dataset: Dataset,
        fields: Sequence[Field],
        schema: pa.Schema,
        on_bad: OnBad | None = None,
    ) -> None:
        """Prepare to type features.

        Args:
            client: The portal's client, to look up joined lists.
            dataset: The dataset.
            fields: The fields that are read.
            schema: The resulting columns: the identifier, then the fields.
            on_bad: Takes the bad values of each batch; without it they are refused in the end.
        """
        self._dataset, self._fields, self._schema = dataset, fields, schema
        self._lists = Lists(client, dataset)
        files = client.url(dataset_path(dataset.dataset_id, "/files")).partition("?")[0]
        self._dialect = Dialect(file_base=files)
        self._row = 1
        self._empty = {field.name for field in fields}
        self._oddities = OddityLog(on_bad)
        self._names: dict[str, None] = {}

    @property
    def empty_fields(self) -> list[Field]:
        """The fields that no feature so far has anything in; none before the first feature."""
        if self._row == 1:
            return []
        return [field for field in self._fields if field.name in self._empty]

    def typed(self, batch: FeatureBatch) -> pa.RecordBatch:
        """One batch of features; values that are not of their field's type are null.

        Raises:
            SchemaMismatch: A field has both geometries and text, or geometries and another type.
        """
        declared = [field.name for field in self._dataset.fields]
        came = {*batch.texts, *batch.geometries} - (_OF_GML - {*declared})
        matched = match(sorted(came), declared)
        self._names.update(dict.fromkeys(matched.notes))
        oddities = self._oddities.begun()
        columns = [
            self._column(batch, field, matched.columns.get(field.name, ""), oddities)
            for field in self._fields
        ]
        self._row += batch.rows
        self._oddities.take(oddities)
        return pa.RecordBatch.from_arrays([batch.ids, *columns], schema=self._schema)

    def ended(self) -> list[str]:
        """What a reader should know of the features, after the last one; a sentence each.

        Raises:
            TypeMismatch: There were bad values, and nothing took them.
        """
        odd = self._oddities.notes()
        return [*self._names, *unknown_types(self._fields), *odd]

    def _column(self, batch: FeatureBatch, field: Field, name: str, oddities: Oddities) -> pa.Array:
        column = _non_empty(batch.texts, name)
        shapes = batch.geometries.get(name)
        drawn = shapes is not None and shapes.wkb.null_count < batch.rows
        if drawn or column is not None:
            self._empty.discard(field.name)
        if shapes is not None and drawn:
            if field.type not in GEOGRAPHIC or column is not None:
                raise SchemaMismatch(
                    f"field {field.name!r} is declared as {field.type}, but features have "
                    f"{'geometries and text' if field.type in GEOGRAPHIC else 'geometries'} in it",
                    dataset=self._dataset.dataset_id,
                )
            return typed(shapes.wkb, field, self._row, self._dialect, oddities)
        if column is None:
            return pa.nulls(batch.rows, arrow_type(field))
        if pa.types.is_list(arrow_type(field)):
            column = self._lists.read(column, field)
        return typed(column, field, self._row, self._dialect, oddities)


def _non_empty(texts: Mapping[str, pa.Array], name: str) -> pa.Array | None:
    """A property's column; None if no feature has a value in it."""
    column = texts.get(name)
    if column is None or column.null_count == len(column):
        return None
    if pa.types.is_string(column.type) and not pc.any(pc.not_equal(column, "")).as_py():
        return None
    return column
