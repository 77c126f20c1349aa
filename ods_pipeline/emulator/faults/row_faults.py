"""What faults do to the rows, columns and features of an answer, before it is written.

Faults of a whole reply or of its bytes do not belong here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice

from ods_pipeline.emulator.datasets.dataset import Column, Dataset
from ods_pipeline.emulator.datasets.store import Store
from ods_pipeline.emulator.faults.fault import Fault
from ods_pipeline.emulator.http.reply import Piece
from ods_pipeline.emulator.http.request import Request
from ods_pipeline.emulator.wfs.exception_report import WfsError, internal_error
from ods_pipeline.emulator.wfs.xml import WfsVersion

SQL_TYPES = {"text": "VARCHAR", "int": "BIGINT", "double": "DOUBLE", "boolean": "BOOLEAN"}


def mixed_versions(request: Request, store: Store, dataset: Dataset) -> Dataset:
    """The dataset with its first rows from before a fault's verbs, the others from after."""
    if request.fault.kind != "torn" or not request.rows_before:
        return dataset
    rows = int(request.fault.number)
    old = f"(SELECT * FROM {request.rows_before} LIMIT {rows})"
    new = f"(SELECT * FROM {dataset.relation} OFFSET {rows})"
    return replace(dataset, relation=store.create_table_as(f"{old} UNION ALL {new}"))


def with_repeated_row(fault: Fault, store: Store, dataset: Dataset) -> Dataset:
    """The dataset with its first row repeated at the end, added or in place of the last one."""
    if fault.kind != "doubled":
        return dataset
    kept = store.count(dataset.relation) - fault.flag
    every = f"(SELECT * FROM {dataset.relation} LIMIT {kept})"
    first = f"(SELECT * FROM {dataset.relation} LIMIT 1)"
    return replace(dataset, relation=store.create_table_as(f"{every} UNION ALL {first}"))


def changed_columns(fault: Fault, columns: Iterable[Column]) -> tuple[Column, ...]:
    """The columns as a fault changes them; the first one where it names none."""
    every = tuple(columns)
    if fault.kind != "column" or not every:
        return every
    name, _, kind = fault.unit.partition(" ")
    column = next((each for each in every if each.name == name), every[0])
    if fault.text == "extra":
        return (*every, Column("surplus", "text", "'more'", "surplus"))
    if fault.text == "duplicate":
        return (*every, column)
    replacements = {
        "missing": (),
        "renamed": (replace(column, name=f"{column.name}_2"),),
        "retyped": (_retyped(column, kind),),
        "wrong": (Column(column.name, "text", "'n/a'", column.label),),
    }[fault.text]
    position = every.index(column)
    return (*every[:position], *replacements, *every[position + 1 :])


def _retyped(column: Column, kind: str) -> Column:
    sql = f"TRY_CAST({column.sql} AS {SQL_TYPES[kind]})"
    return Column(column.name, kind, sql, column.label)


def changed_features(fault: Fault, version: WfsVersion, pieces: Iterator[Piece]) -> Iterator[Piece]:
    """The features as a fault changes them.

    Raises:
        WfsError: The document ends here, incomplete.
    """
    if fault.report_position:
        return _with_exception_report(fault.report_position, version, pieces)
    return _with_repeated_feature(fault, pieces) if fault.kind == "doubled" else pieces


def embedded_report(report: WfsError, version: WfsVersion) -> bytes:
    """An ExceptionReport inside another document, without an XML declaration of its own."""
    return report.report(version.number).partition(b"?>\n")[2]


def _with_exception_report(
    report_position: tuple[int, bool], version: WfsVersion, pieces: Iterator[Piece]
) -> Iterator[Piece]:
    after, goes_on = report_position
    lines = _split_features(pieces)
    yield from islice(lines, after)
    if not goes_on:
        raise internal_error()
    yield embedded_report(internal_error(), version)
    yield from lines


def _with_repeated_feature(fault: Fault, pieces: Iterator[Piece]) -> Iterator[Piece]:
    features = list(_split_features(pieces))
    kept = features[: len(features) - fault.flag]
    yield from chain(kept, features[:1])


def _split_features(pieces: Iterator[Piece]) -> Iterator[bytes]:
    """The single features; a feature may hold line breaks.

    Only at the end of a feature does a line end with an end tag.
    """
    buffer = b""
    for line in (line for piece in pieces for line in bytes(piece).splitlines(keepends=True)):
        buffer += line
        if line.endswith(b">\n") and line.rpartition(b"<")[2].startswith(b"/"):
            yield buffer
            buffer = b""
    if buffer:
        yield buffer
