"""DuckDB's failures in one sentence each: what is wrong, with which file, what to do.

Only words: what is rolled back or tried again is decided where it happens.
"""

from __future__ import annotations

import re
from pathlib import Path

import duckdb

from ods_pipeline.errors import WarehouseError, WarehouseLocked

_HOLDER = re.compile(r"held in (?P<program>.+?) \(PID (?P<pid>\d+)\)")
_KNOWN = (
    ("No space left on device", "the disk that holds {path} is full: free some and try again"),
    ("File too large", "{path} cannot grow any further: see to the limit on the size of files"),
    ("not a valid DuckDB", "{path} is not a DuckDB database: set ODS_WAREHOUSE to another file"),
    ("different configuration", "{path} is open read-only in this process: close it and try again"),
    ("Is a directory", "{path} is a folder: set ODS_WAREHOUSE to a file"),
    ("Permission denied", "{path} cannot be written: see to its permissions"),
    ("Cannot open file", "{path} cannot be written: see to the folder that it is in"),
)

_DAMAGED = "Corrupt database file"


def failure(
    error: duckdb.Error | OSError, path: Path, *, portal: str = "", dataset: str = ""
) -> WarehouseError:
    """The sentence for a failure of the engine or of the file system.

    Args:
        error: What was raised.
        path: The database file.
        portal: Slug of the portal concerned.
        dataset: Identifier of the dataset concerned.
    """
    if isinstance(error, OSError):
        reason = f"{error.strerror}: {error.filename}"
        return WarehouseError(f"{path} cannot be written ({reason}): see to its folder")
    text = str(error)
    if "Could not set lock" in text or "being used by another process" in text:
        return WarehouseLocked(_locked(text, path), portal=portal, dataset=dataset)
    for sign, sentence in _KNOWN:
        if sign in text:
            return WarehouseError(sentence.format(path=path), portal=portal, dataset=dataset)
    told = f"the warehouse {path} refused: {_first_line(text)}"
    if _DAMAGED in text:
        told = f"{told}; move the file away and sync again, the lake has all that it held"
    return WarehouseError(told, portal=portal, dataset=dataset)


def _locked(text: str, path: Path) -> str:
    holder = _HOLDER.search(text)
    who = f" ({Path(holder['program']).name}, process {holder['pid']})" if holder else ""
    return f"the warehouse {path} is in use by another process{who}: close it there and try again"


def _first_line(text: str) -> str:
    # "IO Error: …" and the like name DuckDB's classes, which tell the reader nothing.
    return re.sub(r"^[A-Z][\w-]*( [\w-]+)? Error: ", "", text.strip().partition("\n")[0])
