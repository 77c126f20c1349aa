"""Exports as files: any format of a dataset or of the catalog, whole and counted, or not at all.

The bytes are the portal's own. Partitions, which are typed and proven further, belong to `landing`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ods_pipeline.dataset import Dataset
from ods_pipeline.errors import (
    ConfigurationError,
    DatasetNotFound,
    Miscounted,
    NoEndpoint,
    RequestRefused,
    Unproven,
)
from ods_pipeline.portal.http.limits import bounded, export_bytes
from ods_pipeline.portal.portal import Portal
from ods_pipeline.portal.proof import live_count
from ods_pipeline.portal.query import Query, quoted_field
from ods_pipeline.sync.export_counts import DELIMITER, count
from ods_pipeline.sync.export_documents import require_packed
from ods_pipeline.sync.export_target import ExportTarget

#: Formats that have places alone: a record without one may be missing.
_PLACES = frozenset({"fgb", "geojson", "gpx", "kml", "shp", "ov2"})
_EXTENSIONS = {"shp": "zip", "rdfxml": "rdf", "turtle": "ttl"}


@dataclass(frozen=True)
class ExportedFile:
    """A file that was exported.

    Attributes:
        path: Where it is; `-` for a stream.
        format: The portal's name of its format.
        size: Its bytes.
        records: Records in it; None where nothing here counts its format.
        proof: What they were compared with, in a sentence.
    """

    path: Path
    format: str
    size: int
    records: int | None
    proof: str


def file_name(name: str, format: str, *, packed: bool = False) -> str:
    """What the file of an export is called where nobody says: the portal's own name for it."""
    safe = "".join("_" if letter in "/\\\0" else letter for letter in name).lstrip(".") or "export"
    extension = _EXTENSIONS.get(format, format)
    return f"{safe}{'.' if format else ''}{extension}{'.gz' if packed else ''}"


def export_dataset(
    portal: Portal,
    dataset_id: str,
    format: str,
    target: Path | BinaryIO,
    parameters: Mapping[str, Any],
    on_bytes: Callable[[int], object] = lambda size: None,
) -> ExportedFile:
    """Write an export of a dataset to a file.

    Args:
        portal: The portal.
        dataset_id: The dataset.
        format: Any format that the portal offers.
        target: The file; what is there stays until the new one is whole. What is no file, such as
            a device or a stream, is written to once all has come.
        parameters: Of `ExportParameters`.
        on_bytes: Called with the size of each piece that arrives.

    Raises:
        ConfigurationError: The portal does not offer the format, or no such file can be written.
        DatasetNotFound: There is no such dataset.
        Unproven: The file is not whole, or has not the records that the portal counts.
        LakeError: The disk refuses it.
        PortalError: The portal does not give it.
    """
    dataset = portal.dataset(dataset_id)
    most = export_bytes(dataset.records_count)

    def judged(path: Path) -> tuple[int | None, str]:
        if parameters.get("compressed"):
            require_packed(path)
            return None, f"unproven: packed {format} is not counted"
        found = count(path, format, delimiter=parameters.get("delimiter", DELIMITER))
        return _proven(portal, dataset, format, found, parameters)

    sent = portal.export(dataset_id, format, **parameters)
    return _written(portal, dataset_id, format, sent, target, most, judged, on_bytes)


def export_catalog(
    portal: Portal,
    format: str,
    target: Path | BinaryIO,
    parameters: Mapping[str, Any],
    on_bytes: Callable[[int], object] = lambda size: None,
) -> ExportedFile:
    """Write an export of the catalog to a file; see `export_dataset`."""

    def judged(path: Path) -> tuple[int | None, str]:
        found = count(path, format, delimiter=parameters.get("delimiter", DELIMITER))
        if found is None:
            return None, _uncounted(format)
        if {"limit", "offset", "group_by"} & set(parameters):
            return found, f"{found} datasets, of which the portal has no count"
        return found, _datasets(portal, found, parameters)

    sent = portal.catalog_export(format, **parameters)
    return _written(portal, "", format, sent, target, export_bytes(None), judged, on_bytes)


