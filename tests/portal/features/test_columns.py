"""What WFS writes in its own way: lists, files, places as text, and what is no field."""

from typing import Any

import pyarrow as pa
import pytest
import shapely

from ods_pipeline.dataset import Dataset, Field
from ods_pipeline.emulator import Emulator, Quirks, WfsQuirks
from ods_pipeline.errors import SchemaMismatch, TypeMismatch
from ods_pipeline.portal.features import features
from ods_pipeline.portal.features import lists as feature_lists
from ods_pipeline.portal.features.columns import FeatureColumns
from ods_pipeline.portal.features.lists import Lists
from ods_pipeline.portal.gml import FeatureBatch, Geometries
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.portal import Portal
from ods_pipeline.tables.columns import JoinedLists

FIELDS = [
    {"name": "here", "type": "geo_point_2d"},
    {"name": "tags", "type": "text", "annotations": {"multivalued": [","]}},
]


def listed(lists: list[Any], form: str) -> list[Any]:
    """What lists become by way of features, in the form that a server gives them."""
    records = [{"here": {"lon": 2, "lat": 48}, "tags": values} for values in lists]
    quirks = Quirks(wfs=WfsQuirks(lists=form))
    with Emulator(sample=False, quirks=quirks) as emulator:
        emulator.publish("d", fields=FIELDS, records=records)
        layer = Portal(emulator.url).features("d")
        return [None if values is None else list(values) for values in layer["tags"]]


@pytest.mark.parametrize("form", ["repeated", "joined", "repr"])
@pytest.mark.parametrize(
    "lists",
    [
        [["a", "b"], ["c"], None],
        [["Parks, recreation, and pets"], ["Trees"], ["a", "b"]],
        [["Parks, recreation, and pets"], None],
        [["it's", 'so "called"'], ["[a]", "{b}"], ["\\n"]],
    ],
)
def test_lists_are_split_in_every_form(lists: list[Any], form: str) -> None:
    assert listed(lists, form) == lists


def test_joined_text_that_could_be_two_lists_is_refused_by_name() -> None:
    said = "values of field 'tags' .* more than one list; read the dataset's records instead"
    with pytest.raises(JoinedLists, match=said):
        listed([["a,b"], ["a", "b"]], "joined")
    assert listed([["a,b"], ["a", "b"]], "repeated") == [["a,b"], ["a", "b"]]


LITERAL = "['a']"


@pytest.mark.parametrize("form", ["repeated", "joined"])
def test_a_value_that_looks_like_a_list_is_one_value_where_the_records_say_so(form: str) -> None:
    for lists in ([[LITERAL], ["b"]], [[LITERAL], ["b", "c"]], [["[]"], ["b"]]):
        assert listed(lists, form) == lists


@pytest.mark.parametrize(
    "batches",
    [
        [[LITERAL, "b"]],
        [[LITERAL], ["b"]],
        [["b"], [LITERAL]],
        [[LITERAL], [["b", "c"]]],
    ],
    ids=["in one batch", "after literals", "before literals", "repeated after literals"],
)
def test_lists_in_several_forms_are_refused_wherever_the_batches_end(batches: list[Any]) -> None:
    with Emulator(sample=False) as emulator:
        emulator.publish("d", fields=FIELDS, records=[{"tags": ["a"]}, {"tags": ["b"]}])
        dataset = Portal(emulator.url).dataset("d")
        lists = Lists(Client(emulator.url), dataset)
        *before, last = (pa.array(batch) for batch in batches)
        for column in before:
            lists.read(column, dataset.fields[1])
        with pytest.raises(JoinedLists, match="more than one list"):
            lists.read(last, dataset.fields[1])


def test_repeated_elements_are_verbatim_from_the_first_on() -> None:
    lists = Lists(Client("portal.invalid"), of(("tags", "text")))
    field = Field("tags", "text")
    assert lists.read(pa.array([["a", "b"]]), field).to_pylist() == [["a", "b"]]
    assert lists.read(pa.array([LITERAL, "a,b", None]), field).to_pylist() == [
        [LITERAL],
        ["a,b"],
        None,
    ]


