"""Every recorded reply is read whole by the function that reads such a reply of a portal."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest

from ods_pipeline import errors
from ods_pipeline.dataset import Dataset
from ods_pipeline.portal.exports import csv, parquet
from ods_pipeline.portal.http.versions import CATALOG, OLDER
from ods_pipeline.portal.portal import Portal
from ods_pipeline.portal.queries import pages, tabular
from ods_pipeline.portal.query import Query
from ods_pipeline.sync.export_counts import count
from ods_pipeline.tables.schema import arrow_schema
from tests.contract.recordings import RECORDED, head
from tests.portal.answers import Answer, portal_of

NO_SUCH = b'{"error_code": "NotFoundURI", "message": "The requested URI does not exist."}'
PAGE_OF_V2_0 = RECORDED / "campbelltown" / "terria_datasets.json"
#: Endpoints whose answers are recorded; what follows the path does not matter to a recording.
RECORDS = "/catalog/datasets/any/records"
KINDS = {
    400: errors.RequestRefused,
    403: errors.AccessDenied,
    404: (errors.DatasetNotFound, errors.NoEndpoint),
    429: errors.QuotaExhausted,
}


@contextmanager
def portal_with(path: Path, status: int = 200) -> Iterator[Portal]:
    """A portal that answers everything with a recording, in the version that it is of."""
    older = path.parent.name == "campbelltown"

    def answer(asked: str, query: Mapping[str, str]) -> Answer:
        if asked == "/catalog/datasets/any" and path.name == "attachments.json":
            return 200, (path.parent / "dataset-v2.1.json").read_bytes()
        if not older:
            return status, path.read_bytes()
        if not asked.startswith(OLDER[0].path):
            return 404, NO_SUCH
        probe = asked.endswith(CATALOG) and query.get("limit") == "1"
        return 200, (PAGE_OF_V2_0 if probe else path).read_bytes()

    with portal_of(answer) as served:
        yield Portal(served.url, attempts=1)


def _datasets(path: Path) -> int:
    """A page of a catalog, as a search reads it."""
    with portal_with(path) as portal:
        found = portal.search(limit=len(_listed(path)))
    assert not [dataset for dataset in found if dataset.refused]
    return sum(bool(_schema(dataset)) for dataset in found)


def _listed(path: Path) -> list[object]:
    document = json.loads(path.read_bytes())
    return document.get("results") or document.get("datasets") or document["records"]


def _schema(dataset: Dataset) -> pa.Schema:
    assert dataset.title
    assert dataset.data_processed
    return arrow_schema(dataset.fields)


def _dataset(path: Path) -> int:
    """A dataset's own page."""
    with portal_with(path) as portal:
        return len(_schema(portal.dataset("any")))


def _rows(path: Path) -> int:
    """A page of records, or groups of them."""
    query = Query(group_by="any") if "group" in path.name else Query(order_by="any")
    page = pages.Page(limit=len(_listed(path)))
    with portal_with(path) as portal:
        rows = pages.rows_of(portal.client, RECORDS, query, page, where={})
    return tabular.table_of(rows, {}).num_rows


def _json_export(path: Path) -> int:
    rows = json.loads(path.read_bytes())
    assert tabular.table_of(rows, {}).num_rows == count(path, "json")
    return len(rows)


def _record(path: Path) -> int:
    with portal_with(path) as portal:
        body = portal.client.json(f"{RECORDS}/any")
    return tabular.table_of([body], {}).num_columns


def _facets(path: Path) -> int:
    with portal_with(path) as portal:
        return portal.facets("any").num_rows


def _formats(path: Path) -> int:
    with portal_with(path) as portal:
        return len(portal.formats())


def _attachments(path: Path) -> int:
    with portal_with(path) as portal:
        return len(portal.attachments("any"))


def _csv(path: Path) -> int:
    """An export in CSV, by the reader of what is landed and by the one of what is only kept."""
    _, batches = csv.read([path.read_bytes()])
    rows = sum(batch.num_rows for batch in batches)
    assert rows == count(path, "csv")
    return rows


def _parquet(path: Path) -> int:
    with (
        TemporaryDirectory() as folder,
        parquet.spooled([path.read_bytes()], Path(folder)) as file,
    ):
        rows = sum(batch.num_rows for batch in file.batches())
    assert rows == count(path, "parquet")
    return rows


def _flatgeobuf(path: Path) -> int:
    return count(path, "fgb") or 0


def _error(path: Path) -> int:
    """An error of the API, told by its status in the name or in the headers."""
    name = path.name.removesuffix(".body.json")
    status = head(name)["status"] if name != path.name else int(path.name[:3])
    with portal_with(path, status) as portal, pytest.raises(errors.PortalError) as caught:
        portal.client.json("/catalog/datasets/any")
    assert isinstance(caught.value, KINDS[status])
    said = json.loads(path.read_bytes())
    assert str(said.get("message") or "").rstrip(".") in str(caught.value)
    return status


#: Names of recordings, what reads them, and how much is in them.
READINGS: list[tuple[str, Callable[[Path], int], Mapping[str, int]]] = [
    (
        r"catalog_limit2|terria_datasets|^datasets-v2",
        _datasets,
        {"terria_datasets": 6, "enwl_catalog": 2, "ukpn_catalog": 2, "datasets-v2": 2},
    ),
    (
        r"metadata-|live-faults_v21|headroom-monitored_v21|station-dataset|^dataset-v2",
        _dataset,
        {"metadata-public-trees": 11, "metadata-property-tax": 30, "dataset-v2": 20},
    ),
    (
        r"limit2_v21|aggregate-ungrouped|station-100|station-groupby|records-v2|group_by_country",
        _rows,
        {"station-100": 100, "groupby": 2, "limit2": 2, "records-v2": 2, "country": 3},
    ),
    (r"aggregate-grouped|exports-json", _json_export, {"1row": 1}),
    (r"^record-v2", _record, {"record": 20}),
    (r"facets", _facets, {}),
    (r"exports_links", _formats, {"enwl": 10}),
    (r"^attachments", _attachments, {"attachments": 1}),
    (r"\.csv$", _csv, {"catalog-export": 197, "public-trees": 5, "emplacement": 1_496}),
    (r"\.parquet$", _parquet, {"emplacement": 1_496}),
    (r"\.fgb$", _flatgeobuf, {"public-trees": 5}),
    (r"^error-|^\d{3}_", _error, {}),
]
REPLIES = sorted(
    path
    for path in RECORDED.rglob("*.*")
    if path.name != "README.md" and not path.name.endswith(".head.json")
)


@pytest.mark.parametrize("path", REPLIES, ids=lambda path: path.name)
def test_a_recorded_reply_is_read_whole(path: Path) -> None:
    read, known = next(
        (read, known) for name, read, known in READINGS if re.search(name, path.name)
    )
    found = read(path)
    expected = [number for part, number in known.items() if part in path.name]
    assert found > 0
    assert expected in ([], [found])
