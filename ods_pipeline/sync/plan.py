"""The plan of a run: what is to become of each dataset, and why.

Pure: it is made of a catalog, of what is landed and held, and of the names that a user gave.
Carrying it out is `sync`'s work.
"""

from __future__ import annotations

import difflib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

import pyarrow as pa

from ods_pipeline.dataset import Dataset, instant
from ods_pipeline.errors import DatasetNotFound, SchemaMismatch
from ods_pipeline.lake.holds import Hold, PartitionKey
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.sync.extractor import RECORDS, Lane
from ods_pipeline.sync.rules import DEFAULT, Rules
from ods_pipeline.sync.verdict import Kind, Verdict, under_contract, verdict
from ods_pipeline.tables.schema_diff import difference

_FOR_EVER = 36_500


@dataclass(frozen=True)
class Planned:
    """One dataset and what is to become of its records or features.

    Attributes:
        lane: The way by which its rows come.
        dataset: As the catalog has it; None when it is withdrawn.
        landed: Receipt of what the lake holds.
        named: Whether the user asked for it by name.
        formerly: The identifier under which it is landed, where the portal has renamed it since.
        hold: What is held of it.
    """

    lane: Lane
    dataset_id: str
    dataset: Dataset | None
    landed: Receipt | None
    verdict: Verdict
    named: bool = False
    formerly: str = ""
    hold: Hold | None = None

    @property
    def present(self) -> Dataset:
        """The dataset of a step that is not withdrawn."""
        if self.dataset is None:
            raise DatasetNotFound(self.verdict.reason, dataset=self.dataset_id)
        return self.dataset

    def taken(self, accept: bool) -> bool:
        """Whether a person takes what is held of it, and has been shown just that.

        Args:
            accept: Whether a person takes what is held.
        """
        known = self.dataset.stamp if self.dataset else ""
        return accept and self.hold is not None and self.hold.applies_to(known)

    @property
    def newly_withdrawn(self) -> bool:
        """Whether the catalog lists it no more, and nobody was told so before."""
        told = self.hold is not None and self.hold.verdict == Kind.WITHDRAWN
        return self.verdict.kind is Kind.WITHDRAWN and not told

    @property
    def place(self) -> PartitionKey:
        """The partition that it is about."""
        return self.lane.kind, self.dataset_id

    @property
    def title(self) -> str:
        """Title for people."""
        known = self.dataset or self.landed
        return known.title if known else self.dataset_id

    @property
    def need(self) -> tuple[bool, str, str]:
        """Its place in the queue: what was never landed first, then what was fetched longest ago.

        Whatever a quota leaves undone today is then before everything else tomorrow. Looks that
        no signal asks for come last.
        """
        fetched = self.landed.fetched_at if self.landed else ""
        return self.verdict.kind is Kind.DEEP, fetched, self.dataset_id


@dataclass(frozen=True)
class Landed:
    """What there is already, as a plan needs it.

    Attributes:
        receipts: Of the partitions of a lane, by dataset.
        holds: What is held.
        columns: Gives the columns of a landed dataset, where they are to be compared.
    """

    receipts: Mapping[str, Receipt] = field(default_factory=dict)
    holds: Mapping[PartitionKey, Hold] = field(default_factory=dict)
    columns: Callable[[str], pa.Schema | None] = lambda name: None


def plan(
    datasets: Iterable[Dataset],
    landed: Landed,
    names: Sequence[str] = (),
    *,
    lane: Lane = RECORDS,
    full: bool = False,
    accept: bool = False,
    rules: Rules = DEFAULT,
) -> list[Planned]:
    """What a run would do for each dataset, in the order of their identifiers.

    Args:
        datasets: The catalog.
        landed: What is landed and held.
        names: Datasets to look at; all of them without it.
        lane: The way by which their rows come; a dataset that neither comes nor came by it is
            left out, unless it was named.
        full: Whether what is landed is to be ignored.
        accept: Whether a person takes what is held back.
        rules: How the portal is trusted.
    """
    catalog = {dataset.dataset_id: dataset for dataset in datasets}
    receipts = landed.receipts
    renamed = renames(catalog, receipts)
    clashes = _clashes(catalog, receipts)
    left, called = set(renamed.values()), _called(receipts, renamed)
    steps = []
    for name in sorted(set(names) or {*catalog, *receipts} - (left - set(catalog))):
        dataset, old = catalog.get(name), renamed.get(name, "")
        receipt = None if name in left and not old else receipts.get(old or name)
        carried = dataset is not None and lane.carries(dataset)
        if lane.kind == "features" and not carried and receipt is None and not (dataset and names):
            continue
        hold = landed.holds.get((lane.kind, name))
        decided = verdict(receipt, dataset, full=full, accept=accept, hold=hold, rules=rules)
        if name in clashes:
            decided = Verdict(Kind.REFUSED, clashes[name])
        elif decided.kind is Kind.SCHEMA and dataset:
            columns = landed.columns(old or name)
            taken = accept and hold is not None
            decided = _agreed(decided, columns, dataset, lane, rules, taken)
        elif decided.kind is Kind.UNKNOWN:
            decided = Verdict(Kind.UNKNOWN, f"{decided.reason}{_hint(name, catalog, called)}")
        if dataset and not carried:
            decided = Verdict(Kind.NO_GEOMETRY, _flat(receipt))
        steps.append(Planned(lane, name, dataset, receipt, decided, bool(names), old, hold))
    return steps if names or full else _spread(steps, rules)


