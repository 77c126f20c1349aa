"""Records are counted in each format that something here reads; a cut file is no shorter one."""

import contextlib
import gzip
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapely.geometry import Point

from ods_pipeline.errors import Unproven
from ods_pipeline.sync import json_text
from ods_pipeline.sync.export_counts import count
from ods_pipeline.sync.export_documents import require_packed

ROWS = 40
CELLS = [{"code": f"{number:05}", "name": 'a "b"; c,\nd'} for number in range(ROWS)]
PLACES = gpd.GeoDataFrame(
    CELLS, geometry=[Point(number / 10, 48) for number in range(ROWS)], crs="EPSG:4326"
)


def _csv(path: Path) -> None:
    lines = [f'{row["code"]};"{row["name"].replace(chr(34), chr(34) * 2)}"\r\n' for row in CELLS]
    path.write_text("\ufeffcode;name\r\n" + "".join(lines), encoding="utf-8", newline="")


def _shp(path: Path) -> None:
    folder = path.with_suffix(".folder")
    folder.mkdir()
    PLACES.drop(columns="name").to_file(folder / "places.shp")
    with zipfile.ZipFile(path, "w") as archive:
        for part in folder.iterdir():
            archive.write(part, part.name)


def _by_gdal(driver: str) -> Callable[[Path], None]:
    return lambda path: PLACES.to_file(path, driver=driver)


def _gpx(path: Path) -> None:
    PLACES[["geometry"]].assign(name=PLACES.code).to_file(path, driver="GPX", layer="waypoints")


def _xlsx(path: Path) -> None:
    PLACES.drop(columns="geometry").pipe(gpd.GeoDataFrame).to_file(path, driver="XLSX")


