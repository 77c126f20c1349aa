"""Forgets the snapshots of rows that were replaced long ago, and then removes their files.

A snapshot is kept for as long as its rows were replaced more recently than that, however old it is:
somebody may have begun to read it a moment before. Loads do not belong here.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from pyarrow.fs import FileSelector, FileSystem, FileType
from pyiceberg.io import FileIO
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.table import Table
from pyiceberg.table.locations import load_location_provider
from pyiceberg.table.snapshots import Snapshot

from ods_pipeline.redaction import redacted
from ods_pipeline.warehouse.iceberg.files import own_name

_LOG = logging.getLogger(__name__)
# A file that no snapshot names may be one that another process is about to commit.
_ABANDONED = timedelta(days=1)


def expired(
    snapshots: Sequence[Snapshot], named: Collection[int], before: datetime
) -> tuple[int, ...]:
    """The snapshots that can be forgotten: those that were replaced before a moment.

    Args:
        snapshots: Those of a table.
        named: Snapshots that a branch or a tag names, which stay.
        before: The moment.
    """
    moment = int(before.timestamp() * 1000)
    ordered = sorted(snapshots, key=_order)
    return tuple(
        item.snapshot_id
        for item, following in pairwise(ordered)
        if following.timestamp_ms < moment and item.snapshot_id not in named
    )


def superseded(snapshots: Sequence[Snapshot], named: Collection[int], most: int) -> tuple[int, ...]:
    """The snapshots that can be forgotten where only so many of the newest are kept."""
    ordered = sorted(snapshots, key=_order)
    return tuple(s.snapshot_id for s in ordered[:-most] if s.snapshot_id not in named)


def _order(snapshot: Snapshot) -> tuple[int, int]:
    return snapshot.timestamp_ms, snapshot.sequence_number or 0


def tidy(table: Table, keep: timedelta | None, now: datetime) -> None:
    """Forget old snapshots of a table and remove their files, and those of loads that were killed.

    What fails here is logged: the load before it was made, and the next one does this again.

    Args:
        table: The table, as it is now.
        keep: How long rows stay after they were replaced; None for ever.
        now: The present moment.
    """
    try:
        if keep is not None:
            _forget(table, expired(table.snapshots(), _named(table), now - keep))
        _remove_abandoned(table, now)
    # Whatever it is: the rows are loaded, and this is done again by the next load.
    except Exception as error:
        said = redacted(str(error))
        _LOG.warning("old snapshots of %s stay until the next load (%s)", table.name()[-1], said)


def keep_newest(table: Table, most: int) -> None:
    """Forget all but so many snapshots of a table, and remove their files; see `tidy`."""
    try:
        _forget(table, superseded(table.snapshots(), _named(table), most))
    # As above.
    except Exception as error:
        said = redacted(str(error))
        _LOG.warning("old snapshots of %s stay until the next load (%s)", table.name()[-1], said)


def _named(table: Table) -> frozenset[int]:
    return frozenset(ref.snapshot_id for ref in table.refs().values())


def _forget(table: Table, old: tuple[int, ...]) -> None:
    if not old:
        return
    gone = [item for item in table.metadata.snapshots if item.snapshot_id in old]
    files = set(_files(table.io, gone))
    table.maintenance.expire_snapshots().by_ids(list(old)).commit()
    table.refresh()
    # Only now: until here somebody could have begun to read them.
    for location in files - set(_files(table.io, table.metadata.snapshots)):
        _delete(table.io, location)


def _files(io: FileIO, snapshots: Sequence[Snapshot]) -> Iterator[str]:
    """All files that some snapshots need."""
    seen: set[str] = set()
    for snapshot in snapshots:
        yield snapshot.manifest_list
        for manifest in snapshot.manifests(io):
            if manifest.manifest_path in seen:
                continue
            seen.add(manifest.manifest_path)
            yield manifest.manifest_path
            for entry in manifest.fetch_manifest_entry(io, discard_deleted=True):
                yield entry.data_file.file_path


def _remove_abandoned(table: Table, now: datetime) -> None:
    provider = load_location_provider(table.metadata.location, table.metadata.properties)
    folder = provider.new_data_location("").rstrip("/")
    if not isinstance(table.io, PyArrowFileIO):
        return  # It cannot list files.
    scheme, host, path = table.io.parse_location(folder, table.io.properties)
    system: FileSystem = table.io.fs_by_scheme(scheme, host)
    begin = own_name(table.metadata)
    found = [
        item
        for item in system.get_file_info(FileSelector(path, allow_not_found=True))
        if item.type == FileType.File and item.base_name.startswith(begin)
    ]
    # A snapshot has one file at most, so there is none to look for where there are not more.
    if len(found) <= len(table.metadata.snapshots):
        return
    needed = {location.rpartition("/")[2] for location in _files(table.io, table.snapshots())}
    for item in found:
        old = item.mtime is not None and item.mtime < now - _ABANDONED
        if old and item.base_name not in needed:
            system.delete_file(item.path)


def _delete(io: FileIO, location: str) -> None:
    try:
        io.delete(location)
    except FileNotFoundError:
        return
    except OSError as error:
        name, said = location.rpartition("/")[2], redacted(str(error))
        _LOG.warning("the file %s could not be removed (%s)", name, said)
