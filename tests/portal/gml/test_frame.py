"""`read_gml`: from files to data frames, typed where a schema is given and never guessed."""

import io
from datetime import date
from pathlib import Path
from typing import Any

import geopandas
import pandas as pd
import pyarrow as pa
import pytest
import shapely

from ods_pipeline.dataset import Field
from ods_pipeline.errors import (
    ConfigurationError,
    GmlRefused,
    OdsPipelineError,
    TypeMismatch,
    Unproven,
)
from ods_pipeline.portal.gml import read_gml
from tests.portal.gml.documents import ODS, Feature, Style, around, document

TEXTS: dict[str, Any] = {
    "name": "01001",
    "number": "9007199254740993",
    "size": "1.5",
    "seen": "2026-04-15 00:00:00+00:00",
    "day": "2026-04-15",
    "open": "True",
    "tags": ["a", "b"],
}
BODY = document(
    [
        Feature("x.1", TEXTS, {"geo_point_2d": shapely.Point(2, 48)}),
        Feature("x.2", {"name": ""}, {"geo_shape": shapely.box(1, 47, 3, 49)}),
    ]
)
FIELDS = [
    Field("name", "text"),
    Field("number", "int"),
    Field("missing", "double"),
    Field("size", "double"),
    Field("seen", "datetime"),
    Field("day", "date"),
    Field("open", "boolean"),
    Field("tags", "text", annotations={"multivalued": True}),
    Field("geo_shape", "geo_shape"),
    Field("geo_point_2d", "geo_point_2d"),
]
ARROW = pa.schema(
    [
        ("name", pa.string()),
        ("number", pa.int64()),
        ("missing", pa.float64()),
        ("size", pa.float64()),
        ("seen", pa.timestamp("ms", "UTC")),
        ("day", pa.date32()),
        ("open", pa.bool_()),
        ("tags", pa.list_(pa.string())),
    ]
)


def test_a_path_bytes_and_a_file_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "trees.gml"
    path.write_bytes(BODY)
    frames = [read_gml(path), read_gml(str(path)), read_gml(BODY), read_gml(io.BytesIO(BODY))]
    with path.open("rb") as file:
        frames.append(read_gml(file))
    for frame in frames:
        assert isinstance(frame, geopandas.GeoDataFrame)
        pd.testing.assert_frame_equal(pd.DataFrame(frame), pd.DataFrame(frames[0]))


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(OdsPipelineError, match="cannot be read: No such file"):
        read_gml(tmp_path / "none.gml")
    with pytest.raises(OdsPipelineError, match="cannot be read: Is a directory"):
        read_gml(tmp_path)


@pytest.mark.parametrize("source", [io.StringIO("<a/>"), 5, None])
def test_what_is_no_source_is_one_sentence(source: Any) -> None:
    with pytest.raises(ConfigurationError, match="read_gml takes"):
        read_gml(source)


def test_every_geometry_is_a_column_and_the_shape_is_the_active_one() -> None:
    frame = read_gml(BODY)
    assert frame.active_geometry_name == "geo_shape"
    assert [str(frame[name].crs) for name in ("geo_shape", "geo_point_2d")] == ["EPSG:4326"] * 2
    assert frame["geo_point_2d"].iloc[0].wkt == "POINT (2 48)"
    assert frame["geo_shape"].iloc[0] is None
    assert list(frame["gml_id"]) == ["x.1", "x.2"]


def test_without_a_schema_all_is_text() -> None:
    frame = read_gml(BODY)
    assert {name: frame[name].iloc[0] for name in TEXTS if name != "tags"} == {
        name: value for name, value in TEXTS.items() if name != "tags"
    }
    assert list(frame["tags"].iloc[0]) == ["a", "b"]
    assert frame["name"].iloc[1] == ""


@pytest.mark.parametrize("schema", [FIELDS, iter(FIELDS), ARROW], ids=["fields", "once", "arrow"])
def test_a_schema_types_the_properties(schema: Any) -> None:
    frame = read_gml(BODY, schema=schema)
    row = frame.iloc[0]
    assert row["name"] == "01001"
    assert row["size"] == 1.5
    assert row["seen"] == pd.Timestamp("2026-04-15", tz="UTC")
    assert row["day"] == date(2026, 4, 15)
    assert row["open"] is True
    assert frame["missing"].isna().all()
    assert list(frame.columns[:9]) == ["gml_id", *ARROW.names]


