"""Verifies landed files by themselves: checksum, counts, schema, rows.

It reads and reports. Repairs do not belong here: `sync` fetches a file again once it is deleted.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, get_args
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from ods_pipeline.errors import ConfigurationError, LakeError
from ods_pipeline.lake.bucket import LakePath, ObjectPath
from ods_pipeline.lake.checksum import intact
from ods_pipeline.lake.content_hash import ContentHash, is_current
from ods_pipeline.lake.files import REJECTED, require_files
from ods_pipeline.lake.lake import PartitionKind, file_name
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.tables.batches import read_batches
from ods_pipeline.tables.schema import columns_hash

_OF_THE_LAKE = ("catalog", "held")


@dataclass(frozen=True)
class Audit:
    """The result of examining one file.

    Attributes:
        kind: `records`, `features`, `catalog` or `held`.
        rows: Rows in the file; 0 for a damaged one.
        problem: What is wrong in one sentence; empty for a sound file.
    """

    dataset_id: str
    path: LakePath
    rows: int
    problem: str = ""
    kind: str = ""


def audited(lake: LakePath, portal: str = "", names: Sequence[str] = ()) -> list[Audit]:
    """Examine the partitions of a portal, or of all portals of a lake.

    Args:
        lake: The folder of all portals.
        portal: Slug of the portal; all portals without it.
        names: Datasets to examine; all of them without it.

    Raises:
        ConfigurationError: There is nothing landed of that name.
    """
    portal = portal or "*"
    # By name: the folder also has unfinished files, perhaps of another process.
    kinds = [f"{portal}/{kind}/*.parquet" for kind in get_args(PartitionKind)]
    whole = [f"{portal}/{kind}.parquet" for kind in _OF_THE_LAKE]
    paths = _found(lake, (*whole, *kinds))
    if names:
        # By file name, so that the rest of a large lake is not read for one dataset.
        wanted = {file_name(name): name for name in names}
        unknown = set(wanted) - {path.stem for path in paths}
        if unknown:
            missing = min(wanted[stem] for stem in unknown)
            raise ConfigurationError(f"{missing} is not landed in {lake}; sync it first")
        paths = [path for path in paths if path.stem in wanted]
    return [audit(path) for path in paths]


def _found(lake: LakePath, patterns: Sequence[str]) -> list[LakePath]:
    """The files of these names, in their order."""
    if isinstance(lake, ObjectPath):
        names = (PurePosixPath(name) for name, _ in lake.files())
        return [lake / str(name) for name in sorted(names) if any(map(name.match, patterns))]
    return [*sorted(path for pattern in patterns for path in lake.glob(pattern))]


def audit(path: LakePath) -> Audit:
    """Examine one file of any content.

    Args:
        path: A file of the lake.

    Raises:
        LakeError: No more files may be opened, so nothing is known of it.
    """
    try:
        # Opened once: the next version may be published under this name meanwhile.
        with contextlib.closing(os.fdopen(_opened(path), "rb")) as file:
            receipt = _examined(path, file)
    except (LakeError, OSError) as error:
        require_files(error)
        problem = error.message if isinstance(error, LakeError) else f"it cannot be read: {error}"
        # By path and not by receipt: nothing in a damaged file is trusted.
        kind = path.stem if path.stem in _OF_THE_LAKE else path.parent.name
        name = unquote(path.stem, errors="replace")
        return Audit(name, path, 0, f"{problem}; delete {path} and sync again", kind)
    return Audit(receipt.dataset_id or path.stem, path, receipt.rows, "", receipt.kind)


def _opened(path: LakePath) -> int:
    # Opening a pipe would wait for a writer, and a device may never end.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise LakeError("it is no file")
    return descriptor


def _examined(path: LakePath, file: BinaryIO) -> Receipt:
    # First, so that no Parquet reader gets bytes that were tampered with.
    if not intact(file):
        raise LakeError("its bytes are not those that were published")
    content = ContentHash()
    try:
        with (
            pq.ParquetFile(file, page_checksum_verification=True) as parquet,
        ):
            receipt = _receipt_for(path, parquet)
            for batch in read_batches(parquet):
                content.update(batch)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise LakeError(f"its pages cannot be read: {error}") from error
    _require_same_rows(content, receipt)
    return receipt


def _receipt_for(path: LakePath, parquet: pq.ParquetFile) -> Receipt:
    receipt = Receipt.from_metadata(parquet.metadata.metadata or {})
    if receipt is None:
        raise LakeError("it carries no receipt")
    # Relative to the folder of all portals.
    if receipt.kind in _OF_THE_LAKE:
        claimed = Path(receipt.portal, f"{receipt.kind}.parquet")
    elif receipt.kind == "rejected":
        name = f"{file_name(receipt.dataset_id)}{REJECTED}.parquet"
        claimed = Path(receipt.portal, path.parent.name, name)
    else:
        claimed = Path(receipt.portal, receipt.kind, f"{file_name(receipt.dataset_id)}.parquet")
    if path.absolute().parts[-len(claimed.parts) :] != claimed.parts:
        raise LakeError(f"it says that it is {claimed}")
    if receipt.columns_hash and columns_hash(parquet.schema_arrow) != receipt.columns_hash:
        raise LakeError("its columns are not those that were published")
    return receipt


def _require_same_rows(content: ContentHash, receipt: Receipt) -> None:
    if content.rows != receipt.rows:
        raise LakeError(f"it holds {content.rows} rows where its receipt says {receipt.rows}")
    then = receipt.content_hash
    if is_current(then) and content.hexdigest() != then:
        raise LakeError("its rows are not those that were proven")
