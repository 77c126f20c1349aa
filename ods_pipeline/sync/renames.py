"""Renamed datasets: which they are, and how their landed partitions follow without a fetch.

`dataset_uid` is the identity of a dataset; its identifier may change. Tables follow in `warehouse`.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace

from ods_pipeline.dataset import Dataset
from ods_pipeline.errors import Damaged, LakeError
from ods_pipeline.lake.bucket import LakePath
from ods_pipeline.lake.footers import columns_of
from ods_pipeline.lake.holds import PartitionKey
from ods_pipeline.lake.lake import Lake, PartitionKind, disk_errors, receipt
from ods_pipeline.lake.receipt import Receipt


def renames(catalog: Mapping[str, Dataset], receipts: Mapping[str, Receipt]) -> dict[str, str]:
    """Datasets that are landed under another identifier than the catalog's: new to old.

    `dataset_uid` is the identity. One that two datasets claim identifies neither, and a name that
    another landed dataset keeps stays with that dataset.

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
    ordered: dict[str, str] = {}
    waiting = dict(wanted)
    moved: set[str] = set()
    while ready := [
        new for new, old in waiting.items() if _free(new, old, alike[new.lower()] - moved, receipts)
    ]:
        for new in ready:
            ordered[new] = waiting.pop(new)
            moved.add(ordered[new])
    return ordered


def _free(new: str, old: str, alike: Set[str], receipts: Mapping[str, Receipt]) -> bool:
    """Whether no other landed dataset has a name, in any case of its letters.

    Args:
        new: The name.
        old: The landed dataset that is to get it.
        alike: Landed datasets with that name, in any case of its letters.
        receipts: What is landed.
    """
    others = alike - {old}
    if others - {new}:
        return False
    if new not in others:
        return True
    # A file of the new name that has the old one as its former name: a renaming was interrupted.
    there = receipts[new]
    return there.dataset_uid == receipts[old].dataset_uid and old in there.former_names


def follow_all(
    lake: Lake,
    datasets: Iterable[Dataset],
    receipts: Mapping[PartitionKind, dict[str, Receipt]],
    names: Sequence[str] = (),
) -> dict[PartitionKey, str]:
    """Give every landed partition the identifier that its dataset has on the portal now.

    Args:
        lake: Where they are landed.
        datasets: The whole catalog.
        receipts: What is landed, by kind and identifier; brought up to date.
        names: Only these datasets, and those that have to leave a name for them; all without it.

    Returns:
        The former identifiers of the partitions that were renamed.

    Raises:
        LakeError: A partition cannot be read or written; it stays.
    """
    catalog = {dataset.dataset_id: dataset for dataset in datasets}
    formerly: dict[PartitionKey, str] = {}
    for kind, landed in receipts.items():
        renamed = renames(catalog, landed)
        wanted = _needed(renamed, names) if names else renamed.keys()
        for new, old in renamed.items():
            if new not in wanted:
                continue
            # A damaged one counts as lost: it is fetched under its new name.
            left = landed.pop(old)
            with contextlib.suppress(Damaged):
                landed[new] = follow(lake, kind, old, new, left.dataset_uid)
                formerly[kind, new] = old
    return formerly


def _needed(renamed: Mapping[str, str], names: Sequence[str]) -> set[str]:
    """The renamed datasets among these names, and those that have to leave a name for them."""
    needed = set(names) & renamed.keys()
    leaving = {old: new for new, old in renamed.items()}
    while more := {leaving[name] for name in needed if name in leaving} - needed:
        needed |= more
    return needed


def follow(lake: Lake, kind: PartitionKind, old: str, new: str, uid: str) -> Receipt:
    """Give a landed partition the identifier that its dataset has on the portal now.

    The new file names the old identifier, and is complete before the old file is removed. If that
    is interrupted, the next call finishes it.

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
            from ods_pipeline.lake.rejected import move_rejected

            move_rejected(lake, source, target, new)
            with disk_errors(source):
                source.unlink(missing_ok=True)
    return there


def _renamed(lake: Lake, source: LakePath, target: LakePath, landed: Receipt, new: str) -> Receipt:
    from ods_pipeline.lake.writer import rewrite
    from ods_pipeline.tables.geometry import geometry_columns

    names = json.dumps([*landed.former_names, landed.dataset_id], ensure_ascii=False)
    schema = columns_of(source).remove_metadata()
    first = next(iter(geometry_columns(schema)), "")
    renamed = replace(landed, dataset_id=new, formerly=names)
    return rewrite(lake, target, schema, renamed, first, source)
