"""A cache of receipts, so that a run need not read thousands of footers of unchanged files.

An entry is valid for a file of the same inode, size and times, in a bucket for an object of the
same ETag and size; other files are read. A missing or damaged cache costs time, never correctness.
The format of receipts does not belong here.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from ods_pipeline.lake import cache_file
from ods_pipeline.lake.bucket import LakePath, ObjectPath, Version
from ods_pipeline.lake.cache_file import Signature, signature
from ods_pipeline.lake.files import REJECTED
from ods_pipeline.lake.receipt import Receipt

_FORM = 1
# Reading a file of so many is faster than writing the cache; but the first that is read costs the
# import of Arrow, so a small cache is always written.
_OF_MANY = 100
# In a bucket each footer is a request, which waits more than it works.
_AT_ONCE = 16

# Rejected values lie beside the partition that lacks them.
_NO_PARTITION = f"{REJECTED}.parquet"


def receipts(
    folder: LakePath, staging_dir: LakePath, read: Callable[[LakePath], Receipt | None]
) -> dict[str, Receipt]:
    """The receipts of all readable partitions of a folder, by dataset, in the order of the files.

    Args:
        folder: The folder of partitions.
        staging_dir: Folder for unfinished files; where there is none, nothing is written.
        read: Reads the receipt of a file, None for a damaged one.
    """
    cached = _read_cache(_cache_file(folder))
    signatures = dict(sorted(_signatures(folder).items()))
    known = {name: cached[name][1] for name, at in signatures.items() if _is(cached, name, at)}
    missed = [name for name in signatures if known.get(name) is None]
    in_bucket = isinstance(folder, ObjectPath)
    paths = (_path(folder, name, signatures[name]) for name in missed)
    if in_bucket and len(missed) > 1:
        with ThreadPoolExecutor(_AT_ONCE, "footers") as pool:
            known.update(zip(missed, pool.map(read, paths), strict=True))
    else:
        known.update(zip(missed, map(read, paths), strict=True))
    found = {name: receipt for name in signatures if (receipt := known[name])}
    enough = 1 if in_bucket else max(1, len(found) // _OF_MANY)
    if sum(name in found for name in missed) >= enough:
        files = {name: (signatures[name], receipt.metadata()) for name, receipt in found.items()}
        cache_file.write(_cache_file(folder), staging_dir, {"form": _FORM, "files": files})
    return {receipt.dataset_id: receipt for receipt in found.values()}


def receipt_of(
    file: LakePath, staging_dir: LakePath, read: Callable[[LakePath], Receipt | None]
) -> Receipt | None:
    """The receipt of a single file, read as those of a folder are; None for none.

    Args:
        file: The file. In a bucket it is always read: its version would be a request as well.
        staging_dir: Folder for unfinished files; where there is none, nothing is written.
        read: Reads the receipt of a file, None for a damaged one.
    """
    if isinstance(file, ObjectPath):
        return read(file)
    try:
        at = signature(file.stat())
    except OSError:
        return read(file)
    cache = file.with_name(f".{file.stem}.json")
    cached = _read_cache(cache)
    if _is(cached, file.name, at):
        return cached[file.name][1]
    receipt = read(file)
    if receipt:
        files = {file.name: (at, receipt.metadata())}
        cache_file.write(cache, staging_dir, {"form": _FORM, "files": files})
    return receipt


def _path(folder: LakePath, name: str, at: Signature) -> LakePath:
    if not isinstance(folder, ObjectPath):
        return folder / name
    return replace(folder / name, listed=Version(str(at[0]), int(at[1])))


def _is(
    cached: dict[str, tuple[Signature | None, Receipt | None]], name: str, at: Signature
) -> bool:
    return name in cached and cached[name][0] == at


def _signatures(folder: LakePath) -> dict[str, Signature]:
    """What identifies the present version of each partition of a folder."""
    found: dict[str, Signature] = {}
    if isinstance(folder, ObjectPath):
        return {name: [at.tag, at.size] for name, at in folder.files() if _is_partition(name)}
    nothing = (FileNotFoundError, NotADirectoryError, PermissionError)
    with contextlib.suppress(*nothing), os.scandir(folder) as entries:
        for entry in entries:
            if _is_partition(entry.name):
                # A file without a status, such as a link to itself, counts as lost.
                with contextlib.suppress(OSError):
                    found[entry.name] = signature(entry.stat())
    return found


def _is_partition(name: str) -> bool:
    return name.endswith(".parquet") and not name.endswith(_NO_PARTITION) and "/" not in name


def _cache_file(folder: LakePath) -> LakePath:
    return folder.parent / f".{folder.name}.json"


def _read_cache(cache: LakePath) -> dict[str, tuple[Signature | None, Receipt | None]]:
    raw = cache_file.read(cache, _as_receipt)
    try:
        if raw["form"] != _FORM:
            return {}
        return {
            name: (signature, receipt)
            for name, (signature, receipt) in raw["files"].items()
            if isinstance(receipt, Receipt)
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _as_receipt(found: dict[str, Any]) -> Any:
    """The receipt that some entries make; anything else as it is."""
    if "portal" in found and all(type(value) is str for value in found.values()):
        return Receipt.from_entries(found) or found
    return found
