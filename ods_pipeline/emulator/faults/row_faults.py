"""What faults do to the rows and columns that a request reads: torn, doubled, renamed, retyped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ods_pipeline.emulator.datasets.dataset import Column, Dataset
from ods_pipeline.emulator.datasets.store import Store
from ods_pipeline.emulator.faults.fault import Fault
from ods_pipeline.emulator.http.request import Request

SQL_TYPES = {"text": "VARCHAR", "int": "BIGINT", "double": "DOUBLE", "boolean": "BOOLEAN"}


def torn(request: Request, store: Store, dataset: Dataset) -> Dataset:
    """The dataset with its first rows as they were before the verbs of a fault were done."""
    if request.fault.kind != "torn" or not request.former:
        return dataset
    rows = int(request.fault.number)
    old = f"(SELECT * FROM {request.former} LIMIT {rows})"
    new = f"(SELECT * FROM {dataset.relation} OFFSET {rows})"
    return replace(dataset, relation=store.keep_select(f"{old} UNION ALL {new}"))


def doubled(fault: Fault, store: Store, dataset: Dataset) -> Dataset:
    """The dataset with its first row once more at the end, instead of the last one or not."""
    if fault.kind != "doubled":
        return dataset
    kept = store.count(dataset.relation) - fault.flag
    every = f"(SELECT * FROM {dataset.relation} LIMIT {kept})"
    first = f"(SELECT * FROM {dataset.relation} LIMIT 1)"
    return replace(dataset, relation=store.keep_select(f"{every} UNION ALL {first}"))


def changed(fault: Fault, columns: Iterable[Column]) -> tuple[Column, ...]:
    """The columns as a fault leaves them; the one concerned is the first where none is named."""
    every = tuple(columns)
    if fault.kind != "column" or not every:
        return every
    name, _, kind = fault.unit.partition(" ")
    one = next((column for column in every if column.name == name), every[0])
    if fault.text == "extra":
        return (*every, Column("surplus", "text", "'more'", "surplus"))
    if fault.text == "duplicate":
        return (*every, one)
    made = {
        "missing": (),
        "renamed": (replace(one, name=f"{one.name}_2"),),
        "retyped": (_retyped(one, kind),),
        "wrong": (Column(one.name, "text", "'n/a'", one.label),),
    }[fault.text]
    place = every.index(one)
    return (*every[:place], *made, *every[place + 1 :])


def _retyped(column: Column, kind: str) -> Column:
    sql = f"TRY_CAST({column.sql} AS {SQL_TYPES[kind]})"
    return Column(column.name, kind, sql, column.label)