def test_more_lists_than_can_be_compared_are_refused_as_such(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feature_lists, "_MOST", 2)
    with pytest.raises(JoinedLists, match="records hold more than 2 different lists, too many"):
        listed([["a", "b"], ["c"], ["d"]], "joined")


def test_joined_text_that_no_record_holds_is_refused() -> None:
    with Emulator(sample=False) as emulator:
        emulator.publish("d", fields=FIELDS, records=[{"tags": ["a", "b"]}])
        dataset = Portal(emulator.url).dataset("d")
        with pytest.raises(JoinedLists):
            typed(dataset, {"tags": ["x,y"]}, client=Client(emulator.url))


def test_the_records_are_asked_about_joined_lists_once_and_only_about_these() -> None:
    with Emulator(sample=False, quirks=Quirks(wfs=WfsQuirks(lists="joined"))) as emulator:
        records = [{"here": {"lon": 2, "lat": 48}, "tags": ["a", "b"]}] * 3
        emulator.publish("d", fields=FIELDS, records=records)
        Portal(emulator.url).features("d")
        asked = [r.query for r in emulator.requests if "/exports/" in r.path]
        assert [query["select"] for query in asked] == ["`tags`"]
        emulator.publish("d", fields=FIELDS, records=[{**records[0], "tags": ["a"]}])
        emulator.requests.clear()
        Portal(emulator.url).features("d")
        assert not [r for r in emulator.requests if "/exports/" in r.path]


def features_of(
    texts: dict[str, list[Any]], shapes: dict[str, list[Any]] | None = None
) -> FeatureBatch:
    """Columns as a reader of GML gives them."""
    rows = len(next(iter([*texts.values(), *(shapes or {}).values()])))
    return FeatureBatch(
        ids=pa.array([f"d.{n}" for n in range(rows)], pa.string()),
        texts={name: pa.array(values) for name, values in texts.items()},
        geometries={
            name: Geometries(pa.array([shapely.to_wkb(g) for g in values]), "OGC:CRS84")
            for name, values in (shapes or {}).items()
        },
        rows=rows,
    )


def columns_of(dataset: Dataset, client: Client | None = None) -> FeatureColumns:
    client = client or Client("portal.invalid")
    return FeatureColumns(client, dataset, dataset.fields, features.schema(dataset))


def typed(
    dataset: Dataset,
    texts: dict[str, list[Any]],
    shapes: dict[str, list[Any]] | None = None,
    client: Client | None = None,
) -> pa.RecordBatch:
    """The only batch of a layer, typed."""
    columns = columns_of(dataset, client)
    batch = columns.typed(features_of(texts, shapes))
    columns.ended()
    return batch


def of(*fields: tuple[str, str]) -> Dataset:
    return Dataset("p", "d", fields=tuple(Field(name, kind) for name, kind in fields))


@pytest.mark.parametrize(
    ("kind", "texts", "expected"),
    [
        (
            "boolean",
            ["True", "False", "true", "0", "1", "", None],
            [True, False, True, False, True, None, None],
        ),
        ("int", ["007", "-5", "12.0", "", None], [7, -5, 12, None, None]),
        ("double", ["1e-05", "2", "", None], [1e-05, 2.0, None, None]),
        ("text", ["01001", " x ", "", None], ["01001", " x ", None, None]),
        ("json_blob", ['{"a": 1}', "[1]", ""], ['{"a": 1}', "[1]", None]),
        (
            "file",
            [
                "https://x.test/f",
                '{"url": "https://x.test/g"}',
                "{'id': 'h', 'filename': 'it\\'s'}",
                "",
            ],
            [
                "https://x.test/f",
                "https://x.test/g",
                "https://portal.invalid/api/explore/v2.1/catalog/datasets/d/files/h",
                None,
            ],
        ),
    ],
)
def test_values_are_read_in_every_spelling(kind: str, texts: list[Any], expected: Any) -> None:
    column = typed(of(("a", kind)), {"a": texts}).column("a")
    assert column.to_pylist() == expected


