"""What is attached to a dataset: documents, and exports that the publisher made otherwise.

The endpoint of attachments knows no alternative exports, and the dataset's own page has another
form of the same; both are read. Downloading them does not belong here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal
from urllib.parse import quote, unquote

from ods_pipeline.errors import DatasetNotFound, NoEndpoint, NotAPortal
from ods_pipeline.portal.files.remote_file import RemoteFile
from ods_pipeline.portal.http.address import dataset_path, leads_away
from ods_pipeline.portal.http.client import Client


def attachments(client: Client, dataset_id: str) -> list[RemoteFile]:
    """The attachments of a dataset and its alternative exports.

    Two requests: the dataset's page, which has both, and the endpoint of attachments, whose
    addresses are whole where older portals write `odsfile://` on the page.

    Args:
        client: The client of the portal.
        dataset_id: The dataset.

    Raises:
        DatasetNotFound: The portal has no such dataset.
        NotAPortal: What it says of attachments cannot be read.
        PortalError: The portal does not answer.
    """
    path = dataset_path(dataset_id)
    body = client.json(path)
    page = body.get("dataset", body) if isinstance(body, dict) else {}
    try:
        by_page = [*_of_page(client, path, page.get("attachments") or (), "attachment")]
        others = _of_page(client, path, page.get("alternative_exports") or (), "alternative_export")
        known = {item.id: item for item in by_page}
        for item in _of_endpoint(client, dataset_id):
            known.setdefault(item.id, item)
        return [*known.values(), *others]
    except (KeyError, TypeError, AttributeError) as error:
        raise NotAPortal(
            "its attachments are not as the Explore API v2.1 writes them",
            portal=client.slug,
            dataset=dataset_id,
            url=client.url(path),
        ) from error


def _of_page(
    client: Client,
    path: str,
    entries: Iterable[Mapping[str, Any]],
    kind: Literal["attachment", "alternative_export"],
) -> Iterable[RemoteFile]:
    tail = "attachments" if kind == "attachment" else "alternative_exports"
    for entry in entries:
        url = str(entry.get("url") or "")
        if _strays(url):
            url = ""
        elif not url.startswith(("https://", "http://")):
            # `odsfile://…` is how older portals name files to themselves.
            place = f"{path}/{tail}/{quote(str(entry['id']), safe='')}"
            url = "" if leads_away(str(entry["id"])) else client.url(place).partition("?")[0]
        yield RemoteFile(
            str(entry["id"]),
            str(entry.get("title") or ""),
            str(entry.get("mimetype") or entry.get("mime-type") or ""),
            url,
            kind,
            str(entry.get("description") or ""),
        )


def _of_endpoint(client: Client, dataset_id: str) -> Iterable[RemoteFile]:
    """The attachments by their own endpoint; none where a portal has no such endpoint."""
    try:
        body = client.json(dataset_path(dataset_id, "/attachments"))
    except (NoEndpoint, DatasetNotFound):
        return
    for entry in body["attachments"]:
        url, metas = str(entry["href"]), entry.get("metas") or {}
        place = str(metas.get("url") or url)
        yield RemoteFile(
            str(metas.get("id") or url.rstrip("/").rpartition("/")[2]),
            str(metas.get("title") or ""),
            str(metas.get("mime-type") or ""),
            "" if _strays(place) else place,
        )


def _strays(url: str) -> bool:
    """Whether an address would become another one on its way, such as another of the portal's."""
    return leads_away(unquote(url.partition("?")[0]))
