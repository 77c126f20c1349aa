"""Every format of the OpenAPI is served, of records and of the catalog, and read by others."""

import io
import json
import struct
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import openpyxl
import pyogrio
import pytest
import rdflib
from rdflib.namespace import DCAT, DCTERMS

from ods_pipeline.emulator import Emulator
from ods_pipeline.emulator.explore import exports
from tests.emulator.asking import EMPTY, FULL, LINE, ask, get

OPENAPI = json.loads(Path("tests/fixtures/openapi/explore_v2.1.json").read_text())["paths"]
#: `enum-format-datasets` of the OpenAPI.
RECORDS = {
    *("csv", "fgb", "geojson", "gpx", "json", "jsonl", "jsonld", "kml", "n3", "ov2", "parquet"),
    *("rdfxml", "shp", "turtle", "xlsx"),
}
WGS84 = "EPSG:4326"
SHAPES: list[dict[str, Any]] = [
    {"type": "Point", "coordinates": [1, 2]},
    LINE,
    {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]},
    {"type": "MultiPoint", "coordinates": [[1, 2], [3, 4]]},
]


def offered(portal: Emulator, path: str) -> list[str]:
    links = get(portal, path).json()["links"]
    return [link["rel"] for link in links if link["rel"] not in ("self", "dataset")]


@pytest.fixture
def shapes() -> Iterator[Emulator]:
    with Emulator(sample=False) as portal:
        fields = [{"name": "no", "type": "int"}, {"name": "shape", "type": "geo_shape"}]
        records = [
            {"no": no, "shape": {"type": "Feature", "geometry": shape, "properties": {}}}
            for no, shape in enumerate(SHAPES)
        ]
        portal.publish("shapes", fields=fields, records=[*records, {"no": 9, "shape": None}])
        yield portal


def test_every_documented_format_of_records_is_served(portal: Emulator) -> None:
    found = offered(portal, "/catalog/datasets/every-type/exports")
    assert {*found} == RECORDS
    for name in found:
        reply = ask(portal, "every-type", f"exports/{name}")
        assert (reply.status_code, bool(reply.content)) == (200, True)
        assert 'filename="every-type.' in reply.headers["content-disposition"]


def test_every_documented_format_of_the_catalog_is_served(sample: Emulator) -> None:
    found = offered(sample, "/catalog/exports")
    (enumerated,) = [
        each["enum"]
        for each in OPENAPI["/catalog/exports/{format}"]["parameters"]
        if each["name"] == "format"
    ]
    assert sorted(found) == sorted(enumerated)
    for name in found:
        reply = get(sample, f"/catalog/exports/{name}", limit=2)
        assert (reply.status_code, bool(reply.content)) == (200, True)


