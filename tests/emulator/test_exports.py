"""What the exports of a dataset of every type look like, format by format."""

from __future__ import annotations

import gzip
import io
import json

import geopandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from ods_pipeline.emulator import Emulator, Quirks
from tests.emulator.asking import EMPTY, EVERY_TYPE, FULL, LINE, ask, get


def table(portal: Emulator, dataset_id: str = "every-type", **params: str) -> pa.Table:
    return pq.read_table(io.BytesIO(ask(portal, dataset_id, "exports/parquet", **params).content))


def test_json_holds_every_key_of_every_record(portal: Emulator) -> None:
    assert ask(portal, "every-type", "exports/json").json() == [FULL, EMPTY]


def test_json_lines_hold_one_record_each(portal: Emulator) -> None:
    text = ask(portal, "every-type", "exports/jsonl").text
    assert [json.loads(line) for line in text.splitlines()] == [FULL, EMPTY]


def test_csv_cells_are_written_as_portals_write_them(portal: Emulator) -> None:
    reply = ask(portal, "every-type", "exports/csv")
    assert reply.content.startswith(b"\xef\xbb\xbfcode;tags;")
    shape = '"{""coordinates"": [[2.0, 48.0], [3.0, 49.0]], ""type"": ""LineString""}"'
    files = f"{portal.url}/api/explore/v2.1/catalog/datasets/every-type/files/abc"
    cells = [
        *("01001", "a,b c", "9007199254740993", "0.1", "2024-02-29", "1977"),
        *("2024-07-01T10:00:00.250000+00:00", "True", "48.85, 2.35", shape, files),
        '"{""a"": 1}"',
    ]
    lines = reply.content.decode("utf-8-sig").split("\r\n")
    assert lines[1:] == [";".join(cells), ";" * 11, ""]


@pytest.mark.parametrize(
    ("params", "first"),
    [
        ({"use_labels": "true"}, "\ufeffCode INSEE;tags"),
        ({"with_bom": "false"}, "code;tags"),
        ({"delimiter": "\t"}, "\ufeffcode\ttags"),
        ({"quote_all": "true"}, '\ufeff"code";"tags"'),
        ({"nonsense": "1"}, "\ufeffcode;tags"),
    ],
)
def test_csv_parameters_do_what_they_say(
    portal: Emulator, params: dict[str, str], first: str
) -> None:
    text = ask(portal, "every-type", "exports/csv", select="code,tags", **params).content.decode()
    assert text.splitlines()[0] == first


def test_lists_are_joined_by_the_separator_asked_for(portal: Emulator) -> None:
    params = {"select": "tags", "list_separator": "/", "limit": "1"}
    assert ask(portal, "every-type", "exports/csv", **params).text.endswith("a/b c\r\n")


def test_an_undeclared_delimiter_is_refused(portal: Emulator) -> None:
    reply = ask(portal, "every-type", "exports/csv", delimiter="!")
    assert reply.json()["error_code"] == "InvalidRESTParameterError"


def test_parquet_types_are_those_of_genuine_files(portal: Emulator) -> None:
    found = table(portal)
    types = {f.name: str(f.type) for f in found.schema}
    assert types == {
        "code": "string",
        "tags": "string",
        "amount": "int64",
        "share": "double",
        "day": "date32[day]",
        "built": "date32[day]",
        "seen_at": "timestamp[ms, tz=UTC]",
        "active": "bool",
        "point": "binary",
        "shape": "binary",
        "photo": "string",
        "extra": "string",
    }
    assert found.column("amount").to_pylist() == [9007199254740993, None]
    assert found.column("tags").to_pylist() == ["a,b c", None]
    shapes = shapely.from_wkb(found.column("shape").to_pylist())
    assert json.loads(shapely.to_geojson(shapes[0])) == LINE


def test_parquet_carries_the_time_zone_asked_for(portal: Emulator) -> None:
    assert table(portal, timezone="Europe/Paris").schema.field("seen_at").type.tz == "Europe/Paris"


def test_parquet_begins_with_an_empty_row_group_and_tells_its_geometries(portal: Emulator) -> None:
    file = pq.ParquetFile(io.BytesIO(ask(portal, "every-type", "exports/parquet").content))
    assert file.metadata.row_group(0).num_rows == 0
    geo = json.loads(file.metadata.metadata[b"geo"])
    assert geo["version"] == "1.1.0-dev"
    assert geo["primary_column"] == "point"
    assert geo["columns"]["shape"] == {"encoding": "WKB", "geometry_types": ["LineString"]}


def test_parquet_without_geometries_has_no_geo_key(portal: Emulator) -> None:
    assert b"geo" not in (table(portal, select="code").schema.metadata or {})


def test_geopandas_reads_the_parquet(portal: Emulator) -> None:
    reply = ask(portal, "every-type", "exports/parquet")
    frame = geopandas.read_parquet(io.BytesIO(reply.content))
    assert frame.geometry.iloc[0].coords[0] == (2.35, 48.85)


