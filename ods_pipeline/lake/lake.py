"""The lake: the folder of a portal's partitions, their file names, and its locks.

A file under its final name is complete and proven; unfinished files are in `.incoming`, which
readers of Parquet folders ignore. How a portal is asked and what is fetched do not belong here.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from ods_pipeline.errors import ConfigurationError, LakeError
from ods_pipeline.lake import copies, receipt_cache, uploads
from ods_pipeline.lake.bucket import LakePath, ObjectPath
from ods_pipeline.lake.files import (
    REJECTED,
    disk_error,
    make_durably,
    require_files,
    sweep,
    unfinished,
)
from ods_pipeline.lake.footers import columns_of, footer
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.state.advisory import DatabaseLocks
from ods_pipeline.state.database import Database
from ods_pipeline.state.locks import FileLocks, Locks, NoLocks, Stopped

if TYPE_CHECKING:
    import pyarrow as pa

PartitionKind = Literal["records", "features"]

_LONGEST_NAME = 200
# Names that Windows keeps for devices, whatever follows a dot: a lake may lie on a shared drive.
_DEVICE = re.compile(r"(CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9])([. ].*)?", re.IGNORECASE)


@dataclass(frozen=True)
class Lake:
    """One portal's folder of partitions, on a disk or in a bucket.

    Attributes:
        root: `<data>/lake/<portal>`.
        state: Where the processes of several hosts lock partitions; without it in the folder.
    """

    root: LakePath
    state: Database | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, data_dir: LakePath, portal: str, state: Database | None = None) -> Lake:
        """The lake of a portal below the data folder."""
        return cls(data_dir / "lake" / portal, state)

    @property
    def catalog(self) -> LakePath:
        """The catalog's file, one row per dataset."""
        return self.root / "catalog.parquet"

    @property
    def holds_file(self) -> LakePath:
        """The list of holds; missing where there never was any."""
        return self.root / "held.parquet"

    def files(self, kind: str, dataset_id: str = "") -> Path:
        """The folder of files that are no partitions, such as a dataset's attachments.

        Args:
            kind: `attachments`, `files` or `catalog`.
            dataset_id: The dataset; empty for what is the portal's.

        Raises:
            ConfigurationError: The data folder is in a bucket.
        """
        if isinstance(self.root, ObjectPath):
            raise ConfigurationError(
                "attachments and files are kept in a folder, not in a bucket: name a folder, on "
                "the command line with -o, for Dagster with ODS_DATA_DIR"
            )
        folder = self.root.parents[1] / "files" / self.root.name / kind
        return folder / file_name(dataset_id) if dataset_id else folder

    def partition(self, kind: str, dataset_id: str) -> LakePath:
        """The file of a dataset's records or features.

        Args:
            kind: `records` or `features`.
            dataset_id: Any text: what a file name cannot hold is percent-encoded.
        """
        return self.root / f"{kind}/{file_name(dataset_id)}.parquet"

    def columns(self, kind: str, dataset_id: str) -> pa.Schema:
        """The columns of a partition, with labels and other descriptions as metadata.

        Raises:
            OSError: There is no such file.
            pa.ArrowException: It is damaged.
            LakeError: It is in a bucket that does not answer.
        """
        return columns_of(self.partition(kind, dataset_id))

    def receipts(self, kind: str) -> dict[str, Receipt]:
        """The receipts of all readable partitions, by dataset; a damaged file counts as lost."""
        return receipt_cache.receipts(self.root / kind, self.root / ".incoming", receipt)

    def catalog_receipt(self) -> Receipt | None:
        """The receipt of the catalog; None where there is none, or a damaged one.

        Raises:
            LakeError: No more files may be opened, or a bucket does not answer.
        """
        return receipt_cache.receipt_of(self.catalog, self.root / ".incoming", receipt)

    def require_folder(self) -> None:
        """Have a place to write to; a portal's own folder is made when something of it comes.

        So a mistyped address leaves nothing behind.

        Raises:
            LakeError: The folder cannot be written.
        """
        if isinstance(self.root, ObjectPath):
            uploads.drop_abandoned(self.root)
        elif self.root.exists():
            self.staging_dir()
        else:
            with disk_errors(self.root / "file"):
                make_durably(self.root.parent)

    def staging_dir(self) -> Path:
        """The folder for unfinished files, made if needed; removes those of killed processes.

        Raises:
            LakeError: The folder cannot be written.
        """
        if isinstance(self.root, ObjectPath):
            return copies.incoming(self.root.root)
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

        A thread must not take the same lock twice. A killed process loses its locks. What was
        written under a lock is published after `locks.require_held` alone.

        Args:
            kind: `records` or `features`; `lake` for what belongs to the whole lake.
            dataset_id: The dataset.
            stop: Called repeatedly while waiting; the wait ends when it returns true.

        Raises:
            LakeError: `stop` returned true, or the folder cannot be written.
            StateError: The database of the locks cannot be reached.
        """
        with contextlib.ExitStack() as stack:
            with disk_errors(self.root / "file"):
                try:
                    stack.enter_context(self._locks().lock(f"{kind}/{dataset_id}", stop))
                except Stopped as error:
                    busy = f"another run is working on {dataset_id or 'the lake'}"
                    raise LakeError(f"{busy}; stopped waiting for it") from error
            yield

    def _locks(self) -> Locks:
        if self.state:
            # Not by the folder's whole name: hosts may have mounted it in different places.
            return DatabaseLocks(self.state, self.root.name)
        if isinstance(self.root, ObjectPath):
            # Among the runs of this machine. Those of others are noticed when they publish.
            return FileLocks(copies.locks_file(self.root.root))
        make_durably(self.root)
        return FileLocks(self.root / ".turns")


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
def disk_errors(path: LakePath) -> Iterator[None]:
    """Turn errors of the operating system into one sentence about the folder of a path.

    Raises:
        LakeError: Instead of any OSError, and where the file system has no locks.
    """
    try:
        yield
    except (OSError, NoLocks) as error:
        if isinstance(path, ObjectPath):
            place = copies.folder(path.root), copies.SETTING
        else:
            place = path.parent, "ODS_DATA_DIR"
        raise disk_error(error, *place) from error


def receipt(path: LakePath) -> Receipt | None:
    """The receipt in a file's footer; None where there is no file or no readable receipt.

    Raises:
        LakeError: No more files may be opened, or a bucket does not answer: nothing is known of it.
    """
    try:
        # Opening a pipe would wait for a writer.
        if isinstance(path, Path) and not stat.S_ISREG(path.stat().st_mode):
            return None
    except OSError as error:
        require_files(error)
        return None
    import pyarrow as pa

    try:
        return Receipt.from_metadata(footer(path).metadata or {})
    except (OSError, ValueError, pa.ArrowException) as error:
        require_files(error)
        return None
