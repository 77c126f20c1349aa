"""The lake: where a portal's partitions live, finished ones and unfinished ones.

A file under its final name is complete and proven; anything else lies in `.incoming`, which
readers of Parquet folders ignore. What is inside a file is `partition`'s work.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from ods_pipeline.errors import LakeError, LakeUnwritable
from ods_pipeline.tables.receipt import Receipt

PartitionKind = Literal["records", "features"]

_LONGEST_NAME = 200
_HOST = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())
_UNFINISHED: set[Path] = set()


@dataclass(frozen=True)
class Lake:
    """One portal's folder of partitions.

    Attributes:
        root: `<data>/lake/<portal>`.
    """

    root: Path

    @classmethod
    def of(cls, data_dir: Path, portal: str) -> Lake:
        """The lake of a portal below the data folder."""
        return cls(data_dir / "lake" / portal)

    @property
    def catalog(self) -> Path:
        """The catalog's file, one row per dataset."""
        return self.root / "catalog.parquet"

    def partition(self, kind: str, dataset_id: str) -> Path:
        """The file of a dataset's records or features.

        Args:
            kind: `records` or `features`.
            dataset_id: Any text: what a file name cannot hold is percent-encoded.
        """
        return self.root / kind / f"{file_name(dataset_id)}.parquet"

    def receipts(self, kind: str) -> dict[str, Receipt]:
        """The receipts of all readable partitions, by dataset; a damaged file counts as lost."""
        found = (receipt(path) for path in sorted(self.root.glob(f"{kind}/*.parquet")))
        return {item.dataset_id: item for item in found if item}

    def spool(self) -> Path:
        """The folder for what is unfinished, made if needed and swept of what was left behind.

        Raises:
            LakeError: The folder cannot be written.
        """
        folder = self.root / ".incoming"
        with explained(folder / "file"):
            folder.mkdir(parents=True, exist_ok=True)
            _sweep(folder)
        return folder

    @contextlib.contextmanager
    def incoming(self, name: str) -> Iterator[Path]:
        """A path for something unfinished, gone afterwards, whatever happens.

        Raises:
            LakeError: The folder cannot be written.
        """
        path = self.spool() / f"{_HOST}~{os.getpid()}.{os.urandom(4).hex()}.{name[:80]}"
        _UNFINISHED.add(path)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)
            _UNFINISHED.discard(path)


def discard_unfinished() -> None:
    """Remove what this process has begun and not published; for an end that waits for no thread."""
    for path in tuple(_UNFINISHED):
        path.unlink(missing_ok=True)


def file_name(dataset_id: str) -> str:
    """A dataset's identifier as a file name: itself for every identifier seen in the wild."""
    name = quote(dataset_id, safe="@+,= ", errors="surrogatepass")
    if name.startswith(".") or not name:
        name = f"%2E{name[1:]}" if name else "%"
    if len(name) > _LONGEST_NAME:
        digest = hashlib.sha256(dataset_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        name = f"{name[:_LONGEST_NAME]}~{digest}"
    return name


def _sweep(folder: Path) -> None:
    for leftover in folder.iterdir():
        host, _, rest = leftover.name.partition("~")
        owner = rest.partition(".")[0]
        # A process of another machine or container is not to be judged from here.
        if host == _HOST and owner.isdigit() and not _alive(int(owner)):
            leftover.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the operating system says of a path into one sentence.

    Raises:
        LakeError: Instead of any OSError.
    """
    try:
        yield
    except OSError as error:
        raise _advice(error, path.parent) from error


def _advice(error: OSError, folder: Path) -> LakeError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return LakeError(f"the disk of {folder} is full; free some space: what was landed is whole")
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        advice = "correct its permissions or set ODS_DATA_DIR to another folder"
        return LakeUnwritable(f"{folder} cannot be written; {advice}")
    said = error.strerror or error
    return LakeUnwritable(f"{folder} cannot be used ({said}); set ODS_DATA_DIR to a folder")


def receipt(path: Path) -> Receipt | None:
    """The receipt in a file's footer; None where there is no file or no readable receipt."""
    try:
        return Receipt.from_metadata(pq.read_metadata(path).metadata or {})
    except (OSError, pa.ArrowException, UnicodeDecodeError):
        return None


def replace_durably(path: Path, target: Path) -> None:
    """Rename a finished file into place so that a power cut leaves the old or the new one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    path.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
