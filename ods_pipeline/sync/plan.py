"""The plan of a run: what each dataset needs, and why.

Pure functions of a catalog, of what is landed and held, and of the names that a user gave.
Carrying a plan out belongs to the other files of `sync`.
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ods_pipeline.dataset import Dataset, instant
from ods_pipeline.errors import DatasetNotFound, OdsPipelineError, SchemaMismatch
from ods_pipeline.lake.holds import Hold, PartitionKey
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.sync.extractor import RECORDS, Extractor
from ods_pipeline.sync.renames import renames
from ods_pipeline.sync.rules import DEFAULT, Rules
from ods_pipeline.sync.selection import is_pattern
from ods_pipeline.sync.verdict import (
    COLUMN_HOLDS,
    Kind,
    Verdict,
    refused_by,
    under_contract,
    verdict,
)
from ods_pipeline.tables.schema_diff import Difference, difference

if TYPE_CHECKING:
    import pyarrow as pa

_FOR_EVER = 36_500


@dataclass(frozen=True)
class Planned:
    """What the records or features of one dataset need.

    Attributes:
        extractor: How its rows are fetched.
        dataset: As the catalog has it; None when it is withdrawn.
        landed: Receipt of what is in the lake.
        verdict: What it needs, and why.
        named: Whether the user asked for it by name.
        formerly: The identifier that it had until now, where the portal has renamed it.
        hold: Why its last good rows stay, where they do.
        missing: The error to report of a dataset that the catalog leaves out by mistake.
        way: What a refusal of its data depends on besides the dataset.
        filtered: Whether only some of its records are asked for.
    """

    extractor: Extractor
    dataset_id: str
    dataset: Dataset | None
    landed: Receipt | None
    verdict: Verdict
    named: bool = False
    formerly: str = ""
    hold: Hold | None = None
    missing: OdsPipelineError | None = None
    way: str = ""
    filtered: bool = False

    @property
    def present(self) -> Dataset:
        """The dataset, which the catalog has.

        Raises:
            DatasetNotFound: The catalog does not list it.
        """
        if self.dataset is None:
            raise DatasetNotFound(self.verdict.reason, dataset=self.dataset_id)
        return self.dataset

    @property
    def records_to_come(self) -> int | None:
        """Records of the whole dataset, whatever a filter lets through; None if unknown."""
        return self.dataset.records_count if self.dataset and self.verdict.fetches else None

    @property
    def cost(self) -> int:
        """Requests that fetching it takes, about."""
        return self.extractor.requests if self.verdict.fetches else 0

    def accepted(self, accept: bool) -> bool:
        """Whether a person accepts its hold, and the hold is about what the portal has now.

        Args:
            accept: Whether a person accepts what is held.
        """
        stamp = self.dataset.stamp if self.dataset else ""
        return accept and self.hold is not None and self.hold.applies_to(stamp)

    @property
    def newly_withdrawn(self) -> bool:
        """Whether the catalog no longer lists it, which no hold says yet."""
        noted = self.hold is not None and self.hold.verdict == Kind.WITHDRAWN
        return self.verdict.kind is Kind.WITHDRAWN and not noted

    @property
    def partition(self) -> PartitionKey:
        """Kind and identifier of its partition."""
        return self.extractor.kind, self.dataset_id

    @property
    def title(self) -> str:
        """Title for people."""
        described = self.dataset or self.landed
        return described.title if described else self.dataset_id

    @property
    def priority(self) -> tuple[bool, str, str]:
        """Sorts what was never landed first, then what was fetched longest ago.

        So what a quota leaves undone today comes first tomorrow. Checks that no signal asks for
        come last.
        """
        fetched = self.landed.fetched_at if self.landed else ""
        return self.verdict.kind is Kind.DEEP, fetched, self.dataset_id


@dataclass(frozen=True)
class Landed:
    """What is landed and held, as a plan needs it.

    Attributes:
        receipts: Of the partitions of one kind, by dataset.
        holds: The partitions whose last good rows stay, and why.
        columns: Reads the columns of a landed dataset, where they have to be compared.
    """

    receipts: Mapping[str, Receipt] = field(default_factory=dict)
    holds: Mapping[PartitionKey, Hold] = field(default_factory=dict)
    columns: Callable[[str], pa.Schema | None] = lambda name: None


def plan(
    datasets: Iterable[Dataset],
    landed: Landed,
    names: Collection[str] | None = None,
    *,
    named: Collection[str] | None = None,
    extractor: Extractor = RECORDS,
    full: bool = False,
    accept: bool = False,
    rules: Rules = DEFAULT,
) -> list[Planned]:
    """What a run would do for each dataset, in the order of their identifiers.

    Args:
        datasets: The catalog.
        landed: What is landed and held.
        names: Datasets to look at; all of them without it.
        named: Those of them that a person asks for by name; all of `names` without it.
        extractor: How their rows are fetched. A dataset that it neither fetches nor has fetched is
            left out, unless it was named.
        full: Whether to ignore what is landed.
        accept: Whether a person accepts what is held.
        rules: How the portal is trusted.
    """
    catalog = {dataset.dataset_id: rules.applied(dataset) for dataset in datasets}
    receipts = landed.receipts
    renamed = renames(catalog, receipts)
    clashes = _clashes(catalog, receipts)
    left, current = set(renamed.values()), _current_names(receipts, renamed)
    steps = []
    everything = {*catalog, *receipts} - (left - set(catalog))
    by_name = set(names or ()) if named is None else set(named)
    for name in sorted(everything if names is None else set(names)):
        dataset, old = catalog.get(name), renamed.get(name, "")
        receipt = None if name in left and not old else receipts.get(old or name)
        applies = dataset is not None and extractor.applies_to(dataset)
        if extractor.kind == "features" and not (
            applies or receipt or (dataset and name in by_name)
        ):
            continue
        hold = landed.holds.get((extractor.kind, name))
        way = refused_by(extractor.way, rules.decided(name))
        decided = verdict(
            receipt, dataset, full=full, accept=accept, hold=hold, way=way, rules=rules
        )
        if name in clashes:
            decided = Verdict(Kind.REFUSED, clashes[name])
        elif dataset and receipt and (former := _decided_for(receipt, old, name, rules)):
            decided = Verdict(
                Kind.REFUSED,
                f"the portal called it {former} before, and `tables` decides for that name: give "
                f"it the name {name} there",
            )
        elif decided.kind in {Kind.SCHEMA, Kind.FILTER} and dataset:
            accepted = accept and hold is not None and hold.verdict in COLUMN_HOLDS
            columns = landed.columns(old or name)
            decided = _apply_contract(
                decided, columns, receipt, dataset, extractor, rules, accepted
            )
        elif decided.kind is Kind.UNKNOWN:
            hint = _hint(name, catalog, current)
            decided = Verdict(
                Kind.UNKNOWN,
                "no dataset of the portal has such a name"
                if is_pattern(name)
                else f"{decided.reason}{hint}",
            )
        if dataset and not applies:
            decided = Verdict(Kind.NO_GEOMETRY, _without_geometry(receipt))
        # What is called otherwise now was asked for by name, wherever the name stands.
        asked = name in by_name or (names is not None and name in current and not dataset)
        filtered = bool(rules.table(name).where)
        known = (extractor, name, dataset, receipt, decided, asked, old, hold)
        steps.append(Planned(*known, way=way, filtered=filtered))
    return steps if by_name or full else _spread(steps, rules)


def _decided_for(landed: Receipt, old: str, name: str, rules: Rules) -> str:
    """A former name of a dataset that a user has decided something for; empty for none."""
    formers = [*landed.former_names, old]
    return "" if name in rules.tables else next((n for n in formers if n in rules.tables), "")


def _apply_contract(
    decided: Verdict,
    before: pa.Schema | None,
    landed: Receipt | None,
    dataset: Dataset,
    extractor: Extractor,
    rules: Rules,
    accept: bool,
) -> Verdict:
    try:
        columns = difference(before, extractor.schema(dataset))
    except SchemaMismatch:
        return decided  # Landing says what is wrong with them.
    contract = rules.contract(dataset.dataset_id)
    if decided.kind is Kind.FILTER:
        # What a user selects or retypes is no change by the publisher.
        theirs = {*rules.table(dataset.dataset_id).types, *(landed.retyped if landed else ())}
        columns = Difference(
            retyped=tuple(change for change in columns.retyped if change[0] not in theirs)
        )
        contract = "evolve" if contract == "evolve" else "freeze"
    return under_contract(decided, columns, contract, accept=accept)


def _clashes(catalog: Mapping[str, Dataset], receipts: Mapping[str, Receipt]) -> dict[str, str]:
    """Datasets of the same name in another case: a warehouse cannot hold both."""
    alike = defaultdict(list)
    for name in catalog:
        alike[name.lower()].append(name)
    clashes = {}
    for names in alike.values():
        if len(names) == 1:
            continue
        first, *others = sorted(names, key=lambda name: (name not in receipts, name))
        for name in others:
            clashes[name] = f"its name differs from that of {first} by case alone, which stays"
    return clashes


def _spread(steps: Sequence[Planned], rules: Rules) -> list[Planned]:
    """The same steps with no more deep checks than a run may make; the oldest stay."""
    due = sorted((step for step in steps if step.verdict.kind is Kind.DEEP), key=_compared)
    landed = sum(step.landed is not None for step in steps)
    waiting = {step.partition for step in due[rules.deep_checks(landed) :]}
    return [_put_off(step, rules) if step.partition in waiting else step for step in steps]


def _put_off(step: Planned, rules: Rules) -> Planned:
    """The step without its deep check, which is left to one of the next runs."""
    trusting = replace(rules, trust_days=_FOR_EVER)
    decided = verdict(step.landed, step.dataset, rules=trusting)
    if decided.kind is Kind.DEEP:  # When it was compared last is unknown.
        decided = Verdict(Kind.UNCHANGED, "due to be compared by content, in one of the next runs")
    return replace(step, verdict=decided)


def _compared(step: Planned) -> float:
    when = instant(step.landed.fetched_at) if step.landed else None
    return when.timestamp() if when else 0


def _without_geometry(landed: Receipt | None) -> str:
    if landed:
        return "it is no longer geographic; what is landed stays"
    return "it has no geographic field, so WFS has no layer of it"


def _current_names(receipts: Mapping[str, Receipt], renamed: Mapping[str, str]) -> dict[str, str]:
    """The present names of datasets, by their former names."""
    before = {old: new for new, old in renamed.items()}
    return before | {old: new for new, it in receipts.items() for old in it.former_names}


def _hint(name: str, names: Iterable[str], current: Mapping[str, str]) -> str:
    if name in current:
        return f"; the portal calls it {current[name]} now"
    close = difflib.get_close_matches(name, names, n=3)
    if close:
        return f"; did you mean {' or '.join(close)}?"
    return "; `ods-pipeline catalog` shows what there is"
