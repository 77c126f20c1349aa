"""Limits of size for the parts of a portal's replies; what exceeds them is refused with its name.

Every limit is far above what real portals send. They keep a hostile or broken reply from filling
memory or disk. Limits of GML documents are in `portal/gml`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ods_pipeline.errors import TooLarge

_UNITS = ("bytes", "KB", "MB", "GB", "TB")


@dataclass(frozen=True)
class Bounds:
    """The bounds of one portal's replies.

    Attributes:
        export: Bytes of an export, unpacked.
        room: Bytes that an export may have whatever the catalog counts; and `each` for each of
            the records that it does count.
        each: See `room`.
        rows: Rows of an export.
        surplus: Rows that an export may always have beyond the catalog's count, which can be
            stale; and `times` as many as it counts.
        times: See `surplus`.
        columns: Columns of an export, and fields of a dataset.
        depth: Parquet groups in each other.
        record: Bytes of one record, or one value: a country's coastline takes some fifty million.
        header: Bytes of a CSV export's header.
        suspect: Bytes from which on it is looked at how tightly they were packed.
        ratio: Bytes that one packed byte may then stand for.
        catalog: Bytes of a JSON document; the catalog is the largest one.
        datasets: Datasets of a catalog.
        identifier: Characters of a dataset's identifier, or of a field's name.
        nesting: Lists and objects in each other in a catalog's entry.
        text: Characters of a text that describes a dataset.
    """

    export: int = 1 << 38
    room: int = 4 << 30
    each: int = 4 << 20
    rows: int = 10_000_000_000
    surplus: int = 1_000_000
    times: int = 10
    columns: int = 10_000
    depth: int = 32
    record: int = 256 << 20
    header: int = 16 << 20
    suspect: int = 256 << 20
    ratio: int = 400
    catalog: int = 1 << 30
    datasets: int = 1_000_000
    identifier: int = 1_000
    nesting: int = 64
    text: int = 16 << 20


BOUNDS = Bounds()


def size(number: int) -> str:
    """A number of bytes, for people."""
    value, unit = float(number), _UNITS[0]
    for unit in _UNITS:  # noqa: B007 - the last one serves for all that is larger
        if value < 1024:
            break
        value /= 1024
    return f"{value:,.0f} {unit}"


def refusal(what: str, met: str, most: str) -> TooLarge:
    """The error of a reply of which a part is larger than any honest one's."""
    return TooLarge(
        f"{what} has {met}, and no honest portal needs more than {most}; nothing of it was kept: "
        "ask the publisher what it is"
    )


def require_size(what: str, number: int, most: int) -> None:
    """Refuse what takes too many bytes.

    Raises:
        TooLarge: It does.
    """
    if number > most:
        raise refusal(what, f"more than {size(min(number, 2 * most))}", size(most))


def require_number(what: str, number: int, most: int, unit: str) -> None:
    """Refuse what has too many parts.

    Raises:
        TooLarge: It has.
    """
    if number > most:
        raise refusal(what, f"{number:,} {unit}", f"{most:,}")


def require_rows(rows: int, counted: int | None, what: str = "the export") -> None:
    """Refuse far more rows than the catalog counts, if it does; few more are the proof's to judge.

    Raises:
        TooLarge: They are far more.
    """
    require_number(what, rows, BOUNDS.rows, "rows")
    if counted is not None and rows > BOUNDS.times * counted + BOUNDS.surplus:
        raise TooLarge(
            f"{what} has {rows:,} rows where the portal counts {counted:,}; nothing of it was "
            "kept: ask the publisher what it is"
        )


def export_bytes(counted: int | None) -> int:
    """How many bytes an export may have of a dataset of so many records, if they are counted."""
    if counted is None:
        return BOUNDS.export
    return min(BOUNDS.export, BOUNDS.room + BOUNDS.each * counted)


def require_honest_packing(unpacked: int, packed: int, what: str) -> None:
    """Refuse what unpacks to so much more than was sent that no data can be in it.

    Args:
        unpacked: Bytes after unpacking, so far.
        packed: Bytes that they came from.
        what: Where they were met.

    Raises:
        TooLarge: It does.
    """
    if unpacked > BOUNDS.suspect and unpacked > BOUNDS.ratio * max(packed, 1):
        raise TooLarge(
            f"{what} unpacks {size(packed)} to {size(unpacked)}, and data are not packed tighter "
            f"than {BOUNDS.ratio}:1; nothing of it was kept: ask the publisher what it is"
        )


def bounded(chunks: Iterable[bytes], what: str, most: int) -> Iterator[bytes]:
    """The same chunks, as long as they are no more than so many bytes.

    Raises:
        TooLarge: They are more; in the iteration.
    """
    total = 0
    for chunk in chunks:
        total += len(chunk)
        require_size(what, total, most)
        yield chunk
