"""A portal that uses all the latitude that the documents leave, and lands right all the same.

It is no emulator of ours: a few fixed answers, written out by hand, in shapes that real portals
were seen to use or that the documents allow.
"""

import io
import json
import struct
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ods_pipeline.lake.lake import Lake
from ods_pipeline.portal.portal import Portal
from ods_pipeline.sync.extractor import Extractor
from ods_pipeline.sync.landing import land
from ods_pipeline.sync.landing_request import LandingRequest
from ods_pipeline.sync.verdict import Kind, verdict
from tests.portal.answers import Answer, Query, document, portal_of

NAMES = ["12", "Select", "nom", "themes", "n", "x", "jour", "annee", "vu", "ok", "ici", "trace",
         "photo", "brut"]  # fmt: skip
TYPES = ["text", "text", "text", "text", "int", "double", "date", "date", "datetime", "boolean",
         "geo_point_2d", "geo_shape", "file", "json_blob"]  # fmt: skip
ANNOTATIONS: dict[str, Any] = {
    "themes": {"multivalued": [], "facet": []},
    "annee": {"timeserie_precision": ["year"]},
    "n": None,
}
BIG = 2**63 - 1
POINT = struct.pack("<BIdd", 1, 1, 2.25, 48.5)
LINE = struct.pack("<BIIdddd", 1, 2, 2, 2.25, 48.5, 3.0, 49.0)
THEMES = ["Parcs, loisirs", "Eau"]
SEEN = datetime(2024, 3, 31, 1, 30, 0, 123000, tzinfo=UTC)
EXPECTED: list[dict[str, Any]] = [
    dict(
        zip(
            NAMES,
            ["01001", 'a;"b"\r\nc', "Évry\ufeff", THEMES, BIG, 0.1, date(2024, 2, 29),
             date(1977, 1, 1), SEEN, True, POINT, LINE, "https://cdn.test/1", '{"a": [1]}'],
            strict=True,
        )
    ),
    dict.fromkeys(NAMES),
    dict(
        zip(
            NAMES,
            ["2A004", None, "x", ["seul"], -BIG - 1, -1e300, date(1, 1, 1), date(2024, 1, 1),
             datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=UTC), False, POINT, None,
             "https://cdn.test/2", "{}"],
            strict=True,
        )
    ),
]  # fmt: skip
LINE_JSON = '{"type":"LineString","coordinates":[[2.25,48.5],[3.0,49.0]]}'
CSV_ROWS = [
    ["01001", 'a;"b"\r\nc', "Évry\ufeff", "Parcs, loisirs{}Eau", str(BIG), "1e-1", "2024-02-29",
     "1977", "2024-03-31T03:30:00.123456+02:00", "1", "48.5,2.25", LINE_JSON,
     "https://cdn.test/1", '{"a": [1]}'],
    [""] * 14,
    ["2A004", "", "x", "seul", str(-BIG - 1), "-1E+300", "0001-01-01", "2024-01-01",
     "1969-12-31T23:59:59.999999Z", "false", "48.5, 2.25", "", "https://cdn.test/2", "{}"],
]  # fmt: skip


def csv_body(separator: str, *, bom: bool, quote_all: bool) -> bytes:
    def cell(text: str) -> str:
        quoted = quote_all or any(mark in text for mark in ';"\r\n')
        return '"' + text.replace('"', '""') + '"' if quoted else text

    rows = [NAMES, *([c.replace("{}", separator) if c != "{}" else c for c in r] for r in CSV_ROWS)]
    text = "".join(";".join(map(cell, row)) + "\r\n" for row in rows)
    return (b"\xef\xbb\xbf" if bom else b"") + text.encode()


