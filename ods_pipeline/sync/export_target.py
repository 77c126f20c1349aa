"""Where an export is written: a file is replaced when the new one is whole, a link is followed.

What is no file (a device, a pipe, stdout) is written to, once the whole export is proven. What is
written is not looked at here.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ods_pipeline.errors import ConfigurationError
from ods_pipeline.lake.files import replace_durably, sweep, unfinished
from ods_pipeline.lake.lake import disk_errors

#: Links to what a process has open, which may be files; to replace those helps nobody.
_OPEN = re.compile(r"/dev/(stdin|stdout|stderr|fd/\d+)|/proc/[^/]+/(task/\d+/)?fd/\d+")


@dataclass(frozen=True)
class ExportTarget:
    """Where an export is to be.

    Attributes:
        path: As it was given; `-` for a stream.
        stream: What is written to instead of a path.
    """

    path: Path
    stream: BinaryIO | None = None

    @classmethod
    def of(cls, given: Path | BinaryIO) -> ExportTarget:
        """What is meant by a path, or by a stream."""
        return cls(given) if isinstance(given, Path) else cls(Path("-"), given)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Path]:
        """An empty file to write to, which is put in its place at the end of the block.

        Nothing is, if the block ends in an error.

        Raises:
            ConfigurationError: Nothing can be written there.
            LakeError: The disk refuses it.
        """
        if self.stream or self._is_written_to():
            # Nothing of ours belongs beside a device.
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, "export")
                with disk_errors(path):
                    yield path
                self._copied(path)
            return
        place = Path(os.path.realpath(self.path))
        folder_there = place.parent.is_dir() and os.access(place.parent, os.W_OK)
        if place.is_dir() or place.is_symlink() or not folder_there:
            raise self._refused()
        with disk_errors(place):
            sweep(place.parent, shared=True)
            with unfinished(place.parent, place.name) as path:
                yield path
                replace_durably(path, place)

    def _is_written_to(self) -> bool:
        """Whether there is something that is neither a file nor a folder."""
        if _OPEN.fullmatch(os.path.abspath(self.path)):
            return True
        return self.path.exists() and not self.path.is_file() and not self.path.is_dir()

    def _copied(self, path: Path) -> None:
        with path.open("rb") as source:
            if self.stream:
                shutil.copyfileobj(source, self.stream)
                self.stream.flush()
                return
            if not os.access(self.path, os.W_OK):
                raise self._refused()
            with disk_errors(self.path), self.path.open("wb", buffering=0) as place:
                shutil.copyfileobj(source, place)

    def _refused(self) -> ConfigurationError:
        return ConfigurationError(
            f"{self.path} cannot be written: give a file in a folder where you may write"
        )
