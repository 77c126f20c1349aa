"""The lake: the folder of a portal's partitions, their file names, and its locks.

A file under its final name is complete and proven; unfinished files are in `.incoming`, which
readers of Parquet folders ignore. How a portal is asked and what is fetched do not belong here.
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

from ods_pipeline.errors import OUT_OF_FILES, LakeError, LakeUnwritable, out_of_files
from ods_pipeline.lake import locks, receipt_cache
from ods_pipeline.lake.files import REJECTED, make_durably, require_files, sweep, unfinished
from ods_pipeline.lake.receipt import Receipt

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
    def holds_file(self) -> Path:
        """The list of holds; missing where there never was any."""
        return self.root / "held.parquet"

    def files(self, kind: str, dataset_id: str = "") -> Path:
        """The folder of files that are no partitions, such as a dataset's attachments.

        Args:
            kind: `attachments`, `files` or `catalog`.
            dataset_id: The dataset; empty for what is the portal's.
        """
        folder = self.root.parents[1] / "files" / self.root.name / kind
        return folder / file_name(dataset_id) if dataset_id else folder

    def partition(self, kind: str, dataset_id: str) -> Path:
        """The file of a dataset's records or features.

        Args:
            kind: `records` or `features`.
            dataset_id: Any text: what a file name cannot hold is percent-encoded.
        """
        return self.root / kind / f"{file_name(dataset_id)}.parquet"

    def columns(self, kind: str, dataset_id: str) -> pa.Schema:
        """The columns of a partition, with labels and other descriptions as metadata.

        Raises:
            OSError: There is no such file.
            pa.ArrowException: It is damaged.
        """
        return pq.read_schema(self.partition(kind, dataset_id))

    def receipts(self, kind: str) -> dict[str, Receipt]:
        """The receipts of all readable partitions, by dataset; a damaged file counts as lost."""
        return receipt_cache.receipts(self.root / kind, self.root / ".incoming", receipt)

    def require_folder(self) -> None:
        """Have a place to write to; a portal's own folder is made when something of it comes.

        So a mistyped address leaves nothing behind.

        Raises:
            LakeError: The folder cannot be written.
        """
        if self.root.exists():
            self.staging_dir()
            return
        with disk_errors(self.root / "file"):
            make_durably(self.root.parent)

    def staging_dir(self) -> Path:
        """The folder for unfinished files, made if needed; removes those of killed processes.

        Raises:
            LakeError: The folder cannot be written.
        """
        folder = self.root / ".incoming"
        with disk_errors(folder / "file"):
            make_durably(folder)
            sweep(folder)
        return folder

    @contextlib.contextmanager
    def incoming(self, name: str) -> Iterator[Path]:
        """Make an empty unfinished file, removed at the end of the block in any case.

        Raises:
            LakeError: The folder cannot be written.
        """
        folder = self.staging_dir()
        with contextlib.ExitStack() as stack:
            with disk_errors(folder / "file"):
                path = stack.enter_context(unfinished(folder, name))
            yield path

    @contextlib.contextmanager
    def lock(
        self, kind: str, dataset_id: str = "", stop: Callable[[], bool] = lambda: False
    ) -> Iterator[None]:
        """Lock a partition until the end of the block; other threads and processes wait.

        A thread must not take the same lock twice. A killed process loses its locks.

        Args:
            kind: `records` or `features`; `lake` for what belongs to the whole lake.
            dataset_id: The dataset.
            stop: Called repeatedly while waiting; the wait ends when it returns true.

        Raises:
            LakeError: `stop` returned true, or the folder cannot be written.
        """
        with contextlib.ExitStack() as stack:
            with disk_errors(self.root / "file"):
                make_durably(self.root)
                locked = locks.lock(self.root / ".turns", f"{kind}/{dataset_id}", stop)
                try:
                    stack.enter_context(locked)
                except locks.Stopped as error:
                    busy = f"another run is working on {dataset_id or 'the lake'}"
                    raise LakeError(f"{busy}; stopped waiting for it") from error
            yield


def file_name(dataset_id: str) -> str:
    """A dataset's identifier as a file name: itself for every identifier seen in the wild."""
    name = quote(dataset_id, safe="@+,= ", errors="surrogatepass")
    if name.endswith(REJECTED):
        # The file of another dataset's rejected values.
        name = f"{name.removesuffix(REJECTED)}%2E{REJECTED[1:]}"
    if name.startswith(".") or not name:
        name = f"%2E{name[1:]}" if name else "%"
    elif _DEVICE.fullmatch(name):
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if len(name) > _LONGEST_NAME:
        digest = hashlib.sha256(dataset_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        name = f"{name[:_LONGEST_NAME]}~{digest}"
    return name


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn errors of the operating system into one sentence about the folder of a path.

    Raises:
        LakeError: Instead of any OSError.
    """
    try:
        yield
    except OSError as error:
        raise _lake_error(error, path.parent) from error


def _lake_error(error: OSError, folder: Path) -> LakeError:
    if out_of_files(error):
        return LakeError(OUT_OF_FILES)
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return LakeError(
            f"the disk of {folder} is full; free some space: what was landed is complete"
        )
    if error.errno == errno.EFBIG:
        advice = "raise it (`ulimit -f`); what was landed is complete"
        return LakeError(f"a file in {folder} has reached the limit on the size of files: {advice}")
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        advice = "correct its permissions or set ODS_DATA_DIR to another folder"
        return LakeUnwritable(f"{folder} cannot be written; {advice}")
    reason = error.strerror or error
    return LakeUnwritable(f"{folder} cannot be used ({reason}); set ODS_DATA_DIR to a folder")


def receipt(path: Path) -> Receipt | None:
    """The receipt in a file's footer; None where there is no file or no readable receipt.

    Raises:
        LakeError: No more files may be opened, so nothing is known of it.
    """
    try:
        # Opening a pipe would wait for a writer.
        if not stat.S_ISREG(path.stat().st_mode):
            return None
        return Receipt.from_metadata(pq.read_metadata(path).metadata or {})
    except (OSError, ValueError, pa.ArrowException) as error:
        require_files(error)
        return None