WRITERS: dict[str, Callable[[Path], object]] = {
    "csv": _csv,
    "json": lambda path: path.write_text(json.dumps(CELLS)),
    "jsonl": lambda path: path.write_text("".join(f"{json.dumps(row)}\n" for row in CELLS)),
    "parquet": lambda path: pq.write_table(pa.Table.from_pylist(CELLS), path),
    "geojson": _by_gdal("GeoJSON"),
    "fgb": _by_gdal("FlatGeobuf"),
    "kml": _by_gdal("KML"),
    "gpx": _gpx,
    "shp": _shp,
    "xlsx": _xlsx,
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder, made = tmp_path_factory.mktemp("exports"), {}
    for format, write in WRITERS.items():
        path = folder / f"export.{'zip' if format == 'shp' else format}"
        write(path)
        made[format] = path.read_bytes()
    return made


@pytest.mark.parametrize("format", WRITERS)
def test_a_whole_file_has_its_records(files: dict[str, bytes], tmp_path: Path, format: str) -> None:
    path = tmp_path / "unfinished.4f3a.export"
    path.write_bytes(files[format])
    assert count(path, format) == ROWS


@pytest.mark.parametrize("format", WRITERS)
@settings(
    deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.floats(0, 1, exclude_max=True))
def test_a_cut_file_has_never_all_of_its_records(
    files: dict[str, bytes], tmp_path: Path, format: str, part: float
) -> None:
    whole = files[format]
    path = tmp_path / "cut"
    path.write_bytes(whole[: int(part * (len(whole) - 40))])
    with contextlib.suppress(Unproven):
        assert (count(path, format) or 0) < ROWS


@pytest.mark.parametrize("format", [name for name in WRITERS if name != "jsonl"])
def test_a_file_without_its_last_byte_is_not_whole(
    files: dict[str, bytes], tmp_path: Path, format: str
) -> None:
    path = tmp_path / "cut"
    path.write_bytes(files[format].rstrip(b"\n")[:-1])
    with pytest.raises(Unproven):
        count(path, format)


@pytest.mark.parametrize("format", ["shp", "xlsx"])
def test_an_archive_with_another_byte_in_it_is_not_whole(
    files: dict[str, bytes], tmp_path: Path, format: str
) -> None:
    body = bytearray(files[format])
    body[len(body) // 3] ^= 0xFF
    path = tmp_path / "damaged"
    path.write_bytes(body)
    with pytest.raises(Unproven, match=r"no whole ZIP archive"):
        count(path, format)


WHOLE: dict[str, bytes] = {
    "rdfxml": b'<?xml version="1.0"?><rdf:RDF xmlns:rdf="urn:r"><a>x</a></rdf:RDF>',
    "rss": b'<rss version="2.0"><channel><title>t</title></channel></rss>',
    "dcat_ap_de": b'<rdf:RDF xmlns:rdf="urn:r"><a>x</a></rdf:RDF>',
    "turtle": b'@prefix d: <http://www.w3.org/ns/dcat#> .\n<http://a.b/c> d:title "a. b" .',
    "n3": b'<http://a.b/c> <http://a.b/d> "e" .',
    "jsonld": b'{"@graph": [{"a": [1.5e-3, true, null, "\\ud83d"]}, {}], "b": []}',
    "data.json": b'{"dataset": [{"title": "a"}]}',
}


@pytest.mark.parametrize("format", WHOLE)
def test_what_nothing_counts_is_whole_or_refused(tmp_path: Path, format: str) -> None:
    path, whole = tmp_path / "export", WHOLE[format]
    path.write_bytes(whole + b"\n")
    assert count(path, format) is None
    page = b"<!DOCTYPE html>\n<html><body>Log in</body></html>"
    error = b'{"error_code": "InternalError", "message": "Try again."}'
    broken = [b"", b" \n", page, page[16:], whole[:-1], whole[: len(whole) // 2]]
    for body in [*broken, *([] if "json" in format else [error])]:
        path.write_bytes(body)
        with pytest.raises(Unproven):
            count(path, format)


def test_a_packed_file_is_whole_or_refused(tmp_path: Path) -> None:
    path, packed = tmp_path / "export.gz", gzip.compress(b"a;b\r\n1;2\r\n")
    path.write_bytes(packed)
    require_packed(path)
    for body in (b"", b"a;b", packed[:-1], gzip.compress(b""), gzip.compress(b"<html>")):
        path.write_bytes(body)
        with pytest.raises(Unproven):
            require_packed(path)


@pytest.mark.parametrize(
    ("text", "delimiter", "records"),
    [
        (f'a;b\r\n1;"{"x" * 200_000}"\r\n', ";", 1),
        ("round(a, 1), or b\r\n1\r\n2\r\n", ";", 2),
        ("a;b,c\r\n1,2\r\n", ",", 1),
        ("a\r\n1\r\n\r\n2\r\n", ";", 3),
        ("a\tb;c;d\r\n", "\t", 0),
    ],
    ids=["a long cell", "commas in a header", "semicolons in a header", "no value", "no record"],
)
def test_cells_are_told_apart_by_what_was_asked_for(
    tmp_path: Path, text: str, delimiter: str, records: int
) -> None:
    path = tmp_path / "export.csv"
    path.write_text(text, newline="")
    assert count(path, "csv", delimiter=delimiter) == records


def test_half_a_pair_of_surrogates_is_json(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_text(r'[{"a": "\ud83d"}, {"a": "\ud83d\ude00"}]')
    assert count(path, "json") == 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)  # fmt: skip


@settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(JSON), st.booleans(), st.integers(1, 9), st.data())
def test_json_is_read_in_pieces_as_it_is_in_one(
    tmp_path_factory: pytest.TempPathFactory,
    parts: list[object],
    escaped: bool,
    piece: int,
    data: st.DataObject,
) -> None:
    path = tmp_path_factory.getbasetemp() / "pieces.json"
    text = json.dumps(parts, ensure_ascii=escaped)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_text, "_PIECE", piece)
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        assert json_text.parts(path) == len(parts)
        broken = text[: data.draw(st.integers(0, len(text) - 1))]
        for body in (broken, f"{text},", f"{text}]", f"{text} error"):
            path.write_text(body, encoding="utf-8")
            with pytest.raises(Unproven):
                json_text.parts(path)


def test_ov2_is_counted_a_point_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "points.ov2"
    area = struct.pack("<BIiiii", 1, 40, 9, 9, 0, 0)
    point = struct.pack("<BIii", 2, 15, 5, 5) + b"a\0"
    path.write_bytes(area + point + point)
    assert count(path, "ov2") == 2
    for body in (point[:-1], point + point[:4], b"<html><body>Log in"):
        path.write_bytes(body)
        with pytest.raises(Unproven):
            count(path, "ov2")
