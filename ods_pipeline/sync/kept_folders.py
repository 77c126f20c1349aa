"""Folders of files below the data folder: a dataset's attachments or files, the catalog's exports.

What came of a run as one value, and why not all came. How one file is kept belongs to
`file_keeping`, and how it is shown to `cli` and `dagster`.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ods_pipeline.errors import FilesMissing, LakeError, OdsPipelineError, QuotaExhausted
from ods_pipeline.lake.kept_files import KeptFile, digest, kept, opened
from ods_pipeline.portal.portal import Portal
from ods_pipeline.sync.file_export import export_catalog, file_name
from ods_pipeline.sync.file_keeping import (
    DOCUMENTS,
    OF_RECORDS,
    FileLimits,
    FileOutcome,
    keep_files,
)

#: What is kept of a dataset: documents beside its records, or files that these point to.
FileKind = Literal["attachments", "files"]
CATALOG_EXPORT = "catalog_export"
# An error is a few lines of text.
_TOLD = 5


@dataclass(frozen=True)
class KeptFolder:
    """A folder of files after a run.

    Attributes:
        portal: Slug of the portal.
        dataset_id: The dataset; empty for the catalog's exports.
        folder: Where it is; it may not exist where there never was a file.
        files: What is in it, and on the portal.
        outcomes: What came of each file.
        requests: Requests to the portal.
        seconds: How long it took.
    """

    portal: str
    dataset_id: str
    folder: Path
    files: Sequence[KeptFile]
    outcomes: Sequence[FileOutcome]
    requests: int
    seconds: float

    @property
    def version(self) -> str:
        """Identity of the files: another one if and only if one of them is another."""
        found = sorted((item.key, item.name, item.sha256) for item in self.files)
        return hashlib.sha256(json.dumps(found).encode()).hexdigest()[:32]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(item.size for item in self.files)

    @property
    def failed(self) -> list[str]:
        """A sentence for each file that failed."""
        items = [item for item in self.outcomes if item.action == "failed"]
        return [f"{item.name or item.key}: {item.reason}" for item in items]

    @property
    def problem(self) -> OdsPipelineError | None:
        """Why not all files are there; None where they are. A failure goes before a delay."""
        where = {"portal": self.portal, "dataset": self.dataset_id}
        total, failed = len(self.outcomes), self.failed
        if failed:
            more = f"; and {len(failed) - _TOLD} more" if len(failed) > _TOLD else ""
            told = "; ".join(failed[:_TOLD]) + more
            text = f"{len(failed)} of {total} files failed, the others are kept: {told}"
            return FilesMissing(text, **where)
        put_off = [item for item in self.outcomes if item.action == "deferred"]
        if put_off:
            text = f"{len(put_off)} of {total} files wait for the quota: {put_off[0].reason}"
            resets = [item.until for item in put_off if item.until]
            delay = QuotaExhausted(text, reset=max(resets, default=None), **where)
            delay.of_dataset = all(item.of_dataset for item in put_off)
            return delay
        return None


def keep_dataset_files(
    portal: Portal, dataset_id: str, kind: FileKind, folder: Path, limits: FileLimits
) -> KeptFolder:
    """Bring a folder up to date with the attachments, or the files, of a dataset.

    Args:
        portal: The portal.
        dataset_id: The dataset.
        kind: Which of the two.
        folder: Where they are.
        limits: Which of them.

    Raises:
        OdsPipelineError: It is not known which files there are, or the folder cannot be written.
    """
    started, asked = time.monotonic(), portal.client.requests_made
    if kind == "attachments":
        wanted, kinds = portal.attachments(dataset_id), DOCUMENTS
    else:
        wanted, kinds = portal.record_files(dataset_id), OF_RECORDS
    outcomes = list(keep_files(portal, wanted, folder, limits, kinds=kinds))
    return KeptFolder(
        portal.slug,
        dataset_id,
        folder,
        _there(folder, outcomes, kinds),
        outcomes,
        portal.client.requests_made - asked,
        time.monotonic() - started,
    )


def keep_catalog_exports(
    portal: Portal, formats: Iterable[str], folder: Path, version: str
) -> KeptFolder:
    """Bring a folder up to date with exports of the catalog.

    Exports come without anything that tells one version from another, so what is landed of the
    catalog decides whether they are asked for.

    Args:
        portal: The portal.
        formats: Formats of the portal.
        folder: Where they are.
        version: Identity of the catalog; empty where it is not known, so that all are fetched.

    Raises:
        OdsPipelineError: The folder cannot be written.
    """
    started, asked = time.monotonic(), portal.client.requests_made
    now = datetime.now(UTC).isoformat(timespec="seconds")
    wanted = {f"{CATALOG_EXPORT}/{format}": format for format in formats}
    outcomes = []
    with opened(folder, portal.client.state) as files:
        for key, format in wanted.items():
            entry = files.get(key)
            if entry and version and entry.etag == version:
                outcomes.append(FileOutcome(key, entry.name, "unchanged", size=entry.size))
                continue
            path = files.path(key, file_name("catalog", format))
            try:
                written = export_catalog(portal, format, path, {})
            except LakeError:
                raise
            except OdsPipelineError as error:
                outcomes.append(_undone(key, entry.name if entry else "", error))
                continue
            sha256 = digest(path)
            same = entry is not None and entry.sha256 == sha256
            url = portal.client.url(f"/catalog/exports/{format}").partition("?")[0]
            made = KeptFile(
                key, path.name, format, "", url, written.size, sha256, version, fetched_at=now
            )
            files.add(made)
            action: Literal["same content", "fetched"] = "same content" if same else "fetched"
            outcomes.append(FileOutcome(key, path.name, action, written.proof, written.size))
        for gone in files.finish(wanted, (CATALOG_EXPORT,), now):
            text = "it is configured no more; the file stays"
            outcomes.append(FileOutcome(gone.key, gone.name, "withdrawn", text, gone.size))
    return KeptFolder(
        portal.slug,
        "",
        folder,
        _there(folder, outcomes, (CATALOG_EXPORT,)),
        outcomes,
        portal.client.requests_made - asked,
        time.monotonic() - started,
    )


def _undone(key: str, name: str, error: OdsPipelineError) -> FileOutcome:
    if isinstance(error, QuotaExhausted):
        return FileOutcome.deferred(key, name, error)
    return FileOutcome(key, name, "failed", str(error))


def _there(folder: Path, outcomes: Iterable[FileOutcome], kinds: Collection[str]) -> list[KeptFile]:
    """The files that the portal has; not those that are left out now, though they may be there."""
    out = {item.key for item in outcomes if item.action == "left out"}
    found = kept(folder) if folder.exists() else []
    return [
        item
        for item in found
        if item.key.partition("/")[0] in kinds and not item.withdrawn and item.key not in out
    ]
