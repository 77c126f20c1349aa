"""The verdict: whether a dataset is out of date, and which signal says so.

A pure function of what is landed and what the catalog says now. It asks nothing and does nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ods_pipeline.dataset import Dataset, same_moment
from ods_pipeline.tables.receipt import Receipt


class Kind(StrEnum):
    """What has become of a dataset since it was last landed."""

    NEW = "new"
    DATA = "data"
    SCHEMA = "schema"
    METADATA = "metadata"
    UNCHANGED = "unchanged"
    FULL = "full"
    RESTRICTED = "restricted"
    NO_RECORDS = "no records"
    NO_GEOMETRY = "no geometry"
    WITHDRAWN = "withdrawn"
    UNKNOWN = "unknown"


_FETCHED = frozenset({Kind.NEW, Kind.DATA, Kind.SCHEMA, Kind.FULL})
_SKIPPED = frozenset(
    {Kind.RESTRICTED, Kind.NO_RECORDS, Kind.NO_GEOMETRY, Kind.WITHDRAWN, Kind.UNKNOWN}
)


@dataclass(frozen=True)
class Verdict:
    """A kind of change and the signal that moved, old → new."""

    kind: Kind
    reason: str

    @property
    def fetches(self) -> bool:
        """Whether the records have to be asked for."""
        return self.kind in _FETCHED

    @property
    def skips(self) -> bool:
        """Whether there is nothing that could be asked for."""
        return self.kind in _SKIPPED


def verdict(landed: Receipt | None, dataset: Dataset | None, *, full: bool = False) -> Verdict:
    """Decide what a dataset needs.

    `data_processed` is the portal's own date of the data. `modified` stands in for it only where
    it is missing: half the portals let people type it. `metadata_processed` is not looked at, for
    portals touch it in bulk.

    Args:
        landed: Receipt of the partition in the lake, if there is a readable one.
        dataset: The dataset in the catalog, or None when the catalog has it no more.
        full: Whether what is landed is to be ignored.
    """
    if dataset is None and landed is None:
        return Verdict(Kind.UNKNOWN, "the catalog lists no such dataset, or not to you")
    if dataset is None:
        return Verdict(Kind.WITHDRAWN, "the catalog lists it no more; what is landed stays")
    unavailable = _unavailable(dataset)
    if unavailable:
        return unavailable
    if landed is None:
        return Verdict(Kind.NEW, "nothing landed yet")
    if full:
        return Verdict(Kind.FULL, "asked for in full, whatever is landed")
    if landed.schema_hash != dataset.schema_hash:
        return Verdict(Kind.SCHEMA, "the portal declares other field names or types")
    return _data(landed, dataset) or _metadata(landed, dataset)


def _unavailable(dataset: Dataset) -> Verdict | None:
    if not dataset.has_records:
        return Verdict(Kind.NO_RECORDS, "it has attachments or links, no records")
    if not dataset.data_visible:
        return Verdict(Kind.RESTRICTED, "its metadata are public, its records are not")
    if not dataset.fields:
        return Verdict(Kind.RESTRICTED, "the portal shows none of its fields")
    if dataset.records_count == 0:
        return Verdict(Kind.NO_RECORDS, "the catalog counts 0 records; what is landed stays")
    return None


def _data(landed: Receipt, dataset: Dataset) -> Verdict | None:
    signal = "data_processed" if dataset.data_processed or landed.data_processed else "modified"
    before, now = getattr(landed, signal), getattr(dataset, signal)
    if not now and not before:
        return Verdict(Kind.DATA, "the catalog gives no date to compare")
    if not same_moment(before, now):
        return Verdict(Kind.DATA, f"{signal} {before or 'nothing'} → {now or 'nothing'}")
    count = dataset.records_count
    if count is not None and landed.records_count and int(landed.records_count) != count:
        return Verdict(Kind.DATA, f"records_count {landed.records_count} → {count}")
    return None


def _metadata(landed: Receipt, dataset: Dataset) -> Verdict:
    if landed.metadata_hash != dataset.metadata_hash:
        return Verdict(Kind.METADATA, "labels or description edited, data untouched")
    return Verdict(Kind.UNCHANGED, f"data as of {landed.data_processed or landed.modified}")
