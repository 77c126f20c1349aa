"""Keeps a folder of files in step with a portal: only changed ones again, whole or not at all.

Which files there are is said by `portal`, where they are by `lake`.
"""

from __future__ import annotations

import contextlib
import fnmatch
import json
import mimetypes
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, as_completed, wait
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

from ods_pipeline.errors import (
    LakeError,
    OdsPipelineError,
    PortalFailure,
    PortalUnreachable,
    QuotaExhausted,
    Unproven,
)
from ods_pipeline.lake.files import replace_durably
from ods_pipeline.lake.kept_files import KeptFile, KeptFiles, digest, opened
from ods_pipeline.lake.lake import disk_errors
from ods_pipeline.portal.files.download import NONE, Download, Validators, download
from ods_pipeline.portal.files.remote_file import Kind, RemoteFile
from ods_pipeline.portal.http.address import host_of
from ods_pipeline.portal.portal import Portal
from ods_pipeline.redaction import redacted

_AT_ONCE, _ATTEMPTS = 4, 3
# Python's own table: that of the system differs from machine to machine.
_TYPES = mimetypes.MimeTypes()
_OFFICE = "application/vnd.openxmlformats-officedocument"
for _media_type, _suffix in (
    (f"{_OFFICE}.spreadsheetml.sheet", ".xlsx"),
    (f"{_OFFICE}.wordprocessingml.document", ".docx"),
    (f"{_OFFICE}.presentationml.presentation", ".pptx"),
    ("application/vnd.oasis.opendocument.spreadsheet", ".ods"),
    ("application/vnd.oasis.opendocument.text", ".odt"),
    ("application/geo+json", ".geojson"),
):
    _TYPES.add_type(_media_type, _suffix)
# What names of files end with; the `.2` of `Guide v1.2` is a version.
_EXTENSION = re.compile(r"\.(?=\w*[a-z])\w{1,10}", re.ASCII | re.IGNORECASE)
_VAGUE = "application/octet-stream"
#: The kinds of what `Portal.attachments` lists, and of what records point to.
DOCUMENTS: tuple[Kind, ...] = ("attachment", "alternative_export")
OF_RECORDS: tuple[Kind, ...] = ("file",)


@dataclass(frozen=True)
class FileLimits:
    """Which files are kept.

    Attributes:
        largest: Bytes of one file at most.
        media_type: Pattern of its media type, such as `image/*`.
    """

    largest: int = 1_000_000_000
    media_type: str = "*"


@dataclass(frozen=True)
class FileOutcome:
    """What came of one file.

    Attributes:
        key: What it is on the portal.
        name: Its name in the folder; empty where it is not there.
        action: `fetched`, `unchanged` (not sent again), `same content` (sent again, and equal),
            `left out` (by its type), `withdrawn` (the portal lists it no more; it stays),
            `failed`, or `deferred` (the quota is spent).
        reason: Why, where that is not plain.
        size: Bytes of the file.
        until: When a spent quota is full again, where the portal says so.
        of_dataset: Whether that quota is the dataset's alone, so that others may still be read.
    """

    key: str
    name: str
    action: Literal[
        "fetched", "unchanged", "same content", "left out", "withdrawn", "failed", "deferred"
    ]
    reason: str = ""
    size: int = 0
    until: datetime | None = None
    of_dataset: bool = False

    @classmethod
    def deferred(cls, key: str, name: str, error: QuotaExhausted) -> FileOutcome:
        """One that waits for the quota."""
        return cls(
            key, name, "deferred", str(error), until=error.reset, of_dataset=error.of_dataset
        )


