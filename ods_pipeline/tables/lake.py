"""The lake: where partitions live, and how one is published whole or not at all.

A file under its final name is complete and proven; anything else lies in `.incoming`, which
readers of Parquet folders ignore. Fetching and judging data is not this module's work.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from ods_pipeline.errors import LakeError, LakeUnwritable
from ods_pipeline.tables.content import ContentHash
from ods_pipeline.tables.geometry import GeoSummary, geo_metadata
from ods_pipeline.tables.receipt import Receipt

_LONGEST_NAME = 200
ROWS_PER_GROUP = 65_536


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
        path = self.spool() / f"{os.getpid()}.{os.urandom(4).hex()}.{name[:80]}"
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)


def file_name(dataset_id: str) -> str:
    """A dataset's identifier as a file name: itself for every identifier seen in the wild."""
    name = quote(dataset_id, safe="@+,= ")
    if name.startswith("."):
        name = "%2E" + name[1:]
    if len(name) > _LONGEST_NAME:
        digest = hashlib.sha256(dataset_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        name = f"{name[:_LONGEST_NAME]}~{digest}"
    return name


def _sweep(folder: Path) -> None:
    for leftover in folder.iterdir():
        owner = leftover.name.partition(".")[0]
        if owner.isdigit() and not _alive(int(owner)):
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


class _Hashed:
    """A file for Parquet's writer that keeps the digest of all that was written to it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb")
        self.digest = hashlib.sha256()
        self.closed = False

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self._file.write(data)

    def tell(self) -> int:
        return self._file.tell()

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()


class PartitionWriter:
    """Writes one partition batch by batch and publishes it when its receipt is known.

    Memory stays within one row group. Leaving the `with` block without `publish` leaves the
    partition as it was.
    """

    def __init__(self, lake: Lake, target: Path, schema: pa.Schema, primary: str = "") -> None:
        """Open a writer.

        Args:
            lake: The portal's lake.
            target: Final name of the file.
            schema: Canonical types with field metadata; `geo_*` columns hold WKB.
            primary: Name of the primary geometry column, if there is any.
        """
        self.target = target
        self.content = ContentHash()
        self._schema = schema
        self._primary = primary
        self._pending: list[pa.RecordBatch] = []
        self._geometries = {name: GeoSummary() for name in _geometry_columns(schema)}
        self._exit = contextlib.ExitStack()
        self._path = self._exit.enter_context(lake.incoming(target.name))
        self._file = _Hashed(self._path)
        self._parquet = pq.ParquetWriter(
            self._file,
            schema.remove_metadata(),
            compression="zstd",
            compression_level=1,
            store_schema=False,
            write_page_checksum=True,
        )

    def __enter__(self) -> PartitionWriter:
        """The writer itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Drop what was not published."""
        try:
            if kind is not None:
                with contextlib.suppress(OSError, pa.ArrowException):
                    self._parquet.close()
                with contextlib.suppress(OSError):
                    self._file.close()
        finally:
            self._exit.__exit__(kind, error, trace)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows of the schema's types."""
        self.content.update(batch)
        for name, summary in self._geometries.items():
            summary.update(batch.column(name))
        self._pending.append(batch)
        if sum(waiting.num_rows for waiting in self._pending) >= ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        group = pa.Table.from_batches(self._pending, self._schema)
        self._pending.clear()
        if group.num_rows:
            with explained(self.target):
                self._parquet.write_table(group, row_group_size=group.num_rows)

    def summary(self, known: Receipt) -> Receipt:
        """A receipt with the count and the content of what was written so far."""
        return replace(
            known, row_count=str(self.content.rows), content_hash=self.content.hexdigest()
        )

    def publish(self, known: Receipt) -> Receipt:
        """Make the partition the one that readers see: footer, fsync, rename, fsync.

        Args:
            known: Receipt without counts and hashes of the file, which are added here.

        Returns:
            The whole receipt, as it stands in the file's footer.

        Raises:
            LakeError: The disk does not let it; the old partition stays.
        """
        self._flush()
        whole = replace(self.summary(known), body_sha256=self._file.digest.hexdigest())
        metadata = whole.metadata()
        if self._geometries:
            metadata["geo"] = geo_metadata(self._geometries, self._primary)
        arrow = self._schema.with_metadata(metadata).serialize().to_pybytes()
        with explained(self.target):
            self._parquet.add_key_value_metadata(
                {**metadata, "ARROW:schema": base64.b64encode(arrow).decode()}
            )
            self._parquet.close()
            self._file.close()
            replace_durably(self._path, self.target)
        return whole


def replace_durably(path: Path, target: Path) -> None:
    """Rename a finished file into place so that a power cut leaves the old or the new one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    path.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _geometry_columns(schema: pa.Schema) -> Iterable[str]:
    return [
        item.name
        for item in schema
        if (item.metadata or {}).get(b"ods_type", b"").startswith(b"geo_")
    ]


def rewrite(lake: Lake, target: Path, schema: pa.Schema, known: Receipt, primary: str) -> Receipt:
    """Write a partition again with other descriptions and the same rows; asks the portal nothing.

    Args:
        lake: The portal's lake.
        target: The partition.
        schema: The same names and types with new field metadata.
        known: The new receipt without counts and hashes.
        primary: Name of the primary geometry column, if there is any.

    Returns:
        The new receipt, with the content hash of before.
    """
    with explained(target), PartitionWriter(lake, target, schema, primary) as writer:
        with pq.ParquetFile(target, page_checksum_verification=True) as old:
            for batch in old.iter_batches(ROWS_PER_GROUP, use_threads=False):
                writer.write(batch)
        return writer.publish(known)


def read_metadata(path: Path) -> Mapping[bytes, bytes]:
    """All entries of a file's footer, the receipt's and others'."""
    return pq.read_metadata(path).metadata or {}
