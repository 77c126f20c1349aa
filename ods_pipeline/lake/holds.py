"""What is held: partitions whose last good rows stay although the portal says otherwise, and why.

`held.parquet` in the lake has one row for each, for whoever reads the lake; warehouses load it as
`_held`. Deciding what is held is `verdict`'s and `landing`'s work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from ods_pipeline.dataset import instant
from ods_pipeline.lake.lake import Lake, PartitionKind, explained, receipt
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.lake.writer import PartitionWriter

SCHEMA = pa.schema(
    {
        "dataset_id": pa.string(),
        "kind": pa.string(),
        "verdict": pa.string(),
        "reason": pa.string(),
        "since": pa.timestamp("ms", "UTC"),
        "rows": pa.int64(),
        "stamp": pa.string(),
    }
)

Place = tuple[PartitionKind, str]


@dataclass(frozen=True)
class Hold:
    """Why the last good rows of a dataset stay.

    Attributes:
        kind: `records` or `features`.
        verdict: `withdrawn`, `restricted`, `no records`, `emptied`, `shrunk`, `frozen` or
            `quarantined`.
        reason: The same in one sentence.
        since: When that was first seen, ISO 8601 in UTC.
        rows: How many stay.
        stamp: What the portal said of the dataset then; nothing is fetched again before it says
            something else.
    """

    dataset_id: str
    kind: PartitionKind
    verdict: str
    reason: str
    since: str
    rows: int = 0
    stamp: str = ""

    def shown(self, stamp: str) -> bool:
        """Whether a person who accepts it has been shown what the portal has now.

        Args:
            stamp: What the portal says of the dataset now.
        """
        return not self.stamp or self.stamp == stamp

    @property
    def place(self) -> Place:
        """Which partition it is about."""
        return self.kind, self.dataset_id


def holds(lake: Lake) -> dict[Place, Hold]:
    """What is held of a lake; nothing where the file is lost or damaged, which costs a fetch."""
    try:
        # Not by `read_table`, which first of all imports all that folders of files are read with.
        with pq.ParquetFile(lake.held) as file:
            rows = file.read().to_pylist()
        found = [Hold(**{**row, "since": row["since"].isoformat()}) for row in rows]
    except (OSError, pa.ArrowException, TypeError, KeyError, AttributeError):
        return {}
    return {hold.place: hold for hold in found}


def keep(lake: Lake, changes: Mapping[Place, Hold | None]) -> bool:
    """Write down what is held now and what is held no more; nothing is written for no change.

    Args:
        lake: The portal's lake.
        changes: The partitions that were looked at; those not named stay as they are.

    Returns:
        Whether anything was written.

    Raises:
        LakeError: The data folder cannot be written.
    """
    with lake.lock("lake", "held"):
        before = holds(lake)
        now = {place: hold for place, hold in {**before, **changes}.items() if hold}
        damaged = lake.held.exists() and receipt(lake.held) is None
        changed = now != before or damaged
        if changed:
            _publish(lake, sorted(now.values(), key=lambda hold: hold.place))
        return changed


def _publish(lake: Lake, entries: list[Hold]) -> None:
    rows = [{**asdict(entry), "since": instant(entry.since)} for entry in entries]
    known = Receipt(lake.root.name, "held", title=f"What is held of {lake.root.name}")
    with explained(lake.held), PartitionWriter(lake, lake.held, SCHEMA) as writer:
        for batch in pa.Table.from_pylist(rows, SCHEMA).to_batches():
            writer.write(batch)
        writer.publish(known)
