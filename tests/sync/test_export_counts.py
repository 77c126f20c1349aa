"""Records are counted in each format that something here reads; a cut file is no shorter one."""

import contextlib
import json
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
from ods_pipeline.sync.export_counts import count

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


def test_a_format_that_nothing_here_reads_is_not_counted(tmp_path: Path) -> None:
    assert count(tmp_path / "none", "rdfxml") is None