def test_parquet_takes_the_other_declared_compression(portal: Emulator) -> None:
    reply = ask(portal, "every-type", "exports/parquet", parquet_compression="zstd")
    file = pq.ParquetFile(io.BytesIO(reply.content))
    assert file.metadata.row_group(1).column(0).compression == "ZSTD"


def test_quirks_choose_what_is_not_known_of_real_portals() -> None:
    quirks = Quirks(multivalued="list", files="struct", short_dates="string", empty_row_group=False)
    with Emulator(sample=False, quirks=quirks) as portal:
        portal.publish("every-type", fields=EVERY_TYPE, records=[FULL, EMPTY])
        found = table(portal)
        assert found.column("tags").to_pylist() == [["a", "b c"], None]
        assert found.column("photo").to_pylist()[0]["filename"] == "a.jpg"
        assert found.column("built").to_pylist() == ["1977", None]


def test_large_parquet_comes_in_row_groups_of_twenty_thousand(sample: Emulator) -> None:
    reply = ask(sample, "temperature-quotidienne-regionale", "exports/parquet")
    metadata = pq.ParquetFile(io.BytesIO(reply.content)).metadata
    rows = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    assert rows == [0, 20_000, 20_000, 6_332]


def test_geojson_has_the_shape_as_geometry_and_points_latitude_first(portal: Emulator) -> None:
    found = ask(portal, "every-type", "exports/geojson").json()
    full, empty = found["features"]
    assert full["geometry"] == LINE
    assert full["properties"]["point"] == "48.85, 2.35"
    assert "shape" not in full["properties"]
    assert empty["geometry"] is None


def test_shapes_are_projected_where_asked(portal: Emulator) -> None:
    found = ask(portal, "every-type", "exports/geojson", epsg="3857").json()
    x, y = found["features"][0]["geometry"]["coordinates"][0]
    assert (round(x), round(y)) == (222639, 6106855)
    shape = table(portal, epsg="3857").column("shape").to_pylist()[0]
    assert round(shapely.from_wkb(shape).coords[0][0]) == 222639


def test_compressed_exports_are_gzip_files(portal: Emulator) -> None:
    plain = ask(portal, "every-type", "exports/csv")
    packed = ask(portal, "every-type", "exports/csv", compressed="true")
    assert gzip.decompress(packed.content) == plain.content
    assert 'filename="every-type.csv.gzip"' in packed.headers["content-disposition"]


def test_exports_are_chunked_and_text_is_packed_when_accepted(portal: Emulator) -> None:
    for end, encoding in (("exports/csv", "gzip"), ("exports/parquet", None)):
        headers = ask(portal, "every-type", end).headers
        assert "content-length" not in headers
        assert headers["transfer-encoding"] == "chunked"
        assert headers.get("content-encoding") == encoding


def test_clauses_and_limit_apply_to_every_format(portal: Emulator) -> None:
    params = {"where": "amount > 0", "select": "code", "limit": "1"}
    assert ask(portal, "every-type", "exports/json", **params).json() == [{"code": "01001"}]
    assert ask(portal, "every-type", "exports/csv", **params).text.endswith("code\r\n01001\r\n")
    assert table(portal, **params).to_pylist() == [{"code": "01001"}]


def test_an_offset_on_an_export_needs_a_limit(sample: Emulator) -> None:
    name = "temperature-quotidienne-regionale"
    assert ask(sample, name, "exports/csv", offset="1").status_code == 400
    assert ask(sample, name, "exports/csv", offset="9000", limit="2000").status_code == 400
    found = ask(sample, name, "exports/json", offset="1", limit="1").json()
    assert found == ask(sample, name, "exports/json", limit="2").json()[1:]


def test_the_list_of_formats_depends_on_the_geometry(sample: Emulator) -> None:
    for dataset_id, geographic in (("public-trees", True), ("public-art-artists", False)):
        links = ask(sample, dataset_id, "exports").json()["links"]
        assert ("geojson" in [link["rel"] for link in links]) is geographic
    assert ask(sample, "public-art-artists", "exports/geojson").status_code == 404


def test_a_restricted_dataset_gives_a_header_only_csv_and_refuses_the_rest(
    sample: Emulator,
) -> None:
    csv = ask(sample, "ukpn-noise-contours", "exports/csv")
    assert (csv.status_code, csv.text.count("\r\n")) == (200, 1)
    for end in ("exports/parquet", "exports/json", "records", "facets"):
        assert ask(sample, "ukpn-noise-contours", end).status_code == 403


def test_a_dataset_without_records_exports_nothing(sample: Emulator) -> None:
    found = get(sample, "/catalog/datasets", where="has_records is false", limit=1).json()
    dataset_id = found["results"][0]["dataset_id"]
    assert ask(sample, dataset_id, "exports/json").json() == []
    assert ask(sample, dataset_id, "exports/csv").status_code == 200