def keep_files(
    portal: Portal,
    wanted: Iterable[RemoteFile],
    folder: Path,
    limits: FileLimits = FileLimits(),
    on_bytes: Callable[[int], object] = lambda size: None,
    *,
    kinds: Collection[Kind] = DOCUMENTS,
) -> Iterator[FileOutcome]:
    """Bring a folder up to date with the files that a portal lists.

    Args:
        portal: The portal.
        wanted: The files; one that is listed twice is fetched once.
        folder: Where they are; made if it does not exist.
        limits: Which of them.
        on_bytes: Called with the size of each piece that arrives.
        kinds: The kinds of which these are all: others in the folder are not withdrawn.

    Yields:
        What came of each, as they end.

    Raises:
        ConfigurationError: Another process writes to the folder.
        LakeError: The disk refuses it.
    """
    items: dict[str, RemoteFile] = {}
    for item in wanted:
        items.setdefault(item.key, item)
    if not items and not folder.exists():
        return
    now = datetime.now(UTC).isoformat(timespec="seconds")
    with opened(folder, portal.client.state) as files:
        # Portals promise no order, and names shall not depend on one: a run may have been killed.
        places = [(items[key], files.path(key, _name(items[key]))) for key in sorted(items)]
        pool, spent = ThreadPoolExecutor(_AT_ONCE, "files"), _Spent()
        begun = (
            partial(pool.submit, spent.guarded, _kept, portal, files, item, path, limits, on_bytes)
            for item, path in places
        )
        try:
            yield from _ended(begun)
        except (KeyboardInterrupt, SystemExit):
            # They end the process, which waits for no download.
            portal.client.cancelled.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        finally:
            # What has not begun shall not begin, and nothing may write once the folder is free.
            if not portal.client.cancelled.is_set():
                pool.shutdown(cancel_futures=True)
        for entry in files.finish(items, kinds, now):
            text = "the portal lists it no more; the file stays"
            yield FileOutcome(entry.key, entry.name, "withdrawn", text, entry.size)


class _Spent:
    """Remembers whose quota is spent: thousands of files would each ask for it again."""

    def __init__(self) -> None:
        self._errors: dict[str, QuotaExhausted] = {}

    def guarded(
        self,
        keep: Callable[..., FileOutcome],
        portal: Portal,
        files: KeptFiles,
        item: RemoteFile,
        *how: Any,
    ) -> FileOutcome:
        """Keep a file, unless the quota of its host is spent."""
        host = host_of(item.url)
        if host not in self._errors:
            try:
                return keep(portal, files, item, *how)
            except QuotaExhausted as error:
                self._errors[host] = error
        entry = files.get(item.key)
        return FileOutcome.deferred(item.key, entry.name if entry else "", self._errors[host])


def _ended(begun: Iterable[Callable[[], Future[FileOutcome]]]) -> Iterator[FileOutcome]:
    """What came of each, as they end; few are begun at a time, whose results wait nowhere."""
    waiting: set[Future[FileOutcome]] = set()
    for begin in begun:
        waiting.add(begin())
        if len(waiting) >= 2 * _AT_ONCE:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    yield from (future.result() for future in as_completed(waiting))


def _name(item: RemoteFile) -> str:
    """What a file is called: its title where that looks like a file's name, else its identifier."""
    title = item.title.strip()
    return title if _EXTENSION.fullmatch(os.path.splitext(title)[1]) else item.id or title


def bare(media_type: str) -> str:
    """A media type without its parameters, in small letters."""
    return media_type.partition(";")[0].strip().lower()


def left_out(limits: FileLimits, *media_types: str) -> str:
    """The media type for which a file is left out; empty where it is kept.

    Args:
        limits: Which files are kept.
        media_types: As the portal declares it and as the server sends it; empty ones say nothing,
            and neither does `application/octet-stream` beside another.
    """
    told = [found for found in map(bare, media_types) if found]
    telling = [found for found in told if found != _VAGUE] or told
    return next((t for t in telling if not fnmatch.fnmatchcase(t, bare(limits.media_type))), "")


def _extension(media_type: str) -> str:
    """What the names of files of a media type end with; empty where that says nothing."""
    found = bare(media_type)
    return "" if found == _VAGUE else _TYPES.guess_extension(found) or ""