def test_datetimes_and_dates_are_read_in_every_spelling() -> None:
    whole = ["2026-04-15 00:00:00+00:00", "2026-04-15T02:00:00+02:00", "2026-04-15", None]
    days = ["2026-04-15", "2026-04-15 00:00:00+00:00", "2026-04-15T00:00:00", None]
    batch = typed(of(("t", "datetime"), ("d", "date")), {"t": whole, "d": days})
    moments = [str(value) for value in batch.column("t").to_pylist()]
    assert moments == ["2026-04-15 00:00:00+00:00"] * 3 + ["None"]
    assert [str(value) for value in batch.column("d").to_pylist()] == ["2026-04-15"] * 3 + ["None"]


def test_places_that_come_as_text_are_geometries_all_the_same() -> None:
    dataset = of(("here", "geo_point_2d"), ("shape", "geo_shape"))
    batch = typed(
        dataset,
        {
            "here": ["48.5, 2.25", "", None],
            "shape": ['{"type": "Point", "coordinates": [2.25, 48.5]}', None, ""],
        },
    )
    for name in ("here", "shape"):
        first, *rest = batch.column(name).to_pylist()
        assert shapely.from_wkb(first).coords[0] == (2.25, 48.5)
        assert rest == [None, None]


def test_what_no_feature_has_is_a_column_of_nulls() -> None:
    dataset = of(("a", "int"), ("b", "text"), ("here", "geo_point_2d"))
    batch = typed(dataset, {"b": ["x", "y"]}, {"here": [None, None]})
    assert batch.column("a").to_pylist() == [None, None]
    assert batch.column("here").null_count == 2
    batch.validate(full=True)


def test_names_that_gml_itself_gives_are_no_fields() -> None:
    given = {"gml_name": ["n"], "gml_description": ["d"], "gml_identifier": ["i"], "a": ["1"]}
    assert typed(of(("a", "int")), given).schema.names == ["gml_id", "a"]
    mine = typed(of(("gml_name", "text")), {"gml_name": ["n"]})
    assert mine.column("gml_name").to_pylist() == ["n"]


def test_f9_a_property_in_another_case_or_of_no_field_is_read_and_noted() -> None:
    typing = columns_of(of(("kerbsideid", "int")))
    batch = typing.typed(features_of({"KerbsideID": ["7"], "b": ["1"]}))
    assert batch.column("kerbsideid").to_pylist() == [7]
    assert typing.ended() == [
        "column 'KerbsideID' was read as the field 'kerbsideid'",
        "left out the column 'b', which the catalog does not declare",
    ]


def test_f3_repeated_elements_in_a_field_of_single_texts_are_joined_as_in_the_exports() -> None:
    assert typed(of(("a", "text")), {"a": [["1", "2"]]}).column("a").to_pylist() == ["1,2"]


def test_f2_a_list_of_files_in_pythons_notation_is_their_addresses() -> None:
    written = "[{'id': 'x', 'url': 'http://a/1'}]"
    assert typed(of(("a", "file")), {"a": [written]}).column("a").to_pylist() == ["http://a/1"]


@pytest.mark.parametrize(
    ("fields", "texts", "shapes", "kind", "said"),
    [
        ([("a", "text")], {}, {"a": [shapely.Point(1, 2)]}, SchemaMismatch, "geometries in it"),
        (
            [("a", "geo_shape")],
            {"a": ["x", None]},
            {"a": [None, shapely.Point(1, 2)]},
            SchemaMismatch,
            "geometries and text",
        ),
        ([("a", "int")], {"a": [["1", "2"]]}, {}, TypeMismatch, "record 1 holds"),
        ([("a", "boolean")], {"a": ["True", "yes"]}, {}, TypeMismatch, "record 2 holds 'yes'"),
        ([("a", "geo_point_2d")], {"a": ["here"]}, {}, TypeMismatch, "record 1 holds 'here'"),
        ([("a", "file")], {"a": ["{not a dict"]}, {}, TypeMismatch, "record 1 holds"),
    ],
)
def test_what_contradicts_the_declared_fields_is_refused_by_name(
    fields: list[tuple[str, str]],
    texts: dict[str, Any],
    shapes: dict[str, Any],
    kind: type[Exception],
    said: str,
) -> None:
    with pytest.raises(kind, match=said):
        typed(of(*fields), texts, shapes)