def parquet_body() -> bytes:
    """Types as another writer would choose them: large, dictionary, wide, nested, in local time."""
    paris = pa.timestamp("us", "Europe/Paris")
    themes = pa.large_list(pa.large_string())
    columns = {
        "12": pa.array(["01001", None, "2A004"]).dictionary_encode(),
        "Select": pa.array(['a;"b"\r\nc', None, ""], pa.large_string()),
        "nom": pa.array(["Évry\ufeff", "", "x"], pa.large_string()).dictionary_encode(),
        "themes": pa.array([THEMES, [], ["seul"]], themes),
        "n": pa.array([BIG, None, -BIG - 1]),
        "x": pa.array([0.1, None, -1e300]),
        "jour": pa.array([date(2024, 2, 29), None, date(1, 1, 1)], pa.date64()),
        "annee": pa.array([1977, None, 2024], pa.int16()),
        "vu": pa.array([1711848600123456, None, -1], pa.int64())
        .cast(pa.timestamp("us"))
        .cast(paris),
        "ok": pa.array([True, None, False]),
        "ici": pa.array([POINT, None, POINT], pa.large_binary()),
        "trace": pa.array([LINE_JSON, None, None]),
        "photo": pa.array([{"url": "https://cdn.test/1"}, None, {"url": "https://cdn.test/2"}]),
        "brut": pa.array(['{"a": [1]}', None, "{}"], pa.large_string()),
    }
    sink = io.BytesIO()
    table = pa.table(columns)
    with pq.ParquetWriter(sink, table.schema, version="1.0", compression="gzip") as writer:
        writer.write_table(table.slice(0, 0))
        writer.write_table(table.slice(0, 2))
        writer.write_table(table.slice(2))
    return sink.getvalue()


def described(**metas: Any) -> dict[str, Any]:
    """As little metadata as there can be."""
    fields = [
        {"name": name, "type": kind, "label": None, "annotations": ANNOTATIONS.get(name, {})}
        for name, kind in zip(NAMES, TYPES, strict=True)
    ]
    body: dict[str, Any] = {"dataset_id": "arrêtés/2024", "fields": fields}
    return body | ({"metas": {"default": metas}} if metas else {})


def stranger(body: dict[str, Any], *, bom: bool, quote_all: bool, refusal: int) -> Any:
    def answer(path: str, query: Query) -> Answer:
        below = path.removeprefix("/catalog/datasets/arr%C3%AAt%C3%A9s%2F2024")
        if path == "/catalog/exports/json":
            return document({"message": "This API is not activated."}, refusal)
        if path == "/catalog/datasets":
            return document({"total_count": 1, "results": [body]})
        if below == "":
            return document(body | {"a_key_of_next_year": 1})
        if below == "/records":
            return document({"total_count": len(EXPECTED), "results": []})
        if below == "/exports/csv":
            separator = query["list_separator"]
            return 200, csv_body(separator, bom=bom, quote_all=quote_all)
        return (200, parquet_body()) if below == "/exports/parquet" else document({}, 404)

    return portal_of(answer)


@pytest.mark.parametrize("format", ["parquet", "csv"])
@pytest.mark.parametrize(
    ("bom", "quote_all", "refusal"),
    [(True, True, 400), (False, True, 404), (True, False, 404), (False, False, 400)],
)
def test_every_row_and_every_value_of_a_portal_never_seen_lands(
    tmp_path: Path, format: Any, bom: bool, quote_all: bool, refusal: int
) -> None:
    body = described(data_processed="2026-08-16T13:46:43.120000+00:00", title=None)
    with stranger(body, bom=bom, quote_all=quote_all, refusal=refusal) as served:
        portal = Portal(served.url)
        (dataset,) = portal.datasets()
        lake = Lake.of(tmp_path, portal.slug)
        landing = land(portal, LandingRequest(dataset, Extractor(format=format)), lake)
    assert landing.receipt.format == format
    table = pq.read_table(lake.partition("records", "arrêtés/2024"))
    assert table.to_pylist() == EXPECTED
    assert table.schema.field("themes").type == pa.list_(pa.string())
    assert table.schema.field("annee").metadata[b"precision"] == b"year"
    assert json.loads(table.schema.metadata[b"geo"])["primary_column"] == "trace"
    later = described(data_processed="2026-08-16T15:46:43.12+02:00", title=None)
    again = type(dataset).from_api(portal.slug, later)
    assert verdict(lake.receipts("records")["arrêtés/2024"], again).kind in {
        Kind.UNCHANGED,
        Kind.METADATA,
    }


def test_both_exports_of_a_portal_never_seen_have_one_content(tmp_path: Path) -> None:
    with stranger(described(), bom=True, quote_all=True, refusal=404) as served:
        portal = Portal(served.url)
        (dataset,) = portal.datasets()
        hashes = [
            land(
                portal,
                LandingRequest(dataset, Extractor(format=format)),
                Lake.of(tmp_path / format, portal.slug),
            ).receipt
            for format in ("parquet", "csv")
        ]
    assert hashes[0].content_hash == hashes[1].content_hash