def test_whole_numbers_keep_every_digit() -> None:
    body = document([Feature("x", {"number": "9007199254740993"})])
    assert read_gml(body, schema=FIELDS)["number"].iloc[0] == 9007199254740993


def test_a_value_that_is_not_of_its_type_names_the_record() -> None:
    with pytest.raises(TypeMismatch, match="'name' is declared as int, but record 1"):
        read_gml(document([Feature("x", {"name": "abc"})]), schema=[Field("name", "int")])


def test_a_type_that_fields_do_not_have_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'x' has the type time"):
        read_gml(BODY, schema=pa.schema([("x", pa.time32("s"))]))


def test_an_empty_collection_is_an_empty_frame() -> None:
    frame = read_gml(document([]))
    assert isinstance(frame, geopandas.GeoDataFrame)
    assert len(frame) == 0
    typed = read_gml(document([]), schema=FIELDS)
    assert len(typed) == 0
    assert {"name", "geo_shape"} <= set(typed.columns)


def test_a_field_called_gml_id_keeps_its_name() -> None:
    frame = read_gml(document([Feature("x.1", {"gml_id": "mine"})]))
    assert (frame["gml_id"].iloc[0], frame["_gml_id"].iloc[0]) == ("mine", "x.1")


def test_the_first_geometry_with_polygons_is_active_where_none_is_called_geo_shape() -> None:
    shapes = {"a": shapely.Point(1, 2), "b": shapely.box(1, 2, 3, 4)}
    assert read_gml(document([Feature("x", {}, shapes)])).active_geometry_name == "b"
    assert read_gml(document([Feature("x", {}, {"a": shapes["a"]})])).active_geometry_name == "a"


POINT = '<gml:Point{} srsName="CRS:84"><gml:pos>1 2</gml:pos></gml:Point>'


@pytest.mark.parametrize("version", ["1.1.0", "2.0.0"])
def test_links_within_the_document_are_followed_forwards_and_backwards(version: str) -> None:
    held = POINT.format(' gml:id="g1"')
    linked = '<ods:a xlink:href="#g1"/>'
    for inner in (
        f"{linked}<ods:b>{held}</ods:b>",
        f"<ods:b>{held}</ods:b>{linked}",
        f'<ods:b>{held}</ods:b><ods:a><gml:MultiPoint srsName="CRS:84">'
        '<gml:pointMember xlink:href="#g1"/></gml:MultiPoint></ods:a>',
        f'<ods:b>{held}</ods:b><ods:c><gml:MultiPoint gml:id="g2"><gml:pointMember '
        'xlink:href="#g1"/></gml:MultiPoint></ods:c><ods:a xlink:href="#g2"/>',
    ):
        frame = read_gml(around(inner, version=version))
        assert {frame["a"].iloc[0].wkt, frame["b"].iloc[0].wkt} <= {
            "POINT (1 2)",
            "MULTIPOINT ((1 2))",
        }


def test_a_document_with_links_that_is_cut_off_is_an_error() -> None:
    held = POINT.format(' gml:id="g1"')
    body = around(f'<ods:a xlink:href="#g1"/><ods:b>{held}</ods:b>')
    for end in range(300, len(body)):
        with pytest.raises(Unproven):
            read_gml(body[:end])


@pytest.mark.parametrize(
    ("inner", "says"),
    [
        ('<ods:a xlink:href="#none"/>', "links elsewhere, which is not followed: #none"),
        ('<ods:a xlink:href="https://portal.test/g"/>', "not followed: https://portal.test/g"),
        ('<ods:a xlink:href="file:///etc/passwd"/>', "not followed: file:///etc/passwd"),
        (
            '<ods:a><gml:MultiPoint gml:id="g"><gml:pointMember xlink:href="#g"/></gml:MultiPoint>'
            '</ods:a><ods:b xlink:href="#g"/>',
            "lead in a circle",
        ),
    ],
)
def test_links_that_lead_elsewhere_are_refused(inner: str, says: str) -> None:
    with pytest.raises(GmlRefused, match=says):
        read_gml(around(inner))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "iso-8859-1", "windows-1252", "ascii"])
