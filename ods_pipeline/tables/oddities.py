"""Counts what an export's values are besides their declared type: bad ones, and odd ones.

Bad values are in no way of their type. Odd ones are read all the same, in a way that a person
should know of. What is done about either is decided by the caller.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ods_pipeline.dataset import Field
from ods_pipeline.errors import TypeMismatch
from ods_pipeline.redaction import shown
from ods_pipeline.tables.values import are_of_one_place

# Bad values of a field that a message shows.
_SHOWN = 3


class BadValue(NamedTuple):
    """A value that is not of its field's declared type.

    Attributes:
        field: Technical name of the field.
        declared: Its declared type.
        row: Number of the record in the export, the first being 1.
        value: The value in the export.
        retyped: Whether a user has decided for that type.
    """

    field: str
    declared: str
    row: int
    value: object
    retyped: bool = False


@dataclass
class Oddities:
    """The bad and the odd values of a batch, or of a whole export.

    Attributes:
        bad: The first bad values of each field, in the order of the records; of a batch all.
        counts: How many bad values each field has.
        readings: How often values of a field were read in a way that has to be explained.
        zones: By how many minutes the time zones are ahead of UTC in which moments in a field of
            dates were midnights.
    """

    bad: list[BadValue] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    readings: Counter[tuple[str, str]] = field(default_factory=Counter)
    zones: dict[str, set[int]] = field(default_factory=dict)

    def reject(self, declared: Field, row: int, value: object) -> None:
        """Note a bad value."""
        self.bad.append(BadValue(declared.name, declared.type, row, value, declared.retyped))
        self.counts[declared.name] += 1

    def note(self, declared: Field, reading: str, times: int = 1) -> None:
        """Note that values of a field were read in an odd way, and which."""
        if times:
            self.readings[declared.name, reading] += times

    def add(self, batch: Oddities) -> None:
        """Take over the oddities of the next batch, of whose bad values only the first are kept."""
        kept = Counter(value.field for value in self.bad)
        for value in batch.bad:
            if kept[value.field] < _SHOWN:
                kept[value.field] += 1
                self.bad.append(value)
        self.counts.update(batch.counts)
        self.readings.update(batch.readings)
        for name, zones in batch.zones.items():
            self.zones[name] = self.zones.get(name, set()) | zones

    @property
    def notes(self) -> list[str]:
        """A sentence for each odd way in which values were read."""
        return [
            f"{times:,} value{'s' if times > 1 else ''} of {name!r}: {reading}"
            for (name, reading), times in sorted(self.readings.items())
        ]

    def error(self) -> TypeMismatch | None:
        """The refusal of the bad values; None where there are none."""
        if not self.bad:
            return None
        first = self.bad[0]
        further = ", ".join(self._further())
        return TypeMismatch(
            first.field, first.row, first.value, first.declared, further, first.retyped
        )

    def _further(self) -> Iterator[str]:
        first = self.bad[0]
        more = self.counts[first.field] - 1
        if more:
            others = [bad for bad in self.bad[1:] if bad.field == first.field][: _SHOWN - 1]
            examples = ", ".join(f"record {bad.row} {shown(bad.value)}" for bad in others)
            yield f"{more:,} more record{'s' if more > 1 else ''} of it too ({examples})"
        for name in sorted(self.counts.keys() - {first.field}):
            example = next(bad for bad in self.bad if bad.field == name)
            yield (
                f"{self.counts[name]:,} of {name!r} ({example.declared}; record {example.row} "
                f"{shown(example.value)})"
            )


@dataclass(frozen=True)
class Column:
    """Which column is read, and where what is odd about it is noted."""

    field: Field
    row: int
    oddities: Oddities

    def reject(self, offset: int, value: object) -> None:
        """Note a bad value."""
        self.oddities.reject(self.field, self.row + offset, value)

    def note(self, reading: str, times: int = 1) -> None:
        """Note that values were read in an odd way."""
        self.oddities.note(self.field, reading, times)

    def are_of_one_place(self, zones: set[int]) -> bool:
        """Whether time zones can be those of one place, with those of the batches before; kept."""
        together = self.oddities.zones.get(self.field.name, set()) | zones
        if together and are_of_one_place(together):
            self.oddities.zones[self.field.name] = together
        return are_of_one_place(together)


#: Takes the bad values of a batch.
OnBad = Callable[[list[BadValue]], object]


class OddityLog:
    """Adds up the oddities of all batches, and decides about the bad values.

    Args:
        on_bad: Takes the bad values of each batch; without it they are refused in the end.
    """

    def __init__(self, on_bad: OnBad | None) -> None:
        self._on_bad = on_bad
        self._total = Oddities()

    def begun(self) -> Oddities:
        """The oddities of the next batch, still without any, which knows of those before."""
        return Oddities(zones=dict(self._total.zones))

    def agrees(self, batch: Oddities) -> bool:
        """Whether a batch that did not know of those before was read as if it had."""
        return all(
            are_of_one_place(self._total.zones.get(name, set()) | zones)
            for name, zones in batch.zones.items()
        )

    def take(self, batch: Oddities) -> None:
        """Take the oddities of the next batch."""
        self._total.add(batch)
        if self._on_bad and batch.bad:
            self._on_bad(batch.bad)

    def notes(self) -> list[str]:
        """A sentence for each odd way in which values were read, after the last batch.

        Raises:
            TypeMismatch: There were bad values, and nothing took them.
        """
        refusal = None if self._on_bad else self._total.error()
        if refusal:
            raise refusal
        return self._total.notes


def text_of(value: object) -> str:
    """A value of an export as text: JSON where it is nested, hexadecimal digits for bytes."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=text_of)
    return str(value)
