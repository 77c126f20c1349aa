"""Receipts remembered: thousands of footers need not be read when no file has changed.

What is remembered holds for a file of the very same inode, size and times; all others are read.
The list is a help and no proof: where it is missing or damaged the files are read, and where it
cannot be written nothing is lost. What a receipt says is `receipt`'s.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from ods_pipeline.lake.files import unfinished
from ods_pipeline.lake.receipt import Receipt

_FORM = 1
# So few files are read sooner than the list is written.
_FEW = 100

_Mark = list[int]


def receipts(
    folder: Path, spool: Path, read: Callable[[Path], Receipt | None]
) -> dict[str, Receipt]:
    """The receipts of all readable partitions of a folder, by dataset, in the order of the files.

    Args:
        folder: Where the partitions lie.
        spool: Folder for unfinished files; where there is none, nothing is written.
        read: Reads the receipt of a file, None for a damaged one.
    """
    known, marks = _remembered(folder), _marks(folder)
    found: dict[str, Receipt] = {}
    told: dict[str, tuple[_Mark, dict[str, str]]] = {}
    anew = 0
    for name, mark in sorted(marks.items()):
        before, item = known.get(name, (None, None))
        if item is None or before != mark:
            item = read(folder / name)
            anew += 1
        if item:
            found[item.dataset_id] = item
            told[name] = mark, item.metadata()
    if anew >= _FEW:
        _remember(folder, spool, told)
    return found


def _marks(folder: Path) -> dict[str, _Mark]:
    """What each partition of a folder is recognised by."""
    found = {}
    nothing = (FileNotFoundError, NotADirectoryError, PermissionError)
    with contextlib.suppress(*nothing), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".parquet"):
                # What nobody can look at, such as a link to itself, counts as lost.
                with contextlib.suppress(OSError):
                    seen = entry.stat()
                    times = [seen.st_mtime_ns, seen.st_ctime_ns]
                    found[entry.name] = [seen.st_dev, seen.st_ino, seen.st_size, *times]
    return found


def _list(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.json"


def _remembered(folder: Path) -> dict[str, tuple[_Mark | None, Receipt | None]]:
    try:
        raw = json.loads(_list(folder).read_bytes())
        if raw["form"] != _FORM:
            return {}
        return {
            name: (mark, Receipt.from_entries(entries))
            for name, (mark, entries) in raw["files"].items()
            if all(type(value) is str for value in entries.values())
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _remember(folder: Path, spool: Path, told: dict[str, tuple[_Mark, dict[str, str]]]) -> None:
    text = json.dumps({"form": _FORM, "files": told})
    # A reader may have no right to write, and another run may sweep what is unfinished.
    with contextlib.suppress(OSError), unfinished(spool, "receipts.json") as path:
        path.write_text(text, "utf-8")
        path.replace(_list(folder))
