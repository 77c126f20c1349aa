"""The files that a dataset's records point to, by fields of type `file`: photographs and the like.

The records are read as JSON Lines, which alone has names and media types; nothing of them is kept
but each file once. Where a portal gives no JSON Lines its CSV has the addresses. Downloading does
not belong here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from ods_pipeline.dataset import Dataset
from ods_pipeline.errors import (
    AccessDenied,
    LoginNeeded,
    NoEndpoint,
    PortalFailure,
    PortalUnreachable,
    RequestRefused,
    Unproven,
)
from ods_pipeline.portal.exports.export import open_export
from ods_pipeline.portal.files.remote_file import RemoteFile
from ods_pipeline.portal.http import replies
from ods_pipeline.portal.http.address import dataset_path, leads_away
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.http.limits import bounded, export_bytes, require_size
from ods_pipeline.portal.proof import prove, prove_by_catalog
from ods_pipeline.portal.query import Query, quoted_field
from ods_pipeline.redaction import shown
from ods_pipeline.tables.nested import LIST_SEPARATOR, nested

# What describes a file takes a few hundred bytes.
_LONGEST_RECORD = 16 << 20
_ATTEMPTS = 2
_WEB = ("https://", "http://")


def record_files(client: Client, dataset: Dataset) -> list[RemoteFile]:
    """Each file that a dataset's records point to, once; proven to be of all records.

    Args:
        client: The client of the portal.
        dataset: The dataset.

    Raises:
        Unproven: Not all records came, twice.
        PortalError: The portal does not give them.
    """
    fields = [field.name for field in dataset.fields if field.type == "file"]
    if not fields or not dataset.has_records:
        return []
    # A dataset that is published while it is read is whole the second time.
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _read(client, dataset, fields)
        except (Unproven, PortalFailure, PortalUnreachable) as error:
            if attempt == _ATTEMPTS or getattr(error, "repeated", False):
                raise
    raise AssertionError("an endless loop ended")


def _read(client: Client, dataset: Dataset, fields: Sequence[str]) -> list[RemoteFile]:
    base = client.url(dataset_path(dataset.dataset_id, "/files")).partition("?")[0]
    query = Query(select=[quoted_field(name) for name in fields])
    try:
        return _proven(client, dataset, query, _of_json(client, dataset, query, fields), base)
    except LoginNeeded:
        raise
    except (AccessDenied, NoEndpoint, RequestRefused):
        return _proven(client, dataset, query, _of_csv(client, dataset, query), base)


def _proven(
    client: Client, dataset: Dataset, query: Query, records: Iterator[list[Any]], base: str
) -> list[RemoteFile]:
    found: dict[str, RemoteFile] = {}
    rows = 0
    for rows, values in enumerate(records, 1):  # noqa: B007 - the last number is the count
        for value in values:
            for item in files_of(value, base):
                found.setdefault(item.key, item)
    if prove(client, dataset, rows, query) is None:
        prove_by_catalog(dataset, rows, query)
    return list(found.values())


def _of_json(
    client: Client, dataset: Dataset, query: Query, fields: Sequence[str]
) -> Iterator[list[Any]]:
    """The values of each record's fields, from the export as JSON Lines."""
    asked = {**query.parameters(), "use_labels": False}
    most = export_bytes(dataset.records_count)
    path = dataset_path(dataset.dataset_id, "/exports/jsonl")
    with client.stream(path, asked) as chunks:
        for number, line in enumerate(_lines(bounded(chunks, "the jsonl export", most)), 1):
            try:
                record = replies.document(line)
            except (ValueError, RecursionError) as error:
                raise Unproven(
                    f"line {number} of the jsonl export is no JSON: it was cut off, or something "
                    "else came in its place"
                ) from error
            of_it = isinstance(record, dict) and (not record or record.keys() & set(fields))
            if not of_it:
                raise Unproven(f"line {number} of the jsonl export is no record of the dataset")
            yield [record.get(name) for name in fields]


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        require_size("a record", len(rest), _LONGEST_RECORD)
        yield from filter(bytes.strip, whole)
    if rest.strip():
        yield rest


def _of_csv(client: Client, dataset: Dataset, query: Query) -> Iterator[list[Any]]:
    with open_export(client, dataset, "csv", query) as export:
        for batch in export.batches:
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                yield [_addresses(value) for value in row]


def _addresses(text: Any) -> Any:
    """The addresses that a text joins; the text itself where it is one, or no address at all."""
    parts = str(text or "").split(", ")
    return parts if all(part.startswith(_WEB) for part in parts) else text


def files_of(value: Any, base: str) -> Iterator[RemoteFile]:
    """The files that a value of a field stands for, in whichever form a portal wrote it.

    Recorded were an object with `id`, `filename`, `mimetype` and more, with and without `url`; an
    address; objects as text, in JSON or Python's notation; `odsfile://…`; and lists of these.

    Args:
        value: The value.
        base: Address of the dataset's files.
    """
    if isinstance(value, str):
        value = _unpacked(value.strip())
    if value is None or value == "":
        return
    if isinstance(value, list):
        for part in value:
            yield from files_of(part, base)
        return
    described = value if isinstance(value, Mapping) else {}
    if isinstance(value, str):
        described = {"url": value} if "://" in value or value.startswith("/") else {"id": value}
    yield _file(described, base) or RemoteFile(shown(value), "", "", "", "file")


def _unpacked(text: str) -> Any:
    if LIST_SEPARATOR in text:
        return text.split(LIST_SEPARATOR)
    if not text.startswith(("{", "[")):
        return text
    try:
        return nested(text)
    except ValueError:
        return text  # A name that begins alike, such as `[2024] plan.pdf`.


def _file(described: Mapping[str, Any], base: str) -> RemoteFile | None:
    """A file by what describes it; None where that names none."""
    name, url, title, media = (
        _text(described, *keys)
        for keys in (("id",), ("url",), ("filename", "title"), ("mimetype", "mime-type"))
    )
    if url.startswith("/"):
        # A path on the portal, or on another host by the same scheme.
        scheme, _, rest = base.partition("://")
        root = f"{scheme}:" if url.startswith("//") else f"{scheme}://{rest.partition('/')[0]}"
        url = root + url
    if url.startswith(_WEB):
        path = urlsplit(url).path if _splits(url) else ""
        if not name and url.startswith(f"{base}/"):
            name = unquote(url.removeprefix(f"{base}/").partition("?")[0])
        elif not title:
            title = unquote(path.rpartition("/")[2])
        return RemoteFile(name or url, title, media, url, "file")
    # `odsfile://…` is how portals name files to themselves.
    name = name or url.rstrip("/").rpartition("/")[2]
    if not name:
        return None
    place = "" if leads_away(name) else f"{base}/{quote(name, safe='')}"
    return RemoteFile(name, title, media, place, "file")


def _splits(url: str) -> bool:
    try:
        urlsplit(url)
    except ValueError:
        return False
    return True


def _text(described: Mapping[str, Any], *keys: str) -> str:
    found = (described.get(key) for key in keys)
    return next((text.strip() for text in found if isinstance(text, str) and text.strip()), "")
