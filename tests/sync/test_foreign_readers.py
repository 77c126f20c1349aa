"""Every export of the portal as a file that programs of others read, with all of its records."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import openpyxl
import pyogrio
import pytest
import rdflib
from rdflib.namespace import DCAT, DCTERMS

from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.errors import Miscounted, Unproven
from ods_pipeline.portal.portal import Portal
from ods_pipeline.sync.file_export import ExportedFile, export_catalog, export_dataset
from tests.desk import TOWN_FIELDS, TOWNS

NOWHERE = 3
ROADS: list[dict[str, Any]] = [
    {
        "code": f"r{number}",
        "n": number,
        "line": {
            "type": "Feature",
            "geometry": {"type": "LineString", "coordinates": [[number, 45], [number, 46]]},
            "properties": {},
        },
    }
    for number in range(5)
]
ROAD_FIELDS = [*TOWN_FIELDS[:2], {"name": "line", "type": "geo_shape"}]
GDAL = {"geojson": "{}", "fgb": "{}", "kml": "{}", "gpx": "{}", "shp": "/vsizip/{{{}}}"}
RDF = {"rdfxml": "xml", "turtle": "turtle", "n3": "n3", "jsonld": "json-ld"}
COUNTED = ["csv", "json", "jsonl", "parquet", "geojson", "fgb", "kml", "gpx", "shp", "xlsx", "ov2"]
UNCOUNTED = [*RDF]
DCATS = {"dcat": "xml", "dcat_ap_de": "xml", "rdf": "xml", "ttl": "turtle"}


@pytest.fixture(scope="module")
def served() -> Iterator[Emulator]:
    with Emulator(sample=False) as emulator:
        emulator.publish("towns", TOWN_FIELDS, TOWNS, {"title": "Towns"})
        some = [{**row, "where": None} if row["n"] < NOWHERE else row for row in TOWNS]
        emulator.publish("scattered", TOWN_FIELDS, some, {"title": "Scattered"})
        emulator.publish("roads", ROAD_FIELDS, ROADS, {"title": "Roads"})
        yield emulator


@pytest.fixture
def portal(served: Emulator) -> Iterator[Portal]:
    yield Portal(served.url, pause=0)
    served.faults.clear()


def export(portal: Portal, name: str, format: str, folder: Path, **asked: Any) -> ExportedFile:
    return export_dataset(portal, name, format, folder / f"{name}.{format}", asked)


def by_gdal(file: ExportedFile) -> gpd.GeoDataFrame:
    place = GDAL[file.format].format(file.path)
    first = "tracks" if file.path.stem == "roads" and file.format == "gpx" else 0
    return pyogrio.read_dataframe(place, layer=first)


@pytest.mark.parametrize("format", GDAL)
@pytest.mark.parametrize(("name", "rows"), [("towns", len(TOWNS)), ("roads", len(ROADS))])
def test_gdal_reads_all_places_of_an_export(
    portal: Portal, tmp_path: Path, name: str, rows: int, format: str
) -> None:
    file = export(portal, name, format, tmp_path)
    assert file.proof == f"{rows} records = live count {rows}"
    frame = by_gdal(file)
    prefix = "ogr_" if format == "gpx" else ""
    codes = [row["code"] for row in (TOWNS if name == "towns" else ROADS)]
    # GDAL takes digits in extensions of GPX for numbers.
    assert [str(code).zfill(2) for code in frame[f"{prefix}code"]] == [
        code[-2:] if format == "gpx" else code for code in codes
    ]
    assert [int(n) for n in frame[f"{prefix}n"]] == [*range(rows)]
    assert frame.crs == "EPSG:4326"
    xmin, ymin, xmax, ymax = frame.total_bounds
    bounds = (0, 48, 1.9, 48) if name == "towns" else (0, 45, 4, 46)
    assert (xmin, ymin, xmax, ymax) == bounds


@pytest.mark.parametrize("format", GDAL)
def test_records_without_a_place_are_counted_where_a_format_leaves_them_out(
    portal: Portal, tmp_path: Path, format: str
) -> None:
    file = export(portal, "scattered", format, tmp_path)
    left = len(TOWNS) - NOWHERE
    if format == "gpx":
        assert file.proof == f"{left} records = all with a where; {NOWHERE} have none"
    else:
        assert file.records == len(TOWNS)


def test_openpyxl_and_gdal_read_all_lines_of_a_workbook(portal: Portal, tmp_path: Path) -> None:
    file = export(portal, "towns", "xlsx", tmp_path, use_labels=True)
    lines = [*openpyxl.load_workbook(file.path).active.iter_rows(values_only=True)]
    assert (lines[0], lines[1]) == (("Code", "n", "where"), ("00000", 0, "48.0, 0.0"))
    assert file.records == len(lines) - 1 == len(TOWNS)


@pytest.mark.parametrize("format", RDF)
def test_rdflib_reads_all_records_of_an_export(portal: Portal, tmp_path: Path, format: str) -> None:
    file = export(portal, "towns", format, tmp_path)
    graph = rdflib.Graph().parse(file.path, format=RDF[format])
    assert len({*graph.subjects(rdflib.RDF.type)}) == len(TOWNS)
    codes = {str(o) for _, p, o in graph if str(p).endswith("/code")}
    assert codes == {row["code"] for row in TOWNS}


@pytest.mark.parametrize("format", UNCOUNTED)
def test_what_nothing_here_counts_is_named_unproven(
    portal: Portal, tmp_path: Path, format: str
) -> None:
    file = export(portal, "towns", format, tmp_path)
    assert (file.records, file.size > 0) == (None, True)
    assert file.proof == f"unproven: nothing here counts what is in {format}"


@pytest.mark.parametrize("format", COUNTED)
@pytest.mark.parametrize("name", ["towns", "roads", "scattered"])
@pytest.mark.parametrize("lie", [Fault.short_rows(1), Fault.header_only()], ids=lambda f: f.kind)
def test_an_export_of_fewer_records_than_counted_is_refused(
    served: Emulator, portal: Portal, tmp_path: Path, name: str, format: str, lie: Fault
) -> None:
    served.fail(f"{name}/exports/{format}", lie, None)
    with pytest.raises(Miscounted, match="where the portal counts"):
        export(portal, name, format, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("format", COUNTED)
@pytest.mark.parametrize("lie", [Fault.cut(200), Fault.html(as_data=True)], ids=lambda f: f.kind)
def test_what_is_no_whole_file_is_refused(
    served: Emulator, portal: Portal, tmp_path: Path, format: str, lie: Fault
) -> None:
    served.fail(f"towns/exports/{format}", lie, None)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one depends on where it broke
        export(portal, "towns", format, tmp_path)
    assert type(caught.value).__module__ == "ods_pipeline.errors"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("format", DCATS)
def test_rdflib_reads_all_datasets_of_a_catalog(
    portal: Portal, tmp_path: Path, format: str
) -> None:
    file = export_catalog(portal, format, tmp_path / "catalog", {})
    assert file.proof == f"unproven: nothing here counts what is in {format}"
    graph = rdflib.Graph().parse(file.path, format=DCATS[format])
    nodes = {*graph.subjects(rdflib.RDF.type, DCAT.Dataset)}
    assert {str(graph.value(node, DCTERMS.title)) for node in nodes} == {
        "Towns",
        "Scattered",
        "Roads",
    }


def _titles(lines: list[Sequence[Any]]) -> list[str]:
    place = lines[0].index("default.title")
    return [line[place] for line in lines[1:]]


def _titles_of_csv(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return _titles([*csv.reader(file, delimiter=";")])


def _titles_of_json(path: Path) -> list[str]:
    return [each["metas"]["default"]["title"] for each in json.loads(path.read_text())]


def _titles_of_xlsx(path: Path) -> list[str]:
    return _titles([*openpyxl.load_workbook(path).active.iter_rows(values_only=True)])


TITLES: Mapping[str, Callable[[Path], list[str]]] = {
    "csv": _titles_of_csv,
    "json": _titles_of_json,
    "xlsx": _titles_of_xlsx,
}


@pytest.mark.parametrize("format", TITLES)
def test_a_catalog_of_fewer_datasets_than_counted_is_refused(
    served: Emulator, portal: Portal, tmp_path: Path, format: str
) -> None:
    target = tmp_path / f"catalog.{format}"
    file = export_catalog(portal, format, target, {})
    assert file.proof == "3 datasets = live count 3"
    assert sorted(TITLES[format](target)) == ["Roads", "Scattered", "Towns"]
    lie = Fault.fewer_datasets(1) if format == "json" else Fault.short_rows(1)
    served.fail(f"catalog/exports/{format}", lie, None)
    with pytest.raises(Unproven, match="2 datasets came where the portal counts 3"):
        export_catalog(portal, format, target, {})
    assert sorted(TITLES[format](target)) == ["Roads", "Scattered", "Towns"]
