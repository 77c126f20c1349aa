"""The catalog as a table in the engine, so that ODSQL can query datasets as it queries records.

How a dataset is written in a reply does not belong here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ods_pipeline.emulator.datasets.dataset import Column, Dataset, Field
from ods_pipeline.emulator.datasets.encoding import encode
from ods_pipeline.emulator.datasets.store import Store

TIMES = ("modified", "data_processed", "metadata_processed", "created", "issued")
# Columns that select may name besides metadata, but where may not.
SELECT_ONLY = ("fields", "attachments", "alternative_exports", "visibility", "data_visible")
MULTIVALUED = {"multivalued": [","]}


@dataclass(frozen=True)
class CatalogTable:
    """The table, its columns, and the datasets in the order of its rows."""

    relation: str
    columns: tuple[Column, ...]
    datasets: tuple[Dataset, ...]

    @property
    def position(self) -> Column:
        """The column with the position of a row's dataset."""
        return Column("\0position", "int", f"r.c{len(self.columns)}")


def metadata_names(datasets: Sequence[Dataset]) -> list[tuple[str, str]]:
    """Every template and metadata name in use, in the order of the datasets."""
    seen: dict[tuple[str, str], None] = {}
    for dataset in datasets:
        for template, values in dataset.metas.items():
            seen.update(dict.fromkeys((template, name) for name in values))
    templates = list(dict.fromkeys(template for template, _ in seen))
    return sorted(seen, key=lambda key: templates.index(key[0]))


def catalog_table(
    store: Store, datasets: Sequence[Dataset], identifier: str = "dataset_id"
) -> CatalogTable:
    """Fill a new relation with one row per dataset; v2.0 names its identifier differently."""
    top: list[tuple[Field, list[Any]]] = [
        (Field(identifier, "text", identifier), [d.dataset_id for d in datasets]),
        (Field("dataset_uid", "text", "dataset_uid"), [d.dataset_uid for d in datasets]),
        (Field("has_records", "boolean", "has_records"), [d.has_records for d in datasets]),
        (Field("features", "text", "", None, MULTIVALUED), [list(d.features) for d in datasets]),
    ]
    documents = [dataset.document() for dataset in datasets]
    top += [
        (Field(name, "json_blob", name), [json.dumps(d[name]) for d in documents])
        for name in SELECT_ONLY
    ]
    top += [
        _column(f"{template}.{name}", [d.metas.get(template, {}).get(name) for d in datasets])
        for template, name in metadata_names(datasets)
    ]
    fields = [field for field, _ in top]
    position = Field("\0position", "int", "")
    everything = {field.name: values for field, values in top}
    rows = [
        {**{name: values[i] for name, values in everything.items()}, "\0position": i}
        for i in range(len(datasets))
    ]
    relation = store.create_table(encode([*fields, position], rows))
    return CatalogTable(relation, tuple(map(_query_column, enumerate(fields))), tuple(datasets))


def _query_column(numbered: tuple[int, Field]) -> Column:
    i, field = numbered
    column = Column.of(field, f"r.c{i}")
    json_kept = field.name in SELECT_ONLY or field.type == "json_blob"
    return Column(field.name, "json", column.sql) if json_kept else column


def _column(name: str, values: list[Any]) -> tuple[Field, list[Any]]:
    """A metadata column; its type follows from its values."""
    present = [value for value in values if value is not None]
    if any(isinstance(v, list) for v in present):
        values = [v if isinstance(v, list) or v is None else [v] for v in values]
        texts = [None if v is None else [str(x) for x in v] for v in values]
        return Field(name, "text", name, None, MULTIVALUED), texts
    if name.rpartition(".")[2] in TIMES:
        return Field(name, "datetime", name), values
    kind = _field_type(present)
    if kind == "json_blob":
        values = [None if v is None else json.dumps(v) for v in values]
    elif kind == "text":
        values = [None if v is None else str(v) for v in values]
    return Field(name, kind, name), values


def _field_type(present: list[Any]) -> str:
    for types, kind in (((bool,), "boolean"), ((int,), "int"), ((int, float), "double")):
        if present and all(isinstance(v, types) and type(v) in types for v in present):
            return kind
    return "json_blob" if any(isinstance(v, dict) for v in present) else "text"