def _kept(
    portal: Portal,
    files: KeptFiles,
    item: RemoteFile,
    path: Path,
    limits: FileLimits,
    on_bytes: Callable[[int], object],
) -> FileOutcome:
    if other := left_out(limits, item.mime_type):
        return FileOutcome(item.key, "", "left out", f"it is {other}")
    entry = files.get(item.key)
    name, size = (entry.name, entry.size) if entry else ("", 0)
    if not item.url:
        return FileOutcome(item.key, name, "failed", "the portal says of it no place where it is")
    known = Validators(entry.etag, entry.modified) if entry else NONE
    part = files.part(item.key)
    for attempt in range(1, _ATTEMPTS + 1):
        start, of = _there(part)
        try:
            with download(
                portal.client,
                item.url,
                known=known,
                start=start,
                of=of,
                most=limits.largest,
                media_type=item.mime_type,
            ) as sent:
                if sent.state == "unchanged" and entry:
                    return FileOutcome(item.key, name, "unchanged", size=size)
                media_type = item.mime_type or sent.media_type
                if other := left_out(limits, item.mime_type, sent.media_type):
                    return FileOutcome(item.key, "", "left out", f"it is {other}")
                if sent.state == "rest" and sent.validators.etag not in {"", of.etag}:
                    raise Unproven("the file changed while the rest of it was asked for")
                with disk_errors(path):
                    _take(sent, part, on_bytes)
            return _published(files, item, entry, path, part, sent.validators, media_type)
        except QuotaExhausted:
            raise
        except (PortalFailure, PortalUnreachable, Unproven) as error:
            problem: OdsPipelineError = error
            if isinstance(error, Unproven):
                _forget(part)
        except LakeError:
            _forget(part)
            raise  # A full disk is full for all of them.
        except OdsPipelineError as error:
            _forget(part)
            return FileOutcome(item.key, name, "failed", str(error))
        if attempt == _ATTEMPTS or getattr(problem, "repeated", False):
            break
    return FileOutcome(item.key, name, "failed", str(problem))


def _forget(part: Path) -> None:
    """Remove an unfinished file that cannot be gone on with."""
    with contextlib.suppress(OSError):
        part.unlink(missing_ok=True)
        _note(part).unlink(missing_ok=True)


def _there(part: Path) -> tuple[int, Validators]:
    """Bytes of an unfinished file, and the version that they are of; none where that is unknown."""
    try:
        of = json.loads(_note(part).read_text("utf-8"))
        return part.stat().st_size, Validators(of["etag"], of["modified"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0, NONE


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _take(sent: Download, part: Path, on_bytes: Callable[[int], object]) -> None:
    """Write a body to an unfinished file, or behind what is there of it."""
    if sent.state == "whole":
        part.unlink(missing_ok=True)
        _note(part).unlink(missing_ok=True)
        if sent.validators.strong:
            version = {"etag": sent.validators.etag, "modified": sent.validators.modified}
            _note(part).write_text(json.dumps(version), "utf-8")
    with part.open("ab") as file:
        for chunk in sent.chunks:
            file.write(chunk)
            on_bytes(len(chunk))
        file.flush()
        os.fsync(file.fileno())


def _published(
    files: KeptFiles,
    item: RemoteFile,
    entry: KeptFile | None,
    path: Path,
    part: Path,
    validators: Validators,
    media_type: str,
) -> FileOutcome:
    if entry is None and not _EXTENSION.fullmatch(path.suffix):
        path = files.path(item.key, f"{path.name}{_extension(media_type)}")
    with disk_errors(path):
        size, sha256 = part.stat().st_size, digest(part)
        same = entry is not None and entry.sha256 == sha256
        target = files.free(item.key, path, sha256)
        replace_durably(part, target)
        _note(part).unlink(missing_ok=True)
    made = KeptFile(
        item.key,
        target.name,
        item.title,
        media_type,
        redacted(item.url),
        size,
        sha256,
        validators.etag,
        validators.modified,
        datetime.now(UTC).isoformat(timespec="seconds"),
    )
    if entry and same:
        made = replace(made, fetched_at=entry.fetched_at)
    files.add(made)
    return FileOutcome(made.key, made.name, "same content" if same else "fetched", size=size)
