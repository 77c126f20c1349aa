"""Keeps the values that landed as null because they are not of their field's declared type.

They stand in `<dataset_id>.rejected.parquet` beside the partition, which has none of them. Whether
such values may be lost is decided in `sync`.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import pyarrow as pa

from ods_pipeline.lake.bucket import LakePath
from ods_pipeline.lake.files import REJECTED
from ods_pipeline.lake.lake import Lake, disk_errors, receipt
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.lake.writer import PartitionWriter, rewrite
from ods_pipeline.tables.oddities import BadValue, text_of

SCHEMA = pa.schema(
    {
        "record": pa.int64(),
        "field": pa.string(),
        "declared": pa.string(),
        "value": pa.string(),
    }
)


class RejectedValues:
    """Writes the bad values of one dataset, in the order in which they come.

    Attributes:
        counts: How many there are of each field.
    """

    def __init__(self, lake: Lake, target: LakePath) -> None:
        """Prepare to write; the file is made with the first value.

        Args:
            lake: The portal's lake.
            target: The partition that lacks them.
        """
        self._lake, self._target = lake, rejected_file(target)
        self._exit = contextlib.ExitStack()
        self._writer: PartitionWriter | None = None
        self.counts: Counter[str] = Counter()

    def __enter__(self) -> RejectedValues:
        """The writer itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Drop what was not published."""
        self._exit.close()

    def add(self, values: Iterable[BadValue]) -> None:
        """Keep some values.

        Raises:
            LakeError: The disk refuses them.
        """
        rows = [(bad.row, bad.field, bad.declared, text_of(bad.value)) for bad in values]
        if self._writer is None:
            with disk_errors(self._target):
                writer = PartitionWriter(self._lake, self._target, SCHEMA)
            self._writer = self._exit.enter_context(writer)
        columns = [list(column) for column in zip(*rows, strict=True)]
        self._writer.write(
            pa.RecordBatch.from_arrays(
                [
                    pa.array(column, kind)
                    for column, kind in zip(columns, SCHEMA.types, strict=True)
                ],
                schema=SCHEMA,
            )
        )
        self.counts.update(field for _, field, _, _ in rows)

    @property
    def note(self) -> str:
        """What was lost, for people; empty for nothing."""
        if not self.counts:
            return ""
        fields = ", ".join(f"{times:,} of {name!r}" for name, times in self.counts.most_common(5))
        total = self.counts.total()
        values = "1 value is" if total == 1 else f"{total:,} values are"
        return (
            f"{values} null for not being of the field's type ({fields}), and kept in "
            f"{self._target.name}"
        )

    def publish(self, known: Receipt) -> None:
        """Replace the file of before; without any value it is removed.

        Args:
            known: Receipt of the partition that lacks the values.

        Raises:
            LakeError: The disk refuses it.
        """
        if self._writer is None:
            with disk_errors(self._target):
                self._target.unlink(missing_ok=True)
            return
        about = Receipt(
            known.portal,
            "rejected",
            known.dataset_id,
            known.dataset_uid,
            title=f"Rejected values of {known.title}",
            fetched_at=known.fetched_at,
            source_url=known.source_url,
        )
        self._writer.publish(about)


def rejected_file(partition: LakePath) -> LakePath:
    """Where the values are that a partition lacks."""
    return partition.with_name(f"{partition.stem}{REJECTED}.parquet")


def move_rejected(lake: Lake, source: LakePath, target: LakePath, dataset_id: str) -> None:
    """Let the rejected values of a renamed dataset follow its partition.

    Args:
        lake: The portal's lake.
        source: The partition under its former name.
        target: The partition under its present one.
        dataset_id: The present identifier.

    Raises:
        LakeError: The disk refuses it; they stay where they were.
    """
    old, new = rejected_file(source), rejected_file(target)
    about = receipt(old)
    if about is not None:
        rewrite(lake, new, SCHEMA, replace(about, dataset_id=dataset_id), "", old)
        with disk_errors(old):
            old.unlink(missing_ok=True)