def _written(
    portal: Portal,
    dataset_id: str,
    format: str,
    sent: AbstractContextManager[Iterator[bytes]],
    target: Path | BinaryIO,
    most: int,
    judged: Callable[[Path], tuple[int | None, str]],
    on_bytes: Callable[[int], object],
) -> ExportedFile:
    place = ExportTarget.of(target)
    with place.writing() as path:
        with _offered(portal, dataset_id, format, sent) as chunks, path.open("wb") as file:
            for chunk in bounded(chunks, f"the {format} export", most):
                file.write(chunk)
                on_bytes(len(chunk))
            file.flush()
            os.fsync(file.fileno())
        records, proof = judged(path)
        size = path.stat().st_size
    return ExportedFile(place.path, format, size, records, proof)


@contextlib.contextmanager
def _offered(
    portal: Portal,
    dataset_id: str,
    format: str,
    sent: AbstractContextManager[Iterator[bytes]],
) -> Iterator[Iterator[bytes]]:
    """The body of an export; a portal that refuses it is asked which formats it offers."""
    with contextlib.ExitStack() as stack:
        try:
            chunks = stack.enter_context(sent)
        except (NoEndpoint, RequestRefused, DatasetNotFound):
            formats = portal.formats(dataset_id)
            if format in formats:
                raise
            raise ConfigurationError(
                f"the portal gives no export as {format!r}: choose one of "
                f"{', '.join(sorted(formats))}",
                portal=portal.slug,
                dataset=dataset_id,
            ) from None
        yield chunks


def _proven(
    portal: Portal,
    dataset: Dataset,
    format: str,
    records: int | None,
    parameters: Mapping[str, Any],
) -> tuple[int | None, str]:
    """Compare the records of a file with the portal's count of the same query."""
    if records is None:
        return None, _uncounted(format)
    query = _query_of(parameters)
    if query.aggregates:
        return records, f"{records} rows, which the portal has no count for"
    expected = _expected(portal, dataset, query)
    if expected is None:
        return records, f"{records} records, and the portal does not count them for you"
    if records == expected:
        return records, f"{records} records = live count {expected}"
    if format in _PLACES and records < expected:
        for field in dataset.geographic:
            there = query.narrowed(f"{quoted_field(field.name)} is not null")
            if records == _expected(portal, dataset, there):
                without = expected - records
                return records, f"{records} records = all with a {field.name}; {without} have none"
    raise Miscounted(
        f"{records} records came where the portal counts {expected}; nothing was kept of them",
        rows=records,
        counted=expected,
        portal=portal.slug,
        dataset=dataset.dataset_id,
    )


def _uncounted(format: str) -> str:
    return f"unproven: nothing here counts what is in {format}"


def _query_of(parameters: Mapping[str, Any]) -> Query:
    """What an export was asked for, so that the portal counts the same."""
    return Query(
        parameters.get("where"),
        parameters.get("select"),
        group_by=parameters.get("group_by"),
        limit=parameters.get("limit"),
        refine=tuple(parameters.get("refine", ())),
        exclude=tuple(parameters.get("exclude", ())),
        lang=parameters.get("lang"),
        timezone=parameters.get("timezone"),
    )


def _expected(portal: Portal, dataset: Dataset, query: Query) -> int | None:
    total = live_count(portal.client, dataset.dataset_id, query)
    return total if total is None or query.most is None else min(total, query.most)


def _datasets(portal: Portal, found: int, parameters: Mapping[str, Any]) -> str:
    asked = {**_query_of(parameters).filters(), "limit": 0}
    body = portal.client.json("/catalog/datasets", asked)
    total = body.get("total_count") if isinstance(body, dict) else None
    if total != found:
        raise Unproven(
            f"{found} datasets came where the portal counts {total}; nothing was kept of them",
            portal=portal.slug,
        )
    return f"{found} datasets = live count {total}"
