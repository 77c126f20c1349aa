"""Clients that others wrote read the WFS, and find what the Explore API tells of the same records.

GDAL asks from a process of its own: it holds the interpreter while it waits for the server.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from owslib.wfs import WebFeatureService

from ods_pipeline.emulator import Emulator
from tests.emulator.asking import EMPTY, EVERY_TYPE, FULL, ask, count
from tests.emulator.wfs_asking import VERSIONS, by_hand, features, local, members, values

READ = """
import json, sys
import pyogrio
found = {}
for version in sys.argv[2:]:
    source = f"WFS:{sys.argv[1]}/api/wfs?version={version}"
    layers = {}
    for name, _ in pyogrio.list_layers(source):
        if name == "ods:restricted":
            continue
        info = pyogrio.read_info(source, layer=name, force_feature_count=True)
        frame = pyogrio.read_dataframe(source, layer=name)
        texts = json.loads(frame.drop(columns="geometry").to_json(date_format="iso"))
        layers[name] = {
            "types": dict(zip(info["fields"].tolist(), info["ogr_types"])),
            "crs": info["crs"],
            "count": info["features"],
            "columns": texts,
            "shapes": [shape and shape.wkt for shape in frame.geometry],
        }
    found[version] = layers
print(json.dumps(found))
"""
POINTS = [f for f in EVERY_TYPE if f["type"] != "geo_shape"]


@pytest.fixture(scope="module")
def served() -> Any:
    with Emulator(sample=False) as portal:
        portal.publish("every-type", fields=EVERY_TYPE, records=[FULL, EMPTY])
        records = [{**FULL, "amount": n, "code": f"{n:05}"} for n in range(500)]
        portal.publish("points", fields=POINTS, records=records)
        portal.publish("restricted", fields=POINTS, records=records)
        portal.restrict("restricted")
        yield portal


@pytest.fixture(scope="module")
def by_gdal(served: Emulator) -> Any:
    command = [sys.executable, "-c", READ, served.url, *VERSIONS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("version", VERSIONS)
def test_gdal_types_the_columns_by_the_schema(by_gdal: Any, version: str) -> None:
    types = by_gdal[version]["ods:every-type"]["types"]
    assert types == {
        "gml_id": "OFTString",
        "code": "OFTString",
        "tags": "OFTStringList",
        "amount": "OFTInteger64",
        "share": "OFTReal",
        "day": "OFTDate",
        "built": "OFTString",
        "seen_at": "OFTDateTime",
        "active": "OFTInteger",
        "photo": "OFTString",
        "extra": "OFTString",
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_gdal_reads_the_records(by_gdal: Any, served: Emulator, version: str) -> None:
    layer = by_gdal[version]["ods:points"]
    records = ask(served, "points", "exports/json").json()
    assert layer["count"] == len(records) == 500
    assert layer["crs"] == "EPSG:4326"
    for name in ("code", "amount", "share", "built"):
        assert list(layer["columns"][name].values()) == [record[name] for record in records]
    assert set(layer["columns"]["seen_at"].values()) == {"2024-07-01T10:00:00.250Z"}
    assert set(layer["columns"]["active"].values()) == {1}
    assert layer["shapes"] == ["POINT (2.35 48.85)"] * 500
    assert by_gdal[version]["ods:every-type"]["columns"]["tags"]["0"] == ["a", "b c"]


@pytest.mark.parametrize("version", VERSIONS)
def test_owslib_reads_all_operations(served: Emulator, version: str) -> None:
    service = WebFeatureService(served.url + "/api/wfs", version=version)
    assert [*service.contents] == ["ods:every-type", "ods:points", "ods:restricted"]
    assert service.contents["ods:points"].crsOptions[0].getcodeurn() == (
        "urn:ogc:def:crs:EPSG::4326"
    )
    schema = service.get_schema("ods:points")
    assert schema["properties"]["amount"] == "long"
    assert (schema["geometry"], schema["geometry_column"]) == ("Point", "point")
    body = service.getfeature(typename=["ods:points"]).read()
    assert len(members(body)) == count(served, "points")
    few = service.getfeature(typename=["ods:points"], maxfeatures=3, propertyname=["code"])
    assert [values(f) for f in members(few.read())] == [{"code": [f"{n:05}"]} for n in range(3)]


def test_owslib_reads_stored_queries(served: Emulator) -> None:
    service = WebFeatureService(served.url + "/api/wfs", version="2.0.0")
    [query] = service.storedqueries
    body = service.getfeature(storedQueryID=query.id, storedQueryParams={"id": "points.7"}).read()
    root = ET.fromstring(body)
    assert (local(root), values(root)["code"]) == ("points", ["00006"])


@pytest.mark.parametrize("dataset_id", ["world-administrative-boundaries", "public-art"])
@pytest.mark.parametrize("version", VERSIONS)
def test_the_real_datasets_are_told_as_the_api_tells_them(
    sample: Emulator, dataset_id: str, version: str
) -> None:
    records = ask(sample, dataset_id, "exports/json").json()
    found = members(features(sample, dataset_id, version).content)
    assert len(found) == len(records)
    for feature, record in zip(found, records, strict=True):
        told = values(feature)
        for name, value in record.items():
            if isinstance(value, dict) and "geometry" in value:
                assert by_hand(feature, name) == value["geometry"]
            else:
                assert _agree(told.get(name), value), (name, value, told.get(name))


def _agree(told: list[str | None] | None, value: Any) -> bool:
    """Whether a feature says what the record says."""
    if value is None or value == []:
        return told is None
    if told is None:
        return False
    if isinstance(value, list):
        return told == value
    if isinstance(value, dict) and "lon" in value:
        return told == [f"{value['lat']} {value['lon']}"]
    if isinstance(value, dict):
        return (told[0] or "").endswith(f"/files/{value['id']}")
    if isinstance(value, (int, float)):
        return float(told[0] or "nan") == value
    return told == [value]


# One feature of stgallen.opendatasoft.com, dataset baustellenkoordination (CC BY 4.0), as the tests
# of jo-m/cartomancer (internal/pkg/roadclosures/sg/sg_test.go, 2026-05) hold it.
RECORDED = {
    "geo_point_2d": "47.4258329 9.0876304",
    "geo_shape": "47.4258329 9.0876304",
    "id": "29082",
    "bew": "Jonschwil Poststrasse",
    "zust": "Tiefbauamt Kanton St.Gallen",
    "adresse": "Poststrasse 10, 9243 Jonschwil, Schweiz",
    "beginn": "2026-04-15 00:00:00+00:00",
    "ende": "2026-06-26 00:00:00+00:00",
}
TYPES = dict.fromkeys(RECORDED, "text") | {
    "geo_point_2d": "geo_point_2d",
    "geo_shape": "geo_shape",
    "id": "int",
    "beginn": "datetime",
    "ende": "datetime",
}


def test_the_recorded_feature_of_a_real_portal_is_told_in_the_same_words() -> None:
    position = {"lon": 9.0876304, "lat": 47.4258329}
    shape = {"type": "Point", "coordinates": [position["lon"], position["lat"]]}
    record: dict[str, Any] = {**RECORDED, "geo_point_2d": position, "geo_shape": shape}
    record["id"] = int(record["id"])
    with Emulator(sample=False) as portal:
        fields = [{"name": name, "type": kind} for name, kind in TYPES.items()]
        portal.publish("baustellenkoordination", fields=fields, records=[record])
        [feature] = members(features(portal, "baustellenkoordination", "2.0.0").content)
    assert {name: text for name, [text] in values(feature).items()} == RECORDED
    for geometry in (feature[0][0], feature[1][0]):
        assert geometry.tag == "{http://www.opengis.net/gml/3.2}Point"
        assert geometry.attrib == {"srsName": "urn:ogc:def:crs:EPSG::4326"}
        assert [part.tag for part in geometry] == ["{http://www.opengis.net/gml/3.2}pos"]
