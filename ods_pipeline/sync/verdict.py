"""The verdict: whether a dataset is out of date, and which signal says so.

A pure function of what is landed, what is held and what the catalog says now. Nothing is asked or
done here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from importlib import metadata

from ods_pipeline.dataset import Dataset, instant, same_moment
from ods_pipeline.lake.holds import Hold
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.sync.rules import DEFAULT, Rules
from ods_pipeline.tables.schema_diff import Difference
from ods_pipeline.warehouse.protocol import Contract


class Kind(StrEnum):
    """What has become of a dataset since it was last landed."""

    NEW = "new"
    DATA = "data"
    SCHEMA = "schema"
    METADATA = "metadata"
    UNCHANGED = "unchanged"
    FILTER = "filter"
    FULL = "full"
    DEEP = "deep check"
    RESTRICTED = "restricted"
    NO_RECORDS = "no records"
    NO_GEOMETRY = "no geometry"
    WITHDRAWN = "withdrawn"
    UNKNOWN = "unknown"
    REFUSED = "refused"
    EMPTIED = "emptied"
    SHRUNK = "shrunk"
    FROZEN = "frozen"
    QUARANTINED = "quarantined"
    UNPROVEN = "unproven"
    CONTRADICTED = "contradicted"


_VERSION = metadata.version("ods-pipeline")
_FETCHED = frozenset({Kind.NEW, Kind.DATA, Kind.SCHEMA, Kind.FILTER, Kind.FULL, Kind.DEEP})
_SETTLED = frozenset({Kind.METADATA, Kind.UNCHANGED})
_REFUSED = frozenset({Kind.REFUSED, Kind.CONTRADICTED})
#: A person has to look, unless the portal changes again.
ALARMING = frozenset({Kind.EMPTIED, Kind.SHRUNK, Kind.FROZEN, Kind.QUARANTINED, Kind.UNPROVEN})


#: Of these, the ones about columns: only they let a table's columns follow once accepted.
COLUMN_HOLDS = frozenset({Kind.FROZEN, Kind.QUARANTINED})


@dataclass(frozen=True)
class Verdict:
    """A kind of change and the signal that moved, old → new."""

    kind: Kind
    reason: str

    @property
    def fetches(self) -> bool:
        """Whether the rows have to be fetched."""
        return self.kind in _FETCHED

    @property
    def skips(self) -> bool:
        """Whether there is nothing to fetch, or nothing that may be landed."""
        return self.kind not in _FETCHED | _SETTLED


def verdict(
    landed: Receipt | None,
    dataset: Dataset | None,
    *,
    full: bool = False,
    accept: bool = False,
    hold: Hold | None = None,
    way: str = "",
    rules: Rules = DEFAULT,
    now: datetime | None = None,
) -> Verdict:
    """Decide what a dataset needs.

    `data_processed` is the portal's own date of the data. `modified` stands in for it only where
    it is missing: half the portals let people type it. `metadata_processed` is not looked at, for
    portals touch it in bulk.

    Args:
        landed: Receipt of the partition in the lake, if there is a readable one.
        dataset: The dataset in the catalog, or None when the catalog has it no more.
        full: Whether what is landed is to be ignored.
        accept: Whether a person accepts what is held.
        hold: What is held of it, or was refused.
        way: What a refusal depends on besides the dataset; see `refused_by`.
        rules: How the portal is trusted.
        now: The time; the clock's without it.
    """
    now = now or datetime.now(UTC)
    if dataset is None and landed is None:
        return Verdict(Kind.UNKNOWN, "the catalog lists no such dataset, or not to you")
    if dataset is None:
        return Verdict(Kind.WITHDRAWN, "the catalog lists it no more; what is landed stays")
    accepted = hold if accept and hold and hold.applies_to(dataset.stamp) else None
    standing = _unavailable(dataset) or (
        None if accepted else _held(dataset, hold, way, full, rules, now)
    )
    if not standing and not full:
        standing = _refused(dataset, hold, way, rules, now)
    if standing:
        return standing
    if landed is None:
        return Verdict(Kind.NEW, "nothing landed yet")
    return (
        _other_filter(landed, dataset, rules)
        or _other_columns(landed, dataset)
        or _full(full, accepted)
        or _other_decision(landed, dataset, rules)
        or _data(landed, dataset)
        or _due(landed, rules, now)
        or _metadata(landed, dataset)
    )


def under_contract(
    decided: Verdict, columns: Difference, contract: Contract, *, accept: bool = False
) -> Verdict:
    """What becomes of a change of the fields under a dataset's contract.

    Args:
        decided: The verdict without one.
        columns: How the declared fields differ from those that are landed.
        contract: The dataset's.
        accept: Whether a person takes the change.
    """
    if decided.kind not in {Kind.SCHEMA, Kind.FILTER} or not str(columns):
        return decided
    reason = f"the publisher changed its fields: {columns}"
    if contract == "freeze" and columns.breaks and not accept:
        return Verdict(Kind.FROZEN, f"{reason}; the contract is freeze, so a person has to accept")
    return Verdict(decided.kind, reason)


def _unavailable(dataset: Dataset) -> Verdict | None:
    if dataset.refused:
        return Verdict(Kind.REFUSED, dataset.refused)
    if not dataset.has_records:
        return Verdict(Kind.NO_RECORDS, "it has attachments or links, no records")
    if not dataset.data_visible:
        return Verdict(Kind.RESTRICTED, "its metadata are public, its records are not")
    if not dataset.fields:
        return Verdict(Kind.RESTRICTED, "the portal shows none of its fields")
    return None


def _held(
    dataset: Dataset, hold: Hold | None, way: str, full: bool, rules: Rules, now: datetime
) -> Verdict | None:
    """What was held back is not fetched again before the portal's stamp of it changes.

    A count that could not be had may be had later: asking for everything asks for it again, and so
    does a run after some days.
    """
    if hold is None or hold.verdict in _REFUSED or hold.by not in {"", way}:
        return None
    if hold.verdict == Kind.UNPROVEN:
        looked = instant(hold.looked or hold.since)
        if full or not looked or now - looked >= rules.trust:
            return None
    if not hold.stamp or hold.stamp != dataset.stamp:
        return None
    return Verdict(Kind(hold.verdict), hold.reason)


def refused_by(way: str, decided: str) -> str:
    """What a refusal depends on besides the dataset: our version, the way it came, the rules.

    Args:
        way: How its rows were fetched.
        decided: What a user has decided about it.
    """
    return f"{_VERSION} {way} {decided}"


def _refused(
    dataset: Dataset, hold: Hold | None, way: str, rules: Rules, now: datetime
) -> Verdict | None:
    """What was refused is not fetched again before something has changed that may help.

    A contradiction may pass without a change of the stamp. It is looked at in the next run, and
    then whenever it has lasted twice as long.
    """
    if hold is None or hold.verdict not in _REFUSED or hold.by != way:
        return None
    since, looked = instant(hold.since), instant(hold.looked or hold.since)
    dated = dataset.data_processed or dataset.modified
    if not dated or hold.stamp != dataset.stamp or not since or not looked:
        return None
    wait = rules.trust
    if hold.verdict == Kind.CONTRADICTED:
        wait = min(wait, looked - since)
    if now - looked >= wait:
        return None
    return Verdict(
        Kind.REFUSED,
        f"still refused, and nothing has changed since {since:%Y-%m-%d}: {hold.reason}",
    )


def _full(full: bool, accepted: Hold | None) -> Verdict | None:
    if full:
        return Verdict(Kind.FULL, "asked for in full, whatever is landed")
    if accepted and accepted.stamp:
        return Verdict(Kind.FULL, f"accepted, which was held: {accepted.reason}")
    return None


def _other_filter(landed: Receipt, dataset: Dataset, rules: Rules) -> Verdict | None:
    """Decided before the columns: those that a user selects are no change by the publisher."""
    wanted = rules.table(dataset.dataset_id).filter
    if landed.filter == wanted:
        return None
    before, now = landed.filter or "everything", wanted or "everything"
    return Verdict(Kind.FILTER, f"asked for {before} before, and for {now} now")


def _other_columns(landed: Receipt, dataset: Dataset) -> Verdict | None:
    """Decided first, since a contract may forbid a fetch that a person asks for."""
    if landed.schema_hash != dataset.schema_hash:
        return Verdict(Kind.SCHEMA, "the portal declares other field names or types")
    return None


def _other_decision(landed: Receipt, dataset: Dataset, rules: Rules) -> Verdict | None:
    if landed.rejected and rules.table(dataset.dataset_id).bad_values == "refuse":
        lost = f"{landed.rejected} bad values are null in what is landed"
        return Verdict(Kind.FULL, f"{lost}, and `bad_values` no longer allows it")
    return None


def _data(landed: Receipt, dataset: Dataset) -> Verdict | None:
    if landed.dataset_uid and dataset.dataset_uid not in {"", landed.dataset_uid}:
        return Verdict(Kind.DATA, f"another dataset has its name now, {dataset.dataset_uid}")
    signal = "data_processed" if dataset.data_processed or landed.data_processed else "modified"
    before, now = getattr(landed, signal), getattr(dataset, signal)
    if landed.listed and same_moment(landed.listed, now):
        return None  # The catalog is still behind what was landed.
    if not now and not before:
        return Verdict(Kind.DATA, "the catalog gives no date to compare")
    if not same_moment(before, now):
        return Verdict(Kind.DATA, f"{signal} {before or 'nothing'} → {now or 'nothing'}")
    count = dataset.records_count
    if count is not None and landed.records_count and int(landed.records_count) != count:
        return Verdict(Kind.DATA, f"records_count {landed.records_count} → {count}")
    return None


def _due(landed: Receipt, rules: Rules, now: datetime) -> Verdict | None:
    """A date that never moves is not trusted for ever."""
    compared = instant(landed.fetched_at)
    if compared is not None and now - compared < rules.trust:
        return None
    when = f"{compared:%Y-%m-%d}" if compared else "an unknown day"
    return Verdict(
        Kind.DEEP, f"no date moved, and the content was compared last on {when}: time to look"
    )


def _metadata(landed: Receipt, dataset: Dataset) -> Verdict:
    if landed.metadata_hash != dataset.metadata_hash:
        return Verdict(Kind.METADATA, "labels or description edited, data untouched")
    return Verdict(Kind.UNCHANGED, f"data as of {landed.data_processed or landed.modified}")
