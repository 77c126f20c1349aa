"""Faults amid the features of a collection: a report that breaks in, a feature that comes twice."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

from ods_pipeline.emulator.faults.fault import Fault
from ods_pipeline.emulator.http.reply import Piece
from ods_pipeline.emulator.wfs.exception_report import Refused, internal
from ods_pipeline.emulator.wfs.xml import Dialect


def spoilt(fault: Fault, dialect: Dialect, pieces: Iterator[Piece]) -> Iterator[Piece]:
    """The features as a fault leaves them.

    Raises:
        Refused: The document breaks off here.
    """
    if fault.interruption:
        return _interrupted(fault.interruption, dialect, pieces)
    return _doubled(fault, pieces) if fault.kind == "doubled" else pieces


def inline(report: Refused, dialect: Dialect) -> bytes:
    """A report inside of another document: it has no prologue of its own."""
    return report.report(dialect.version).partition(b"?>\n")[2]


def _interrupted(
    interruption: tuple[int, bool], dialect: Dialect, pieces: Iterator[Piece]
) -> Iterator[Piece]:
    after, ends = interruption
    lines = _whole(pieces)
    yield from islice(lines, after)
    if not ends:
        raise internal()
    yield inline(internal(), dialect)
    yield from lines


def _doubled(fault: Fault, pieces: Iterator[Piece]) -> Iterator[Piece]:
    features = list(_whole(pieces))
    kept = features[: len(features) - fault.flag]
    yield from chain(kept, features[:1])


def _whole(pieces: Iterator[Piece]) -> Iterator[bytes]:
    """Features, put together again where a text of one holds a line break.

    Only after a whole feature does a line end with an end tag.
    """
    held = b""
    for line in (line for piece in pieces for line in bytes(piece).splitlines(keepends=True)):
        held += line
        if line.endswith(b">\n") and line.rpartition(b"<")[2].startswith(b"/"):
            yield held
            held = b""
    if held:
        yield held
