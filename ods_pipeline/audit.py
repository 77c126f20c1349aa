"""Proving landed partitions again from their files alone: digests, counts, schema; no portal.

It reads and reports. What to do about a damaged file is for the next `sync`, which treats it as
lost and fetches it again once it is deleted.
"""

from __future__ import annotations

import contextlib
import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pyarrow as pa
import pyarrow.parquet as pq

from ods_pipeline.errors import ConfigurationError, LakeError
from ods_pipeline.places import Places
from ods_pipeline.portal.address import Address
from ods_pipeline.tables import reading
from ods_pipeline.tables.content import ContentHash
from ods_pipeline.tables.lake import PartitionKind, file_name, receipt
from ods_pipeline.tables.receipt import Receipt
from ods_pipeline.tables.schema import columns_hash

_TAIL = 8  # length of the footer in four bytes, then `PAR1`


@dataclass(frozen=True)
class Audit:
    """What a file's examination came to.

    Attributes:
        kind: `records`, `features` or `catalog`, as the file says of itself.
        problem: What is wrong in one sentence; empty for a file that is as it was published.
    """

    dataset_id: str
    path: Path
    rows: int
    problem: str = ""
    kind: str = ""


def audited(places: Places, names: Sequence[str] = ()) -> list[Audit]:
    """Examine the partitions of a portal, or of all portals in the data folder.

    Args:
        places: Data folder, and the portal if there is one.
        names: Datasets to examine; all of them without it.

    Raises:
        ConfigurationError: There is nothing landed of that name.
    """
    portal = Address.parse(places.portal).slug if places.portal else "*"
    lake = places.data_dir / "lake"
    # By name: what is unfinished lies beside them, and may be another process's at this moment.
    kinds = [f"{portal}/{kind}/*.parquet" for kind in get_args(PartitionKind)]
    paths = sorted(p for name in (f"{portal}/catalog.parquet", *kinds) for p in lake.glob(name))
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
    """Examine one partition.

    Args:
        path: A file of the lake.
    """
    found = receipt(path)
    if found is None:
        return Audit(path.stem, path, 0, _again("its footer cannot be read", path))
    try:
        _examine(path, found)
    except (LakeError, OSError) as error:
        now = receipt(path)
        if now and now != found:
            return audit(path)  # Published anew while it was read.
        said = error.message if isinstance(error, LakeError) else f"it cannot be read: {error}"
        return _told(path, found, _again(said, path))
    return _told(path, found)


def _told(path: Path, found: Receipt, problem: str = "") -> Audit:
    return Audit(found.dataset_id or path.stem, path, found.rows, problem, found.kind)


def _again(problem: str, path: Path) -> str:
    return f"{problem}; delete {path} and sync again"


def _examine(path: Path, found: Receipt) -> None:
    kind, name = path.parent.name, path.stem
    if found.kind != "catalog" and (kind, name) != (found.kind, file_name(found.dataset_id)):
        raise LakeError(f"it says that it holds the {found.kind} of {found.dataset_id}")
    if _body_digest(path) != found.body_sha256:
        raise LakeError("its bytes are not those that were published")
    content = ContentHash()
    try:
        with (
            contextlib.closing(content),
            pq.ParquetFile(path, page_checksum_verification=True) as file,
        ):
            if found.columns_hash and columns_hash(file.schema_arrow) != found.columns_hash:
                raise LakeError("its columns are not those that were published")
            for batch in reading.batches(file):
                content.update(batch)
    except (OSError, pa.ArrowException) as error:
        raise LakeError(f"its pages cannot be read: {error}") from error
    if content.rows != found.rows:
        raise LakeError(f"it holds {content.rows} rows where its receipt says {found.rows}")
    now, then = content.hexdigest(), found.content_hash
    comparable = now.partition(":")[0] == then.partition(":")[0]
    if comparable and now != then:
        raise LakeError("its rows are not those that were proven")


def _body_digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        left = _body_length(file.seek(0, 2), path)
        file.seek(0)
        while left > 0 and (chunk := file.read(min(left, 1 << 20))):
            digest.update(chunk)
            left -= len(chunk)
    return digest.hexdigest()


def _body_length(size: int, path: Path) -> int:
    with path.open("rb") as file:
        file.seek(max(size - _TAIL, 0))
        (footer,) = struct.unpack("<I", file.read(4).ljust(4, b"\0"))
    return int(size - _TAIL - footer)
