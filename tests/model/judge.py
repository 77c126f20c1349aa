"""What may have become of lake and warehouse in a sync, given what the portal held meanwhile.

Every wrong is a sentence. Nothing of the client's own reasoning takes part but its report.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ods_pipeline.emulator.datasets.dataset import Dataset
from ods_pipeline.lake.verify import audited
from ods_pipeline.sync.outcome import Outcome
from tests.soak.truth import Chronicle, Found, Place, held, landed, loaded

GOOD = frozenset({"landed", "same content", "described anew", "unchanged"})
# Of these nothing was fetched: the portal's word was taken for it.
TRUSTING = frozenset({"described anew", "unchanged"})


@dataclass(frozen=True)
class Sight:
    """Lake and warehouse at a moment."""

    lake: Mapping[Place, Found]
    tables: Mapping[str, Found]
    listed: Sequence[Mapping[str, Any]] = ()
    marked: Sequence[Mapping[str, Any]] | None = None

    @classmethod
    def of(cls, folder: Path, root: Path) -> Sight:
        """What lies there now."""
        return cls(landed(root), loaded(folder), *held(folder, root))

    def like(self, place: Place, uid: str) -> list[Found | None]:
        """What was of this name, or of this dataset under another one."""
        same = [found for at, found in self.lake.items() if at[0] == place[0] and found.uid == uid]
        return [self.lake.get(place), *same]

    def tables_like(self, place: Place, uid: str) -> list[Found | None]:
        """The same of tables: they say whose they are by their names alone."""
        names = [name for name, found in self.lake.items() if found.uid == uid]
        return [self.tables.get(table_of(name)) for name in (place, *names) if name[0] == place[0]]


def table_of(place: Place) -> str:
    """The table of a partition."""
    return place[1] if place[0] == "records" else f"{place[1]}__features"


@dataclass
class Judge:
    """Judges one sync.

    Attributes:
        truths: What each name stood for during the sync.
        trusts: Whether the portal's dates are taken for its data.
        calm: Whether nothing stood in the way of the sync.
        whole: Whether it was about all datasets.
        kinds: The lanes that it was about.
    """

    chronicle: Chronicle
    truths: Mapping[str, Sequence[Dataset | None]]
    before: Sight
    after: Sight
    outcomes: Sequence[Outcome] = ()
    trusts: bool = True
    calm: bool = False
    whole: bool = True
    kinds: tuple[str, ...] = ("records",)
    places: set[Place] = field(init=False)

    def __post_init__(self) -> None:
        """Collect what was reported."""
        self.places = {(outcome.kind, outcome.dataset_id) for outcome in self.outcomes}

    def wrongs(self) -> Iterator[str]:
        """All that is wrong after a sync that reported."""
        for outcome in self.outcomes:
            place = outcome.kind, outcome.dataset_id
            told = self._good(place, outcome) if outcome.action in GOOD else self._kept(place)
            yield from (f"{outcome.name}, {outcome.action} ({outcome.reason}): {x}" for x in told)
            if self.calm and outcome.action in {"failed", "deferred"} and not self._excused(place):
                yield f"{outcome.name} {outcome.action} without a cause: {outcome.reason}"
        yield from self._unmentioned()
        yield from self._holds()

    def _excused(self, place: Place) -> bool:
        """Whether it may fail on a fine day: asked for by name, or another one has its name."""
        old = self.before.lake.get(place)
        now = {truth.dataset_uid for truth in self.truths.get(place[1], ()) if truth}
        first = old is not None and old.uid in now and table_of(place) in self.before.tables
        others = {*self.truths, *(name for _, name in self.before.lake)} - {place[1]}
        clashes = place[1].lower() in {name.lower() for name in others}
        return not self.whole or (clashes and not first)

    def _good(self, place: Place, outcome: Outcome) -> Iterator[str]:
        found, table = self.after.lake.get(place), self.after.tables.get(table_of(place))
        if found is None:
            yield "nothing is landed"
            return
        truths = [old for old in self.truths.get(place[1], ()) if old and old.data_visible]
        if not any(self._is(found, old) for old in truths):
            lied = self.trusts and outcome.action in TRUSTING
            if not (lied and self._lied(place, found, truths)):
                yield "the partition is nothing that the portal held during the sync"
        if sum(found.rows.values()) != outcome.rows:
            yield f"{outcome.rows} rows are told, {sum(found.rows.values())} landed"
        if table is None:
            yield "nothing is loaded"
        elif table.rows != found.rows or {*dict(table.columns)} != {*dict(found.columns)}:
            yield "the table is not what is landed"

    def _is(self, found: Found, dataset: Dataset) -> bool:
        return found.uid == dataset.dataset_uid and self.chronicle.is_held(found, dataset)

    def _lied(self, place: Place, found: Found, truths: Sequence[Dataset]) -> bool:
        """Whether these are the old rows, and the portal says of others what it said of them."""
        if found not in self.before.like(place, found.uid):
            return False
        olds = [old for old in self.chronicle.versions(found.uid) if self._is(found, old)]
        stamps = {said(truth) for truth in truths if truth.dataset_uid == found.uid}
        return any(said(old) in stamps for old in olds)

    def _kept(self, place: Place) -> Iterator[str]:
        found, table = self.after.lake.get(place), self.after.tables.get(table_of(place))
        uid = found.uid if found else ""
        # What landed and could not be loaded is in the lake all the same.
        new = any(found and old and self._is(found, old) for old in self.truths.get(place[1], ()))
        if found not in self.before.like(place, uid) and not (
            new or (found is None and self._moved(place))
        ):
            yield "the partition is not as before"
        # What a lost warehouse no longer has is loaded again, held or not.
        again = table and found and table.rows == found.rows
        if table not in self.before.tables_like(place, uid) and not (
            again or (table is None and self._moved(place))
        ):
            yield "the table is not as before"

    def _moved(self, place: Place) -> bool:
        """Whether what was of this name is now of another one."""
        old = self.before.lake.get(place)
        return old is not None and any(
            at[0] == place[0] and now.uid == old.uid and at in self.places
            for at, now in self.after.lake.items()
        )

    def _unmentioned(self) -> Iterator[str]:
        for place, old in self.before.lake.items():
            if place in self.places:
                continue
            if place not in self.after.lake:
                if not self._moved(place):
                    yield f"{place} is gone and nothing was said"
            elif self.whole and place[0] in self.kinds and not self._moved(place):
                yield f"nothing was said of {place}"
            elif self.after.lake[place] != old:
                yield f"{place} changed and nothing was said"
        for place in self.after.lake:
            if place not in self.places and place not in self.before.lake:
                yield f"{place} came and nothing was said"
        known = {table_of(place) for place in self.after.lake}
        for name in self.after.tables:
            if name not in known and name not in self.before.tables:
                yield f"the table {name} came, of which nothing is landed"

    def _holds(self) -> Iterator[str]:
        listed = {(row["kind"], row["dataset_id"]): row for row in self.after.listed}
        if list(self.after.listed) != list(self.after.marked or []):
            yield "_held is not what held.parquet says"
        for outcome in self.outcomes:
            place = outcome.kind, outcome.dataset_id
            if outcome.action in GOOD and place in listed:
                yield f"{outcome.name} is {outcome.action}, and listed as held"
            if outcome.action == "held" and place not in listed:
                yield f"{outcome.name} is held, and not listed so"
        for place, row in listed.items():
            if place in self.places and row["rows"] and place not in self.after.lake:
                yield f"{place} is listed as held, and not landed"


def said(dataset: Dataset) -> tuple[Any, ...]:
    """What a portal says of a version's data: no portal tells two versions apart that share it."""
    default = dataset.metas["default"]
    date = default.get("data_processed") or ("modified", default.get("modified"))
    fields = tuple((field.name, field.type) for field in dataset.fields)
    return date, default.get("records_count"), fields


def damaged(folder: Path, root: Path, *, swept: bool) -> Iterator[str]:
    """What is not whole, or was left lying about."""
    for item in audited(folder / "lake"):
        if item.problem:
            yield item.problem
    if swept:
        yield from (f"{path.name} was left" for path in (root / ".incoming").glob("*"))
