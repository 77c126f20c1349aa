"""A cache of receipts, so that a run need not read thousands of footers of unchanged files.

An entry is valid for a file of the same inode, size and times; other files are read. A missing or
damaged cache costs time, never correctness. The format of receipts does not belong here.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from ods_pipeline.lake.files import REJECTED, unfinished
from ods_pipeline.lake.receipt import Receipt

_FORM = 1
# Reading so few files is faster than writing the cache.
_FEW = 100

# Rejected values lie beside the partition that lacks them.
_NO_PARTITION = f"{REJECTED}.parquet"

_Signature = list[int]


def receipts(
    folder: Path, staging_dir: Path, read: Callable[[Path], Receipt | None]
) -> dict[str, Receipt]:
    """The receipts of all readable partitions of a folder, by dataset, in the order of the files.

    Args:
        folder: The folder of partitions.
        staging_dir: Folder for unfinished files; where there is none, nothing is written.
        read: Reads the receipt of a file, None for a damaged one.
    """
    cached, missed = _read_cache(folder), 0
    found: dict[str, Receipt] = {}
    entries: dict[str, tuple[_Signature, dict[str, str]]] = {}
    for name, signature in sorted(_signatures(folder).items()):
        before, receipt = cached.get(name, (None, None))
        if receipt is None or before != signature:
            receipt = read(folder / name)
            missed += 1
        if receipt:
            found[receipt.dataset_id] = receipt
            entries[name] = signature, receipt.metadata()
    if missed >= _FEW:
        text = json.dumps({"form": _FORM, "files": entries})
        # A reader may have no right to write, and another run may remove unfinished files.
        with contextlib.suppress(OSError), unfinished(staging_dir, "receipts.json") as path:
            path.write_text(text, "utf-8")
            path.replace(_cache_file(folder))
    return found


def _signatures(folder: Path) -> dict[str, _Signature]:
    """What identifies the present version of each partition of a folder."""
    found = {}
    nothing = (FileNotFoundError, NotADirectoryError, PermissionError)
    with contextlib.suppress(*nothing), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".parquet") and not entry.name.endswith(_NO_PARTITION):
                # A file without a status, such as a link to itself, counts as lost.
                with contextlib.suppress(OSError):
                    stat = entry.stat()
                    times = [stat.st_mtime_ns, stat.st_ctime_ns]
                    found[entry.name] = [stat.st_dev, stat.st_ino, stat.st_size, *times]
    return found


def _cache_file(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.json"


def _read_cache(folder: Path) -> dict[str, tuple[_Signature | None, Receipt | None]]:
    try:
        raw = json.loads(_cache_file(folder).read_bytes())
        if raw["form"] != _FORM:
            return {}
        return {
            name: (signature, Receipt.from_entries(entries))
            for name, (signature, entries) in raw["files"].items()
            if all(type(value) is str for value in entries.values())
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
