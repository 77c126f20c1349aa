"""Files that datasets have beside their records: attachments, alternative exports, files of fields.

Real portals were not recorded to send them: what a reply says of a file is a quirk. Records that
point to files do not belong here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime

from ods_pipeline.emulator.datasets.dataset import Dataset
from ods_pipeline.emulator.datasets.state import State
from ods_pipeline.emulator.http.errors import api_error, forbidden
from ods_pipeline.emulator.http.reply import COMMON_HEADERS, Reply
from ods_pipeline.emulator.http.request import Request

KINDS = ("attachments", "alternative_exports", "files")
_RANGE = re.compile(r"bytes=(\d+)-$")


@dataclass(frozen=True)
class StoredFile:
    """A file of a dataset, when it was put there, and its media type."""

    content: bytes
    stored_at: datetime
    media_type: str

    @property
    def etag(self) -> str:
        """A strong validator."""
        return f'"{hashlib.md5(self.content, usedforsecurity=False).hexdigest()}"'


def file(request: Request, state: State, dataset: Dataset, place: str) -> Reply:
    """GET …/attachments/{id}, …/alternative_exports/{id} or …/files/{id}."""
    if not dataset.data_visible:
        raise forbidden()
    stored = dataset.files.get(place)
    if stored is None:
        message = f"The requested file {place} does not exist."
        raise api_error(404, "NotFoundResource", message)
    quirks, headers = state.quirks.served_files, request.headers
    validators: dict[str, str] = {}
    if "etag" in quirks.validators:
        validators["etag"] = stored.etag
    if "date" in quirks.validators:
        validators["last-modified"] = format_datetime(stored.stored_at, usegmt=True)
    sent = (*COMMON_HEADERS, *validators.items())
    if quirks.unchanged or _is_known(headers, validators, stored):
        return Reply(304, [], stored.media_type, sent, whole=True, compressible=False)
    asked = _RANGE.match(headers.get("range", ""))
    if asked and quirks.ranges and headers.get("if-range", "") in ("", *validators.values()):
        start, size = int(asked[1]), len(stored.content)
        if start >= size:
            more = (*sent, ("content-range", f"bytes */{size}"))
            return Reply(416, [], stored.media_type, more, whole=True, compressible=False)
        start = max(0, start - quirks.begins)
        more = (*sent, ("content-range", f"bytes {start}-{size - 1}/{size}"))
        return _body(206, stored.content[start:], stored.media_type, more, quirks.lengths)
    return _body(200, stored.content, stored.media_type, sent, quirks.lengths)


def _body(
    status: int,
    content: bytes,
    media_type: str,
    headers: tuple[tuple[str, str], ...],
    lengths: bool,
) -> Reply:
    pieces = [content[at : at + 65_536] for at in range(0, len(content), 65_536)]
    return Reply(status, pieces, media_type, headers, whole=lengths, compressible=not lengths)


def _is_known(
    headers: Mapping[str, str], validators: Mapping[str, str], stored: StoredFile
) -> bool:
    if "if-none-match" in headers:
        return headers["if-none-match"] == validators.get("etag")
    if "last-modified" not in validators or "if-modified-since" not in headers:
        return False
    known = parsedate_to_datetime(headers["if-modified-since"])
    return stored.stored_at.replace(microsecond=0) <= known
