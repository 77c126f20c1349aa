"""Keeps a folder of files in step with a portal: only changed ones again, whole or not at all.

Which files there are is said by `portal`, where they are by `lake`.
"""

from __future__ import annotations

import contextlib
import fnmatch
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ods_pipeline.errors import (
    OdsPipelineError,
    PortalFailure,
    PortalUnreachable,
    QuotaExhausted,
    Unproven,
)
from ods_pipeline.lake.files import replace_durably
from ods_pipeline.lake.kept_files import KeptFile, KeptFiles, digest, opened
from ods_pipeline.lake.lake import disk_errors
from ods_pipeline.portal.files.attachments import Attachment
from ods_pipeline.portal.files.download import NONE, Download, Validators, download
from ods_pipeline.portal.portal import Portal

_AT_ONCE, _ATTEMPTS = 4, 3


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
    """

    key: str
    name: str
    action: Literal[
        "fetched", "unchanged", "same content", "left out", "withdrawn", "failed", "deferred"
    ]
    reason: str = ""
    size: int = 0


def keep_files(
    portal: Portal,
    wanted: Sequence[Attachment],
    folder: Path,
    limits: FileLimits = FileLimits(),
    on_bytes: Callable[[int], object] = lambda size: None,
) -> Iterator[FileOutcome]:
    """Bring a folder up to date with the files that a portal lists.

    Args:
        portal: The portal.
        wanted: The files.
        folder: Where they are; made if it does not exist.
        limits: Which of them.
        on_bytes: Called with the size of each piece that arrives.

    Yields:
        What came of each, as they end.

    Raises:
        ConfigurationError: Another process writes to the folder.
        LakeError: The disk refuses it.
    """
    if not wanted and not folder.exists():
        return
    now = datetime.now(UTC).isoformat(timespec="seconds")
    with opened(folder) as files, ThreadPoolExecutor(_AT_ONCE, "files") as pool:
        # Names are given in one order, whichever comes first.
        places = [(item, files.path(key_of(item), _name(item))) for item in wanted]
        work = {
            pool.submit(_kept, portal, files, item, path, limits, on_bytes): item
            for item, path in places
        }
        try:
            for done in as_completed(work):
                yield done.result()
        except BaseException:  # Ctrl-C as well: what has not begun shall not begin.
            pool.shutdown(cancel_futures=True)
            raise
        for entry in files.finish({key_of(item) for item in wanted}, now):
            text = "the portal lists it no more; the file stays"
            yield FileOutcome(entry.key, entry.name, "withdrawn", text, entry.size)


def key_of(item: Attachment) -> str:
    """What a file is on the portal."""
    return f"{item.kind}/{item.id}"


def _name(item: Attachment) -> str:
    """What a file is called: its title where that looks like a file's name, else its identifier."""
    title = item.title.strip()
    return title if os.path.splitext(title)[1] else item.id or title


def _kept(
    portal: Portal,
    files: KeptFiles,
    item: Attachment,
    path: Path,
    limits: FileLimits,
    on_bytes: Callable[[int], object],
) -> FileOutcome:
    key = key_of(item)
    if item.mime_type and not fnmatch.fnmatch(item.mime_type, limits.media_type):
        return FileOutcome(key, "", "left out", f"it is {item.mime_type}")
    entry = files.get(key)
    known = Validators(entry.etag, entry.modified) if entry else NONE
    part = path.with_name(f".{path.name[:150]}.part")
    for attempt in range(1, _ATTEMPTS + 1):
        start, of = _there(part)
        try:
            with download(
                portal.client, item.url, known=known, start=start, of=of, most=limits.largest
            ) as sent:
                if sent.state == "unchanged" and entry:
                    return FileOutcome(key, entry.name, "unchanged", size=entry.size)
                media_type = item.mime_type or sent.media_type
                if not fnmatch.fnmatch(media_type, limits.media_type):
                    return FileOutcome(key, "", "left out", f"it is {media_type}")
                if sent.state == "rest" and sent.validators.etag not in {"", of.etag}:
                    raise Unproven("the file changed while the rest of it was asked for")
                with disk_errors(path):
                    _take(sent, part, on_bytes)
            return _published(files, item, entry, path, part, sent.validators, media_type)
        except QuotaExhausted as error:
            return FileOutcome(key, entry.name if entry else "", "deferred", str(error))
        except (PortalFailure, PortalUnreachable, Unproven) as error:
            problem: OdsPipelineError = error
            if isinstance(error, Unproven):
                _forget(part)
        except OdsPipelineError as error:
            _forget(part)
            return FileOutcome(key, entry.name if entry else "", "failed", str(error))
        if attempt == _ATTEMPTS or getattr(problem, "repeated", False):
            break
    return FileOutcome(key, entry.name if entry else "", "failed", str(problem))


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
    item: Attachment,
    entry: KeptFile | None,
    path: Path,
    part: Path,
    validators: Validators,
    media_type: str,
) -> FileOutcome:
    with disk_errors(path):
        size, sha256 = part.stat().st_size, digest(part)
        same = entry is not None and entry.sha256 == sha256
        target = files.free(key_of(item), path, sha256)
        replace_durably(part, target)
        _note(part).unlink(missing_ok=True)
    made = KeptFile(
        key_of(item),
        target.name,
        item.title,
        media_type,
        item.url,
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
