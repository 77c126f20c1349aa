"""Proving landed files again from themselves alone: digests, counts, schema; no portal.

It reads and reports. What to do about a damaged file is for the next `sync`, which treats it as
lost and fetches it again once it is deleted.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, get_args
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from ods_pipeline.errors import ConfigurationError, LakeError
from ods_pipeline.lake.checksum import intact
from ods_pipeline.lake.content_hash import ContentHash
from ods_pipeline.lake.lake import PartitionKind, file_name
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.tables.batches import read_batches
from ods_pipeline.tables.schema import columns_hash

_OF_THE_LAKE = ("catalog", "held")


@dataclass(frozen=True)
class Audit:
    """What a file's examination came to.

    Attributes:
        kind: `records`, `features`, `catalog` or `held`.
        rows: Rows in the file; none are counted in a damaged one.
        problem: What is wrong in one sentence; empty for a file that is as it was published.
    """

    dataset_id: str
    path: Path
    rows: int
    problem: str = ""
    kind: str = ""


def audited(lake: Path, portal: str = "", names: Sequence[str] = ()) -> list[Audit]:
    """Examine the partitions of a portal, or of all portals of a lake.

    Args:
        lake: The folder of all portals.
        portal: Slug of the portal; all portals without it.
        names: Datasets to examine; all of them without it.

    Raises:
        ConfigurationError: There is nothing landed of that name.
    """
    portal = portal or "*"
    # By name: what is unfinished lies beside them, and may be another process's at this moment.
    kinds = [f"{portal}/{kind}/*.parquet" for kind in get_args(PartitionKind)]
    whole = [f"{portal}/{kind}.parquet" for kind in _OF_THE_LAKE]
    paths = sorted(path for name in (*whole, *kinds) for path in lake.glob(name))
    if names:
        # By file name, so that the rest of a large lake is not read for one dataset.
        wanted = {file_name(name): name for name in names}
        unknown = set(wanted) - {path.stem for path in paths}
        if unknown:
            missing = min(wanted[stem] for stem in unknown)
            raise ConfigurationError(f"{missing} is not landed in {lake}; sync it first")
        paths = [path for path in paths if path.stem in wanted]
    return [audit(path) for path in paths]


def audit(path: Path) -> Audit:
    """Examine one file, whatever it turns out to be.

    Args:
        path: A file of the lake.
    """
    try:
        # Opened once: the next version may be published under this name meanwhile.
        with contextlib.closing(os.fdopen(_opened(path), "rb")) as file:
            found = _examined(path, file)
    except (LakeError, OSError) as error:
        said = error.message if isinstance(error, LakeError) else f"it cannot be read: {error}"
        # Not from its receipt: nothing is believed of a damaged file.
        kind = path.stem if path.stem in _OF_THE_LAKE else path.parent.name
        name = unquote(path.stem, errors="replace")
        return Audit(name, path, 0, f"{said}; delete {path} and sync again", kind)
    return Audit(found.dataset_id or path.stem, path, found.rows, "", found.kind)


def _opened(path: Path) -> int:
    # A pipe would be waited for, and a device read for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise LakeError("it is no file")
    return descriptor


def _examined(path: Path, file: BinaryIO) -> Receipt:
    # First, so that no reader of Parquet ever meets bytes that were tampered with.
    if not intact(file):
        raise LakeError("its bytes are not those that were published")
    content = ContentHash()
    try:
        with (
            contextlib.closing(content),
            pq.ParquetFile(file, page_checksum_verification=True) as parquet,
        ):
            found = _of_this_place(path, parquet)
            for batch in read_batches(parquet):
                content.update(batch)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise LakeError(f"its pages cannot be read: {error}") from error
    _require_same_rows(content, found)
    return found


def _of_this_place(path: Path, parquet: pq.ParquetFile) -> Receipt:
    found = Receipt.from_metadata(parquet.metadata.metadata or {})
    if found is None:
        raise LakeError("it carries no receipt")
    # Below the folder of all portals.
    if found.kind in _OF_THE_LAKE:
        claimed = Path(found.portal, f"{found.kind}.parquet")
    else:
        claimed = Path(found.portal, found.kind, f"{file_name(found.dataset_id)}.parquet")
    if path.absolute().parts[-len(claimed.parts) :] != claimed.parts:
        raise LakeError(f"it says that it is {claimed}")
    if found.columns_hash and columns_hash(parquet.schema_arrow) != found.columns_hash:
        raise LakeError("its columns are not those that were published")
    return found


def _require_same_rows(content: ContentHash, found: Receipt) -> None:
    if content.rows != found.rows:
        raise LakeError(f"it holds {content.rows} rows where its receipt says {found.rows}")
    now, then = content.hexdigest(), found.content_hash
    comparable = now.partition(":")[0] == then.partition(":")[0]
    if comparable and now != then:
        raise LakeError("its rows are not those that were proven")
