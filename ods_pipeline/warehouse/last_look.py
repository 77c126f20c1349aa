"""What a DuckDB file had loaded when it was looked at last, while nobody has changed it since.

To open a file of thousands of tables and count their rows costs more than the rest of a run that
changes nothing. DuckDB changes a file whenever it keeps something, and opening, reading and closing
it does not. What has to be loaded is decided in `sync`.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from ods_pipeline.lake import cache_file
from ods_pipeline.lake.bucket import LakePath
from ods_pipeline.lake.cache_file import signature
from ods_pipeline.lake.lake import Lake
from ods_pipeline.state.locks import locked_elsewhere
from ods_pipeline.warehouse.names import TableNames
from ods_pipeline.warehouse.protocol import LoadedTable

# Some file systems keep times to two seconds: two changes within those look like one.
_SETTLED = 2_000_000_000
_VERSION = metadata.version("ods-pipeline")

#: What tells a state of the file, and of all else that its look depends on, from every other.
Evidence = list[object]


@dataclass(frozen=True)
class LastLook:
    """The last look at the tables of one portal in a DuckDB file.

    For a process that does not have the file open: the system gives up a process's locks of a file
    as soon as the process closes that file, whichever way it had opened it.

    Attributes:
        file: The DuckDB file.
        lake: The portal's lake, on a disk; the look is kept there.
        names: What the portal's schema and tables are called.
    """

    file: Path
    lake: Lake
    names: TableNames

    def evidence(self) -> Evidence | None:
        """What would be another if anything had changed; None where that cannot be said.

        It cannot where another process has the file open, or has left changes beside it that
        DuckDB has not written into it, and right after a change.
        """
        try:
            # Opened, for a network file system tells the times of an open file as they are.
            descriptor = os.open(self.file, os.O_RDONLY | os.O_CLOEXEC)
            try:
                stat = os.fstat(descriptor)
                busy = locked_elsewhere(descriptor)
            finally:
                os.close(descriptor)
            held = self._held()
        except OSError:
            return None
        since = time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns)
        places = {os.path.abspath(self.file), os.path.realpath(self.file)}
        if busy or since < _SETTLED or any(os.path.lexists(f"{place}.wal") for place in places):
            return None
        # Tables are marked by what is held, and another version may read or mark them otherwise.
        return [_VERSION, repr(self.names), sorted(places), signature(stat), held]

    def tables(self) -> Mapping[str, LoadedTable] | None:
        """What is loaded; None where the file has to be opened to know that."""
        evidence = self.evidence()
        kept: Any = cache_file.read(self._kept) if evidence else None
        with contextlib.suppress(KeyError, TypeError, AttributeError):
            if kept["evidence"] == evidence:
                return {name: LoadedTable(*table) for name, table in kept["tables"].items()}
        return None

    def keep(self, before: Evidence | None, tables: Mapping[str, LoadedTable]) -> None:
        """Keep what the opened file had loaded, if nothing has changed from before until now.

        Args:
            before: The evidence before the file was opened; now it is closed.
            tables: What was loaded.
        """
        if before and before == self.evidence():
            kept = {name: astuple(table) for name, table in tables.items()}
            staging_dir = self.lake.root / ".incoming"
            cache_file.write(self._kept, staging_dir, {"evidence": before, "tables": kept})

    @property
    def _kept(self) -> LakePath:
        return self.lake.root / ".loaded.json"

    def _held(self) -> cache_file.Signature | None:
        """The version of the list of holds; None where there is none."""
        with contextlib.suppress(FileNotFoundError):
            return signature(os.stat(str(self.lake.holds_file)))
        return None
