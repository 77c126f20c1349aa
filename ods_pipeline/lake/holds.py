"""The list of holds: partitions that keep their last good rows, and why they do.

`held.parquet` in the lake has one row for each; warehouses load it as `_held`. The decision to hold
a partition is made in `sync`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ods_pipeline.dataset import instant
from ods_pipeline.lake.files import require_files
from ods_pipeline.lake.lake import Lake, PartitionKind, disk_errors, receipt
from ods_pipeline.lake.receipt import Receipt

if TYPE_CHECKING:
    import pyarrow as pa

#: Which partition of a lake: its kind and its dataset.
PartitionKey = tuple[PartitionKind, str]


@dataclass(frozen=True)
class Hold:
    """Why the last good rows of a dataset stay.

    Attributes:
        kind: `records` or `features`.
        verdict: `withdrawn`, `restricted`, `no records`, `emptied`, `shrunk`, `frozen`,
            `quarantined`, `unproven`, `contradicted` or `refused`.
        reason: The same in one sentence.
        since: When that was first seen, ISO 8601 in UTC.
        rows: Number of rows that stay.
        stamp: The dataset's stamp at that time; nothing is fetched before the stamp changes.
        by: What it depends on besides the stamp, such as the filter; empty where on nothing.
        looked: When its data were last fetched in vain, ISO 8601 in UTC; empty if they were not.
    """

    dataset_id: str
    kind: PartitionKind
    verdict: str
    reason: str
    since: str
    rows: int = 0
    stamp: str = ""
    by: str = ""
    looked: str = ""

    def applies_to(self, stamp: str) -> bool:
        """Whether it is about the dataset as it is now, with this stamp, and can be accepted."""
        return not self.stamp or self.stamp == stamp

    @property
    def key(self) -> PartitionKey:
        """The partition that it is about."""
        return self.kind, self.dataset_id


def read_holds(lake: Lake) -> dict[PartitionKey, Hold]:
    """The holds of a lake; none where the file is lost or damaged, which costs a fetch.

    Raises:
        LakeError: No more files may be opened, so the holds are not known.
    """
    if isinstance(lake.holds_file, Path) and not os.path.exists(lake.holds_file):
        return {}
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Not `read_table`, which imports Arrow's whole machinery for folders of files.
        with pq.ParquetFile(lake.holds_file) as file:
            rows = file.read().to_pylist()
        holds = [Hold(**{**row, **_moments(row)}) for row in rows]
    except (OSError, pa.ArrowException, TypeError, KeyError, AttributeError) as error:
        require_files(error)
        return {}
    return {hold.key: hold for hold in holds}


def update_holds(lake: Lake, changes: Mapping[PartitionKey, Hold | None]) -> bool:
    """Add and remove holds; writes nothing where nothing changes.

    Args:
        lake: The portal's lake.
        changes: New holds, and None for partitions that are no longer held; others stay.

    Returns:
        Whether anything was written.

    Raises:
        LakeError: The data folder cannot be written.
    """
    with lake.lock("lake", "held"):
        before = read_holds(lake)
        now = {key: hold for key, hold in {**before, **changes}.items() if hold}
        damaged = lake.holds_file.exists() and receipt(lake.holds_file) is None
        changed = now != before or damaged
        if changed:
            _publish(lake, sorted(now.values(), key=lambda hold: hold.key))
        return changed


def _moments(row: Mapping[str, Any]) -> dict[str, str]:
    looked = row.get("looked")  # Older files do not have it.
    return {"since": row["since"].isoformat(), "looked": looked.isoformat() if looked else ""}


def _schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema(
        {
            "dataset_id": pa.string(),
            "kind": pa.string(),
            "verdict": pa.string(),
            "reason": pa.string(),
            "since": pa.timestamp("ms", "UTC"),
            "rows": pa.int64(),
            "stamp": pa.string(),
            "by": pa.string(),
            "looked": pa.timestamp("ms", "UTC"),
        }
    )


def _publish(lake: Lake, entries: list[Hold]) -> None:
    import pyarrow as pa

    from ods_pipeline.lake.writer import PartitionWriter

    rows = [
        {**asdict(entry), "since": instant(entry.since), "looked": instant(entry.looked)}
        for entry in entries
    ]
    known = Receipt(lake.root.name, "held", title=f"What is held of {lake.root.name}")
    table = pa.Table.from_pylist(rows, _schema())
    with (
        disk_errors(lake.holds_file),
        PartitionWriter(lake, lake.holds_file, table.schema) as writer,
    ):
        for batch in table.to_batches():
            writer.write(batch)
        writer.publish(known)
