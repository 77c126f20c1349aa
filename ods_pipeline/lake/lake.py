"""The lake: where a portal's partitions live, finished ones and unfinished ones.

A file under its final name is complete and proven; anything else lies in `.incoming`, which
readers of Parquet folders ignore (`unfinished` tells why nothing stays there). What is inside a
file is `partition`'s work.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from ods_pipeline.errors import LakeError, LakeUnwritable
from ods_pipeline.lake import locks, receipt_cache
from ods_pipeline.lake.files import discard_unfinished, make_durably, sweep, unfinished
from ods_pipeline.lake.receipt import Receipt

__all__ = ["Lake", "PartitionKind", "discard_unfinished", "explained", "file_name", "receipt"]

PartitionKind = Literal["records", "features"]

_LONGEST_NAME = 200
# Names that Windows keeps for devices, whatever follows a dot: a lake may lie on a shared drive.
_DEVICE = re.compile(r"(CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9])([. ].*)?", re.IGNORECASE)


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

    @property
    def held(self) -> Path:
        """The file of what is held, see `holds`; missing where nothing ever was."""
        return self.root / "held.parquet"

    def partition(self, kind: str, dataset_id: str) -> Path:
        """The file of a dataset's records or features.

        Args:
            kind: `records` or `features`.
            dataset_id: Any text: what a file name cannot hold is percent-encoded.
        """
        return self.root / kind / f"{file_name(dataset_id)}.parquet"

    def columns(self, kind: str, dataset_id: str) -> pa.Schema:
        """The columns of a partition, with what the publisher said of them.

        Raises:
            OSError: There is no such file.
            pa.ArrowException: It is damaged.
        """
        return pq.read_schema(self.partition(kind, dataset_id))

    def receipts(self, kind: str) -> dict[str, Receipt]:
        """The receipts of all readable partitions, by dataset; a damaged file counts as lost."""
        return receipt_cache.receipts(self.root / kind, self.root / ".incoming", receipt)

    def spool(self) -> Path:
        """The folder for what is unfinished, made if needed and swept of what was left behind.

        Raises:
            LakeError: The folder cannot be written.
        """
        folder = self.root / ".incoming"
        with explained(folder / "file"):
            make_durably(folder)
            sweep(folder)
        return folder

    @contextlib.contextmanager
    def incoming(self, name: str) -> Iterator[Path]:
        """An empty file for something unfinished, gone afterwards, whatever happens.

        Raises:
            LakeError: The folder cannot be written.
        """
        folder = self.spool()
        with contextlib.ExitStack() as stack:
            with explained(folder / "file"):
                path = stack.enter_context(unfinished(folder, name))
            yield path

    @contextlib.contextmanager
    def lock(
        self, kind: str, dataset_id: str = "", stop: Callable[[], bool] = lambda: False
    ) -> Iterator[None]:
        """Land a dataset while no other thread or process does; waits for its turn.

        The same thread must not ask for a turn that it has. A process that is killed gives its
        turns back.

        Args:
            kind: `records` or `features`; `lake` for what belongs to the whole lake.
            dataset_id: The dataset.
            stop: Asked again and again while waiting; the wait ends when it says so.

        Raises:
            LakeError: `stop` said so, or the folder cannot be written.
        """
        with contextlib.ExitStack() as stack:
            with explained(self.root / "file"):
                make_durably(self.root)
                locked = locks.lock(self.root / ".turns", f"{kind}/{dataset_id}", stop)
                try:
                    stack.enter_context(locked)
                except locks.Stopped as error:
                    what = dataset_id or "the lake"
                    raise LakeError(f"another run is at {what}; no longer waited for") from error
            yield


def file_name(dataset_id: str) -> str:
    """A dataset's identifier as a file name: itself for every identifier seen in the wild."""
    name = quote(dataset_id, safe="@+,= ", errors="surrogatepass")
    if name.startswith(".") or not name:
        name = f"%2E{name[1:]}" if name else "%"
    elif _DEVICE.fullmatch(name):
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if len(name) > _LONGEST_NAME:
        digest = hashlib.sha256(dataset_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        name = f"{name[:_LONGEST_NAME]}~{digest}"
    return name


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
    if error.errno == errno.EFBIG:
        advice = "raise it (`ulimit -f`); what was landed is whole"
        return LakeError(f"a file in {folder} has reached the limit on the size of files: {advice}")
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        advice = "correct its permissions or set ODS_DATA_DIR to another folder"
        return LakeUnwritable(f"{folder} cannot be written; {advice}")
    said = error.strerror or error
    return LakeUnwritable(f"{folder} cannot be used ({said}); set ODS_DATA_DIR to a folder")


def receipt(path: Path) -> Receipt | None:
    """The receipt in a file's footer; None where there is no file or no readable receipt."""
    try:
        # A pipe would be waited for.
        if not stat.S_ISREG(path.stat().st_mode):
            return None
        return Receipt.from_metadata(pq.read_metadata(path).metadata or {})
    except (OSError, ValueError, pa.ArrowException):
        return None
