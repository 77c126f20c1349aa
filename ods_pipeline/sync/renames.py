"""Landed partitions brought up to date without asking the portal: new words, another name.

The rows stay as they were proven. What is fetched is `landing`'s work.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq

from ods_pipeline.dataset import Dataset
from ods_pipeline.errors import Damaged, LakeError
from ods_pipeline.lake.holds import PartitionKey
from ods_pipeline.lake.lake import Lake, PartitionKind, disk_errors, receipt
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.lake.writer import rewrite
from ods_pipeline.sync.extractor import RECORDS, Lane
from ods_pipeline.sync.plan import renames
from ods_pipeline.tables.geometry import geometry_columns, primary

_PROVEN = ("source_url", "format", "fetched_at", "proof", "note", "formerly")


def redescribe(dataset: Dataset, lake: Lake, previous: Receipt, *, lane: Lane = RECORDS) -> Receipt:
    """Bring labels, licence and title of a landed partition up to date.

    Args:
        dataset: The dataset as the catalog describes it, with the names and types that are landed.
        lake: Where it is landed.
        previous: Receipt of what is landed.
        lane: The way by which it came.

    Raises:
        LakeError: The partition cannot be read or written; it stays.
    """
    proven = {name: getattr(previous, name) for name in _PROVEN}
    known = Receipt.of(dataset, lane.kind, **proven)
    target = lake.partition(lane.kind, dataset.dataset_id)
    return rewrite(lake, target, lane.schema(dataset), known, primary(dataset.fields))


def follow_all(
    lake: Lake,
    datasets: Iterable[Dataset],
    receipts: Mapping[PartitionKind, dict[str, Receipt]],
    names: Sequence[str] = (),
) -> dict[PartitionKey, str]:
    """Give every landed partition the identifier that the portal has given its dataset.

    Args:
        lake: Where they are landed.
        datasets: The whole catalog.
        receipts: What is landed, by kind and identifier; brought up to date.
        names: The datasets that it is about, and those that stand in their way; all without it.

    Returns:
        The identifiers that partitions had before.

    Raises:
        LakeError: A partition cannot be read or written; it stays.
    """
    catalog = {dataset.dataset_id: dataset for dataset in datasets}
    formerly: dict[PartitionKey, str] = {}
    for kind, known in receipts.items():
        renamed = renames(catalog, known)
        wanted = _needed(renamed, names) if names else renamed.keys()
        for new, old in renamed.items():
            if new not in wanted:
                continue
            # One that is damaged is as good as lost: it is fetched under its new name.
            left = known.pop(old)
            with contextlib.suppress(Damaged):
                known[new] = follow(lake, kind, old, new, left.dataset_uid)
                formerly[kind, new] = old
    return formerly


def _needed(renamed: Mapping[str, str], names: Sequence[str]) -> set[str]:
    """The renamed datasets among some, with those that have to leave a name for them first."""
    needed = set(names) & renamed.keys()
    leaving = {old: new for new, old in renamed.items()}
    while more := {leaving[name] for name in needed if name in leaving} - needed:
        needed |= more
    return needed


def follow(lake: Lake, kind: PartitionKind, old: str, new: str, uid: str) -> Receipt:
    """Give a landed partition the identifier that the portal has given its dataset.

    The new file says what it was called, and is whole before the old one goes; broken off in
    between, it is finished by the next call.

    Args:
        lake: Where it is landed.
        kind: `records` or `features`.
        old: The identifier under which it is landed.
        new: The identifier that it has now.
        uid: The identity of the dataset: a file of the old name may be another's by now.

    Raises:
        Damaged: The partition cannot be read.
        LakeError: The partition cannot be written; the old one stays.
    """
    source, target = lake.partition(kind, old), lake.partition(kind, new)
    with lake.lock(kind, new):
        left, there = receipt(source), receipt(target)
        ours = left is not None and left.dataset_uid == uid
        if there is None or there.dataset_uid != uid or old not in there.former_names:
            if there is not None and there.dataset_uid != uid and there.dataset_uid:
                raise LakeError(f"{target} is still another dataset's; run again", dataset=new)
            if left is None or not ours:
                raise Damaged(f"{source} is not there any more, or damaged", dataset=new)
            there = _renamed(lake, source, target, left, new)
        again = receipt(source)
        if again is not None and again.dataset_uid == uid:
            with disk_errors(source):
                source.unlink(missing_ok=True)
    return there


def _renamed(lake: Lake, source: Path, target: Path, known: Receipt, new: str) -> Receipt:
    names = json.dumps([*known.former_names, known.dataset_id], ensure_ascii=False)
    schema = pq.read_schema(source).remove_metadata()
    first = next(iter(geometry_columns(schema)), "")
    told = replace(known, dataset_id=new, formerly=names)
    return rewrite(lake, target, schema, told, first, source)