def test_a_format_without_its_library_is_an_unknown_one(
    portal: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in ("rdflib", "openpyxl"):
        monkeypatch.setitem(sys.modules, library, None)
    exports.is_there.cache_clear()
    try:
        left = {*offered(portal, "/catalog/datasets/every-type/exports")}
        assert {"shp", "gpx", "ov2"} < left
        assert not left & {"turtle", "n3", "rdfxml", "jsonld", "xlsx"}
        assert "ttl" not in offered(portal, "/catalog/exports")
        for reply in (
            ask(portal, "every-type", "exports/xlsx"),
            get(portal, "/catalog/exports/rdf"),
        ):
            assert (reply.status_code, reply.json()["error_code"]) == (404, "NotFoundURI")
    finally:
        exports.is_there.cache_clear()


def test_the_emulator_loads_no_library_of_a_format_before_it_is_asked_for() -> None:
    code = (
        "import sys, ods_pipeline.emulator\n"
        "print({'geopandas', 'pyogrio', 'rdflib', 'openpyxl'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_dataset_without_places_has_no_format_of_places(sample: Emulator) -> None:
    found = {*offered(sample, "/catalog/datasets/public-art-artists/exports")}
    assert found == {"csv", "json", "jsonl", "jsonld", "n3", "parquet", "rdfxml", "turtle", "xlsx"}


def test_a_dataset_too_large_for_a_shapefile_offers_none() -> None:
    with Emulator(sample=False) as portal:
        portal.make_big("many", rows=50_001, vertices=4)
        found = offered(portal, "/catalog/datasets/many/exports")
        assert ("kml" in found, "shp" in found) == (True, False)


def test_what_is_written_whole_is_bounded_and_what_streams_is_not() -> None:
    with Emulator(sample=False) as portal:
        portal.make_big("many", rows=200_001)
        assert ask(portal, "many", "exports/xlsx").status_code == 400
        assert ask(portal, "many", "exports/xlsx", limit=2).status_code == 200
        assert ask(portal, "many", "exports/csv").text.count("\n") == 200_002


@pytest.mark.parametrize("name", ["fgb", "kml", "shp"])
def test_gdal_reads_values_and_places(portal: Emulator, tmp_path: Path, name: str) -> None:
    path = tmp_path / f"export.{'zip' if name == 'shp' else name}"
    path.write_bytes(ask(portal, "every-type", f"exports/{name}").content)
    frame = pyogrio.read_dataframe(path)
    full, empty = frame.iloc[0], frame.iloc[1]
    assert (full["code"], full["tags"], full["share"]) == ("01001", "a,b c", 0.1)
    assert int(full["amount"]) == FULL["amount"] - (name != "kml")
    assert str(full["day"])[:10] == FULL["day"]
    assert [*full.geometry.coords] == [*map(tuple, LINE["coordinates"])]
    assert (empty["code"] in (None, "")) or empty.isna()["code"]
    assert empty.geometry is None
    assert frame.crs == WGS84


def test_shapes_are_projected_but_in_kml(portal: Emulator, tmp_path: Path) -> None:
    for name, crs in (("fgb", "EPSG:3857"), ("kml", WGS84)):
        path = tmp_path / f"export.{name}"
        path.write_bytes(ask(portal, "every-type", f"exports/{name}", epsg="3857").content)
        frame = pyogrio.read_dataframe(path)
        assert frame.crs == crs
        assert (frame.geometry[0].coords[0][0] > 180) is (name == "fgb")


def test_a_packed_shapefile_has_one_file_for_each_kind_of_shape(
    shapes: Emulator, tmp_path: Path
) -> None:
    path = tmp_path / "export.zip"
    path.write_bytes(ask(shapes, "shapes", "exports/shp").content)
    with zipfile.ZipFile(path) as archive:
        parts = {Path(name).suffix for name in archive.namelist()}
    assert {".shp", ".shx", ".dbf", ".prj", ".cpg"} <= parts
    rows = {
        name: len(pyogrio.read_dataframe(path, layer=name)) for name, _ in pyogrio.list_layers(path)
    }
    assert rows == {
        "shapes-point": 2,
        "shapes-multipoint": 1,
        "shapes-linestring": 1,
        "shapes-polygon": 1,
    }


def test_long_names_of_a_shapefile_are_shortened_and_told_apart(tmp_path: Path) -> None:
    names = ["population_2020", "population_2021", "population_2022"]
    with Emulator(sample=False) as portal:
        fields = [{"name": name, "type": "int"} for name in names]
        fields.append({"name": "point", "type": "geo_point_2d"})
        record = {name: no for no, name in enumerate(names)} | {"point": {"lon": 1, "lat": 2}}
        portal.publish("years", fields=fields, records=[record])
        path = tmp_path / "export.zip"
        path.write_bytes(ask(portal, "years", "exports/shp").content)
    frame = pyogrio.read_dataframe(path)
    assert [*frame.columns][:3] == ["population", "populati_1", "populati_2"]
    assert frame.iloc[0].to_list()[:3] == [0, 1, 2]


def gpx(portal: Emulator, tmp_path: Path, **params: str) -> tuple[Path, ElementTree.Element]:
    path = tmp_path / "export.gpx"
    path.write_bytes(ask(portal, "shapes", "exports/gpx", **params).content)
    return path, ElementTree.parse(path).getroot()


def test_gpx_has_waypoints_and_tracks_with_fields_as_extensions(
    shapes: Emulator, tmp_path: Path
) -> None:
    path, root = gpx(shapes, tmp_path, name_field="no")
    points = pyogrio.read_dataframe(path, layer="waypoints")
    tracks = pyogrio.read_dataframe(path, layer="tracks")
    assert (points["ogr_no"].to_list(), points["name"].to_list()) == ([0], ["0"])
    assert [*points.geometry[0].coords] == [(1, 2)]
    assert sorted(tracks["ogr_no"]) == [1, 2, 3]
    _, root = gpx(shapes, tmp_path, use_extension="false")
    names = {item.tag.partition("}")[2] for item in root.iter()}
    assert ("desc" in names, "extensions" in names) == (True, False)


def test_ov2_has_a_place_and_a_name(portal: Emulator) -> None:
    body = ask(portal, "every-type", "exports/ov2").content
    kind, size, lon, lat = struct.unpack_from("<BIii", body)
    assert (kind, size, lon, lat) == (2, len(body), 250_000, 4_850_000)
    assert body[13:] == b"01001\0"


def test_a_workbook_has_names_and_typed_cells(portal: Emulator) -> None:
    with Emulator(sample=False) as other:
        fields = [{"name": "t", "type": "text", "label": "Text"}, {"name": "n", "type": "double"}]
        other.publish("odd", fields=fields, records=[{"t": "=1+1\x07", "n": 2.5}, {"t": "b"}])
        body = ask(other, "odd", "exports/xlsx", use_labels="true").content
    rows = [*openpyxl.load_workbook(io.BytesIO(body)).active.iter_rows(values_only=True)]
    assert rows == [("Text", "n"), ("=1+1", 2.5), ("b", None)]
    book = openpyxl.load_workbook(io.BytesIO(ask(portal, "every-type", "exports/xlsx").content))
    names, full = [*book.active.iter_rows(values_only=True)][:2]
    assert [*names] == [*FULL]
    assert dict(zip(names, full, strict=True))["active"] is True


@pytest.mark.parametrize(
    ("name", "notation"),
    [("rdfxml", "xml"), ("turtle", "turtle"), ("n3", "n3"), ("jsonld", "json-ld")],
)
def test_each_record_is_a_resource_in_rdf(portal: Emulator, name: str, notation: str) -> None:
    graph = rdflib.Graph().parse(data=ask(portal, "every-type", f"exports/{name}").content,
                                 format=notation)  # fmt: skip
    field = rdflib.Namespace(f"{portal.url}/ld/ontologies/every-type/")
    assert len({*graph.subjects(rdflib.RDF.type, field["Record"])}) == len([FULL, EMPTY])
    assert [each.toPython() for each in graph.objects(None, field["amount"])] == [FULL["amount"]]
    assert [str(each) for each in graph.objects(None, field["code"])] == ["01001"]


def test_groups_have_every_format_without_places(portal: Emulator) -> None:
    asked = {"select": "count(*) as n", "group_by": "code", "order_by": "code"}
    body = ask(portal, "every-type", "exports/xlsx", **asked).content
    rows = [*openpyxl.load_workbook(io.BytesIO(body)).active.iter_rows(values_only=True)]
    assert (rows[0], {*rows[1:]}) == (("code", "n"), {("01001", 1), (None, 1)})
    graph = rdflib.Graph().parse(
        data=ask(portal, "every-type", "exports/turtle", **asked).content, format="turtle"
    )
    assert len({*graph.subjects(rdflib.RDF.type)}) == 2


@pytest.mark.parametrize("name", ["dcat", "dcat_ap_de", "rdf", "ttl"])
def test_dcat_has_each_dataset_with_its_exports(sample: Emulator, name: str) -> None:
    asked = {"where": "dataset_id = 'public-trees'", "include_exports": "csv,json"}
    reply = get(sample, f"/catalog/exports/{name}", **asked)
    graph = rdflib.Graph().parse(data=reply.content, format="turtle" if name == "ttl" else "xml")
    (node,) = graph.subjects(rdflib.RDF.type, DCAT.Dataset)
    assert str(node) == f"{sample.url}/explore/dataset/public-trees/"
    assert str(graph.value(node, DCTERMS.title)) == "Public trees"
    places = {str(each).rpartition("/")[2] for each in graph.objects(node, DCAT.distribution)}
    assert places == {"csv?use_labels=true", "json"}


def test_the_other_lists_of_datasets_name_each(sample: Emulator) -> None:
    asked = {"where": "dataset_id = 'public-trees'"}
    replies = {
        name: get(sample, f"/catalog/exports/{name}", **asked).content
        for name in ("rss", "data.json", "dublin_core", "xlsx", "csv")
    }
    (item,) = ElementTree.fromstring(replies["rss"]).iter("item")
    assert item.findtext("title") == "Public trees"
    (listed,) = json.loads(replies["data.json"])["dataset"]
    assert (listed["title"], listed["accessLevel"]) == ("Public trees", "public")
    graph = rdflib.Graph().parse(data=replies["dublin_core"], format="xml")
    assert [str(each) for each in graph.objects(None, rdflib.DC.identifier)] == ["public-trees"]
    names, cells = openpyxl.load_workbook(io.BytesIO(replies["xlsx"])).active.iter_rows(
        values_only=True
    )
    header = replies["csv"].decode("utf-8-sig").splitlines()[0]
    assert ";".join(map(str, names)) == header
    assert cells[-1] == "public-trees"
