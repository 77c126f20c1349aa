"""Files that save time: what was learned of other files, with what tells that these are the same.

A missing or damaged one costs time, never correctness. What is kept in them does not belong here.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ods_pipeline.errors import LakeError
from ods_pipeline.lake.bucket import LakePath, ObjectPath
from ods_pipeline.lake.files import unfinished

Signature = list[int | str]


def signature(stat: os.stat_result) -> Signature:
    """What tells a version of a file on a disk from every other file and version."""
    times = [stat.st_mtime_ns, stat.st_ctime_ns]
    return [stat.st_dev, stat.st_ino, stat.st_size, *times]


def read(file: LakePath, hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """What was kept; None where there is nothing, or nothing readable.

    Args:
        file: Where.
        hook: What is made of each object as soon as it is read, so that not all stand side by side.
    """
    with contextlib.suppress(OSError, LakeError, ValueError, TypeError, RecursionError):
        return json.loads(file.read_bytes(), object_hook=hook)
    return None


def write(file: LakePath, staging_dir: LakePath, content: Any) -> None:
    """Keep something as JSON.

    Args:
        file: Where.
        staging_dir: Folder for unfinished files; where there is none, nothing is written.
        content: What to keep.
    """
    text = json.dumps(content)
    # A reader may have no right to write, and another run may remove unfinished files.
    with contextlib.suppress(OSError, LakeError):
        if isinstance(file, ObjectPath):
            file.write_bytes(text.encode())
        elif isinstance(staging_dir, Path):
            with unfinished(staging_dir, "cache.json") as path:
                path.write_text(text, "utf-8")
                path.replace(file)