def _agreed(
    found: Verdict,
    before: pa.Schema | None,
    dataset: Dataset,
    lane: Lane,
    rules: Rules,
    accept: bool,
) -> Verdict:
    try:
        columns = difference(before, lane.schema(dataset))
    except SchemaMismatch:
        return found  # Landing says what is wrong with them.
    return under_contract(found, columns, rules.contract(dataset.dataset_id), accept=accept)


def renames(catalog: Mapping[str, Dataset], receipts: Mapping[str, Receipt]) -> dict[str, str]:
    """Datasets that are landed under another identifier than the catalog's: new to old.

    `dataset_uid` is the identity. One that two datasets claim identifies neither, and a name that
    another landed dataset keeps is not taken from it.

    Args:
        catalog: The datasets by identifier.
        receipts: What is landed, by identifier.

    Returns:
        The renamings in an order in which each finds its new name free.
    """
    claimed = Counter(dataset.dataset_uid for dataset in catalog.values())
    by_uid = {
        dataset.dataset_uid: name
        for name, dataset in catalog.items()
        if dataset.dataset_uid and claimed[dataset.dataset_uid] == 1
    }
    wanted = {
        by_uid[receipt.dataset_uid]: old
        for old, receipt in sorted(receipts.items(), key=lambda item: item[1].fetched_at)
        if by_uid.get(receipt.dataset_uid, old) != old
    }
    alike = defaultdict(set)
    for name in receipts:
        alike[name.lower()].add(name)
    found: dict[str, str] = {}
    waiting = dict(wanted)
    moved: set[str] = set()
    while ready := [
        new for new, old in waiting.items() if _free(new, old, alike[new.lower()] - moved, receipts)
    ]:
        for new in ready:
            found[new] = waiting.pop(new)
            moved.add(found[new])
    return found


def _free(new: str, old: str, alike: Set[str], receipts: Mapping[str, Receipt]) -> bool:
    """Whether nobody landed has a name, in any case of its letters.

    Args:
        new: The name.
        old: The one that takes it.
        alike: What is landed under names that differ from it by case at most.
        receipts: What is landed.
    """
    others = alike - {old}
    if others - {new}:
        return False
    if new not in others:
        return True
    # A file of the new name that says it was called so is a renaming broken off.
    there = receipts[new]
    return there.dataset_uid == receipts[old].dataset_uid and old in there.former_names


def _clashes(catalog: Mapping[str, Dataset], receipts: Mapping[str, Receipt]) -> dict[str, str]:
    """Datasets whose names others have but for the case: no warehouse can hold both."""
    alike = defaultdict(list)
    for name in catalog:
        alike[name.lower()].append(name)
    found = {}
    for names in alike.values():
        if len(names) == 1:
            continue
        first, *others = sorted(names, key=lambda name: (name not in receipts, name))
        for name in others:
            found[name] = f"its name differs from that of {first} by case alone, which stays"
    return found


def _spread(steps: Sequence[Planned], rules: Rules) -> list[Planned]:
    """The same steps with no more deep checks than a run may make, those due longest first."""
    due = sorted((step for step in steps if step.verdict.kind is Kind.DEEP), key=_compared)
    landed = sum(step.landed is not None for step in steps)
    waiting = {step.place for step in due[rules.deep_checks(landed) :]}
    return [_put_off(step) if step.place in waiting else step for step in steps]


def _put_off(step: Planned) -> Planned:
    """The step without its deep check, which waits for one of the next runs."""
    trusting = replace(DEFAULT, trust_days=_FOR_EVER)
    found = verdict(step.landed, step.dataset, rules=trusting)
    if found.kind is Kind.DEEP:  # Nobody knows when it was compared last.
        found = Verdict(Kind.UNCHANGED, "due to be compared by content, in one of the next runs")
    return replace(step, verdict=found)


def _compared(step: Planned) -> float:
    when = instant(step.landed.fetched_at) if step.landed else None
    return when.timestamp() if when else 0


def _flat(landed: Receipt | None) -> str:
    if landed:
        return "it is geographic no more; what is landed stays"
    return "it has no geographic field, so WFS has no layer of it"


def _called(receipts: Mapping[str, Receipt], renamed: Mapping[str, str]) -> dict[str, str]:
    """What datasets are called now, by what they were called before."""
    before = {old: new for new, old in renamed.items()}
    return before | {old: new for new, it in receipts.items() for old in it.former_names}


def _hint(name: str, known: Iterable[str], called: Mapping[str, str]) -> str:
    if name in called:
        return f"; the portal calls it {called[name]} now"
    close = difflib.get_close_matches(name, known, n=3)
    if close:
        return f"; did you mean {' or '.join(close)}?"
    return "; `ods-pipeline catalog` shows what there is"
