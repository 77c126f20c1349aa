"""Queries, records and searches: pages within the API's limits, with the types of exports."""

from collections.abc import Iterator

import pyarrow as pa
import pytest

from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.errors import ConfigurationError, Contradicted, DatasetNotFound, NotAPortal
from ods_pipeline.portal.portal import Portal
from tests.portal.answers import portal_of

FIELDS = [
    {"name": "code", "type": "text", "label": "Code"},
    {"name": "n", "type": "int"},
    {"name": "size", "type": "double"},
    {"name": "day", "type": "date"},
    {"name": "at", "type": "datetime"},
    {"name": "kinds", "type": "text", "annotations": {"multivalued": True}},
    {"name": "place", "type": "geo_point_2d"},
    {"name": "shape", "type": "geo_shape"},
    {"name": "photo", "type": "file"},
    {"name": "open", "type": "boolean"},
]
LINE = {"type": "LineString", "coordinates": [[2.0, 48.0], [3.0, 49.0]]}
RECORDS = [
    {
        "code": f"{number:05}",
        "n": number,
        "size": number / 2,
        "day": f"2024-01-{number % 28 + 1:02}",
        "at": f"2024-06-01T{number % 24:02}:00:00+02:00",
        "kinds": ["a", "b, c"] if number % 2 else ["a"],
        "place": {"lon": number / 100, "lat": 48.0},
        "shape": LINE,
        "open": number % 2 == 0,
    }
    for number in range(230)
]


@pytest.fixture(scope="module")
def served() -> Iterator[Emulator]:
    with Emulator(sample=False) as emulator:
        emulator.publish("trees", fields=FIELDS, records=RECORDS)
        for number in range(3):
            emulator.publish(f"bike-{number}", FIELDS, RECORDS[:1], {"title": "Bike lanes"})
        yield emulator


@pytest.fixture
def portal(served: Emulator) -> Iterator[Portal]:
    served.requests.clear()
    yield Portal(served.url)
    served.faults.clear()


def pages(served: Emulator) -> list[str]:
    return [request.path for request in served.requests if request.path.endswith("/records")]


def test_records_have_the_types_and_metadata_of_an_export(portal: Portal) -> None:
    queried = portal.query("trees", order_by="code")
    exported = portal.records("trees", order_by="code")
    assert queried.schema.equals(exported.schema, check_metadata=True)
    assert queried.equals(exported)


def test_more_records_than_a_page_come_in_pages(portal: Portal, served: Emulator) -> None:
    table = portal.query("trees", order_by="code")
    assert table.column("code").to_pylist() == [record["code"] for record in RECORDS]
    assert len(pages(served)) == 3


def test_a_part_of_the_records_is_that_part(portal: Portal, served: Emulator) -> None:
    table = portal.query("trees", order_by="n", offset=50, limit=120, where="n >= 10")
    assert table.column("n").to_pylist() == list(range(60, 180))
    assert len(pages(served)) == 2
    assert portal.query("trees", limit=0).num_rows == 0
    assert portal.query("trees", order_by="n", offset=225).num_rows == 5
    assert portal.query("trees", order_by="n", offset=5000).num_rows == 0


IMPOSSIBLE = [
    ({"limit": 101}, "101 records come in several pages, and without order_by"),
    ({"limit": 10_001, "order_by": "n"}, "offset and limit end at 10,001"),
    ({"limit": 100, "offset": 9_901}, "end at 10,001, and the API gives the first 10,000 records"),
    ({"limit": 20_001, "group_by": "code"}, "gives the first 20,000 groups alone"),
    ({"limit": -1}, "limit is -1: give 0 or more"),
    ({"offset": -1}, "offset is -1"),
]


