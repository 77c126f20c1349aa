"""One dataset brought up to date and told about: the step that assets and job have in common.

What it needs is `planning`'s decision, the work `landing`'s and `upkeep`'s; here they become
metadata, data version and check figures. What Dagster does with these is `assets`' and `job`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ods_pipeline.dagster.config import Mode
from ods_pipeline.dagster.metadata import of_map, of_partition, version
from ods_pipeline.errors import DataError, HeldBack, NothingToLand
from ods_pipeline.lake.lake import receipt
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.sync.catalog import require_gone
from ods_pipeline.sync.landing import Landing, Wanted, land
from ods_pipeline.sync.plan import Planned
from ods_pipeline.sync.planner import Work
from ods_pipeline.sync.renames import follow, redescribe
from ods_pipeline.sync.verdict import ALARMING, Kind, Verdict, verdict
from ods_pipeline.tables.schema_diff import Difference, difference

_SAME = Difference()


@dataclass(frozen=True)
class Brought:
    """What bringing one dataset up to date came to.

    Attributes:
        receipt: Receipt of what is landed now.
        verdict: What the dataset needed, and why.
        path: The partition.
        change: How its columns differ from those landed before.
        landing: What the fetch came to; None where nothing was fetched.
        requests: Sent for it.
        differs: Whether a comparison found other content on the portal.
        page: The dataset's page on the portal.
        formerly: The identifier that it had until now, where the portal has renamed it.
    """

    receipt: Receipt
    verdict: Verdict
    path: Path
    change: Difference
    landing: Landing | None
    requests: int
    differs: bool
    page: str
    formerly: str = ""

    def difference(self) -> DataError:
        """The failure that a comparison ends with where the contents differ."""
        return DataError(
            "the portal has other rows than what is landed; run it in the mode full",
            portal=self.receipt.portal,
            dataset=self.receipt.dataset_id,
        )

    @property
    def moved(self) -> bool:
        """Whether anything was to be done."""
        return self.verdict.kind is not Kind.UNCHANGED or bool(self.formerly)

    @property
    def version(self) -> str:
        """The data version of what is landed now."""
        return version(self.receipt, pq.read_schema(self.path))

    def metadata(self) -> dict[str, Any]:
        """What the UI shows of it."""
        done = self.landing
        return {
            "verdict": str(self.verdict.kind),
            "reason": self.verdict.reason,
            "requests": self.requests,
            "bytes": done.bytes if done else 0,
            "seconds": round(done.seconds, 3) if done else 0.0,
            "same_content": bool(done and not done.changed),
            **({"schema_change": str(self.change)} if str(self.change) else {}),
            **of_map(self.path, self.receipt.kind),
            **of_partition(self.path, self.receipt, self.page),
        }


@dataclass(frozen=True)
class _Done:
    """What a turn at a partition came to."""

    receipt: Receipt
    change: Difference = _SAME
    landing: Landing | None = None


def bring(work: Work, step: Planned) -> Brought:
    """Bring one dataset up to date with what the portal says of it.

    What is planned compares with the receipt in the landed file, so that a lost Dagster instance
    fetches nothing again.

    Raises:
        HeldBack: A person has to look at it first; the old partition stays.
        OdsPipelineError: It cannot be; the old partition stays.
    """
    client, name = work.portal.client, step.dataset_id
    before = client.requests_by_this_thread
    _require(work, step)
    if step.landed and step.verdict.kind is Kind.UNCHANGED and not (work.verifies or step.formerly):
        done = _Done(step.landed)
    else:
        if step.formerly and step.landed:
            uid = step.landed.dataset_uid
            follow(work.lake, step.lane.kind, step.formerly, step.dataset_id, uid)
        with work.lake.lock(*step.place, stop=client.cancelled.is_set):
            done = _in_turn(work, step)
    return Brought(
        receipt=done.receipt,
        verdict=step.verdict,
        path=work.lake.partition(*step.place),
        change=done.change,
        landing=done.landing,
        requests=client.requests_by_this_thread - before,
        differs=bool(work.verifies and done.landing and done.landing.changed),
        page=f"{client.address.base}/explore/dataset/{name}/",
        formerly=step.formerly,
    )


def _require(work: Work, step: Planned) -> None:
    """Refuse in one sentence what is not to be fetched, or cannot be compared."""
    found, where = step.verdict, {"dataset": step.dataset_id, "portal": work.portal.slug}
    if found.kind in ALARMING:
        raise HeldBack(str(found.kind), found.reason, **where)
    if found.kind is Kind.REFUSED:
        raise DataError(found.reason, **where)
    if step.newly_withdrawn:
        require_gone(work.portal, step.dataset_id)
    if found.skips:
        step.lane.require(step.present)
        raise NothingToLand(found.reason, **where)
    if work.verifies and (step.landed is None or step.formerly):
        raise NothingToLand(
            "nothing is landed that could be verified; run it in the mode incremental first",
            **where,
        )


def _in_turn(work: Work, step: Planned) -> _Done:
    lane, lake = step.lane, work.lake
    path = lake.partition(*step.place)
    previous = receipt(path)
    known = pq.read_schema(path) if previous else None
    if previous and not _fetches(work, step, previous):
        told = redescribe(step.present, lake, previous, lane=lane)
        return _Done(told, difference(known, pq.read_schema(path)))
    wanted = Wanted(
        step.present,
        lane,
        previous,
        work.rules,
        accept=step.taken(work.accept),
        publish=not work.verifies,
    )
    with work.portal.client.reserved(lane.requests, step.dataset_id):
        landing = land(work.portal, wanted, lake)
    standing = previous if work.verifies and previous else landing.receipt
    return _Done(standing, difference(known, pq.read_schema(path)), landing)


def _fetches(work: Work, step: Planned, landed: Receipt) -> bool:
    """Whether the records have to be asked for, still: another run may have landed them."""
    as_planned = step.landed is not None and step.landed.fetched_at == landed.fetched_at
    if as_planned or work.verifies or work.accept or work.mode is Mode.full:
        return work.verifies or step.verdict.fetches
    return verdict(landed, step.dataset, rules=work.rules).fetches