def test_the_declared_encoding_is_the_one_that_is_read(encoding: str) -> None:
    said = {"utf-8-sig": "UTF-8"}.get(encoding, encoding)
    text = "&#233;t&#233;" if encoding == "ascii" else "été"
    body = (
        f'<?xml version="1.0" encoding="{said}"?>' + around(f"<ods:name>{text}</ods:name>").decode()
    )
    assert list(read_gml(body.encode(encoding))["name"]) == ["été"]


def test_a_lone_feature_is_a_collection_of_one() -> None:
    body = (
        f'<ods:trees xmlns:ods="{ODS}" xmlns:gml="http://www.opengis.net/gml" gml:id="x.1">'
        f"<ods:name>a</ods:name><ods:s>{POINT.format('')}</ods:s></ods:trees>"
    )
    frame = read_gml(body.encode())
    assert list(frame["gml_id"]) == ["x.1"]
    assert frame.geometry.iloc[0].wkt == "POINT (1 2)"


@pytest.mark.parametrize(
    ("inner", "says"),
    [
        ("<ods:a><ods:b>1</ods:b></ods:a>", "'a', holds b, which is neither text nor geometry"),
        (f"<ods:a>x{POINT.format('')}</ods:a>", "'a', has text beside an element"),
        (f"<ods:a>{POINT.format('')}x</ods:a>", "'a', has text beside its geometry"),
        (f"<ods:a>{POINT.format('')}{POINT.format('')}</ods:a>", "'a', has more than one geometry"),
        (
            f"<ods:a>{POINT.format('')}</ods:a>" * 2,
            "'x.1', property 'a', has more than one geometry",
        ),
        (
            f"<ods:a>x</ods:a><ods:a>{POINT.format('')}</ods:a>",
            "'x.1', property 'a', holds both text and geometry",
        ),
        (
            f"<ods:a>{POINT.format('')}</ods:a><ods:a>x</ods:a>",
            "'x.1', property 'a', holds both text and geometry",
        ),
    ],
)
def test_a_property_that_is_neither_one_nor_the_other_is_refused(inner: str, says: str) -> None:
    with pytest.raises(GmlRefused, match=says):
        read_gml(around(inner))


def test_nil_is_null_and_empty_is_empty() -> None:
    frame = read_gml(
        around('<ods:a xsi:nil="true"/><ods:b/><ods:c xsi:nil="1"> </ods:c><ods:d> </ods:d>')
    )
    assert [frame[name].iloc[0] for name in "bd"] == ["", " "]
    assert frame["a"].isna().all()
    assert frame["c"].isna().all()


def test_an_order_that_was_guessed_is_noted_in_the_frame() -> None:
    inner = '<ods:s><gml:Point srsName="EPSG:4326"><gml:pos>7 48</gml:pos></gml:Point></ods:s>'
    (note,) = read_gml(around(inner)).attrs["notes"]
    assert "'EPSG:4326' leaves the order of its axes open: read as longitude, latitude" in note
    assert read_gml(BODY).attrs["notes"] == []


def test_a_refusal_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "trees.gml"
    for body in (BODY[:-20], around("<ods:a><ods:b/></ods:a>"), b"<ExceptionReport/>"):
        path.write_bytes(body)
        with pytest.raises(OdsPipelineError, match=r"\(/.*/trees\.gml\)$"):
            read_gml(path)


def test_a_list_in_one_batch_makes_the_column_one_of_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ods_pipeline.portal.gml.limits.ROWS", 1)
    monkeypatch.setattr("ods_pipeline.portal.gml.decoding.BLOCK", 500)
    features = [Feature("x", {"tag": "a" * 600}), Feature("y", {"tag": ["b", "c"]})]
    frame = read_gml(document(features, Style(members="featureMember")))
    assert [list(value) for value in frame["tag"]] == [["a" * 600], ["b", "c"]]