@pytest.mark.parametrize(("asked", "sentence"), IMPOSSIBLE)
def test_what_the_api_does_not_give_is_said_before_a_request(
    portal: Portal, served: Emulator, asked: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        portal.query("trees", **asked)  # type: ignore[arg-type]
    assert not served.requests


def test_all_of_many_records_need_an_order(portal: Portal, served: Emulator) -> None:
    with pytest.raises(ConfigurationError, match="230 records come in several pages"):
        portal.query("trees")
    assert len(pages(served)) == 1


def test_records_that_a_page_leaves_out_are_noticed(portal: Portal, served: Emulator) -> None:
    removed = {"verb": "publish", "dataset_id": "trees", "records": RECORDS[:150]}
    served.fail("/trees/records", Fault.meanwhile([removed], 0), 1)
    try:
        with pytest.raises(Contradicted, match="150 records came where the portal counts 230"):
            portal.query("trees", order_by="code")
    finally:
        served.publish("trees", fields=FIELDS, records=RECORDS)


def test_what_the_portal_notes_of_a_record_leads_back_to_it(portal: Portal) -> None:
    noted = portal.query("trees", limit=1, include_app_metas=True, include_links=True)
    assert {"_id", "_timestamp", "_size", "_links"} < set(noted.column_names)
    identifier = noted.column("_id")[0].as_py()
    assert identifier in noted.column("_links")[0].as_py()
    record = portal.record("trees", identifier)
    assert record.equals(noted.select(record.column_names))
    assert portal.record("trees", identifier, select="code").column_names == ["code"]
    with pytest.raises(DatasetNotFound):
        portal.record("trees", "no such record")


def test_selected_fields_keep_their_types_and_expressions_get_theirs(portal: Portal) -> None:
    table = portal.query(
        "trees",
        select="code, n as number, year(`day`) as y, upper(code) as `big code`, n * 2 as twice",
        order_by="n",
        limit=2,
    )
    kinds = {field.name: field.type for field in table.schema}
    assert kinds == {
        "code": pa.string(),
        "number": pa.int64(),
        "y": pa.int64(),
        "big code": pa.string(),
        "twice": pa.int64(),
    }


def test_a_query_without_rows_has_its_columns_all_the_same(portal: Portal) -> None:
    empty = portal.query("trees", where="n > 1000", select="code, count(*) as c", group_by="code")
    assert {field.name: field.type for field in empty.schema} == {
        "code": pa.string(),
        "c": pa.int64(),
    }
    assert portal.query("trees", where="n > 1000").schema == portal.query("trees", limit=1).schema


def test_searching_finds_datasets_by_words_filters_and_parts(portal: Portal) -> None:
    assert {found.dataset_id for found in portal.search("lanes")} == {f"bike-{n}" for n in range(3)}
    assert [d.dataset_id for d in portal.search("bike", where="dataset_id = 'bike-1'")] == [
        "bike-1"
    ]
    assert [d.dataset_id for d in portal.search(limit=2, offset=1)] == ["bike-1", "bike-2"]
    assert portal.search('no "such" \\ thing') == []
    assert portal.search()[0].fields


def test_the_catalog_can_be_aggregated(portal: Portal) -> None:
    (row,) = portal.query_catalog(
        select="title, count(*) as n", group_by="title", where="title = 'Bike lanes'"
    ).to_pylist()
    assert row == {"title": "Bike lanes", "n": 3}
    page = portal.metadata("trees", include_links=True)
    assert page["dataset_id"] == "trees"


def test_facets_are_rows_with_counts(portal: Portal, served: Emulator) -> None:
    table = portal.facets("trees", facet=["kinds", 'facet(name="open")'], where="n < 10")
    assert table.schema.field("count").type == pa.int64()
    counts = {(row["facet"], row["value"]): row["count"] for row in table.to_pylist()}
    assert counts["kinds", "a"] == 10
    assert counts["open", "true"] == 5
    months = portal.facets("trees", facet=["day"], refine=["day:2024"]).to_pylist()
    assert {row["parent"] for row in months} == {None, "2024"}
    assert portal.facets(facet=["publisher"]).column("facet").unique().to_pylist() in (
        ["publisher"],
        [],
    )


@pytest.mark.parametrize("body", ["[]", '{"results": 1}', '{"facets": [{}]}', '{"results": [1]}'])
def test_a_reply_that_is_no_page_is_refused(body: str) -> None:
    with portal_of(lambda *_: (200, body.encode())) as there:
        portal = Portal(there.url)
        with pytest.raises(NotAPortal):
            portal.query_catalog(limit=1)
        with pytest.raises(NotAPortal):
            portal.facets()
        with pytest.raises(NotAPortal):
            portal.formats()
