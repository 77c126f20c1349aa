"""ODSQL answers truly: every clause against a handful of records counted by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ods_pipeline.emulator import Emulator
from tests.emulator.asking import ask, count

FIELDS: list[dict[str, Any]] = [
    {"name": "city", "type": "text"},
    {"name": "tags", "type": "text", "annotations": {"multivalued": True}},
    {"name": "people", "type": "int"},
    {"name": "area", "type": "double"},
    {"name": "founded", "type": "date"},
    {"name": "seen", "type": "datetime"},
    {"name": "open", "type": "boolean"},
    {"name": "place", "type": "geo_point_2d"},
    {"name": "outline", "type": "geo_shape"},
    {"name": "12", "type": "int"},
    {"name": "date", "type": "text"},
    {"name": "json", "type": "text"},
]
NAMES = [field["name"] for field in FIELDS]


def square(x: float, y: float) -> dict[str, Any]:
    ring = [[x, y], [x + 1, y], [x + 1, y + 1], [x, y + 1], [x, y]]
    return {"type": "Polygon", "coordinates": [ring]}


def record(*values: Any) -> dict[str, Any]:
    return dict(zip(NAMES, values, strict=False))


PARIS = {"lon": 2.35, "lat": 48.85}
LYON = {"lon": 4.83, "lat": 45.76}
RECORDS = [
    record(
        "Saint-Étienne d'Or", ["red", "big"], 10, 2.5, "1977-05-01", "2024-01-01T23:30:00+00:00",
        True, PARIS, square(0, 0), 1, "x", '{"a": [1]}',
    ),
    record(
        "Paris", ["red"], 20, 4.0, "2000-01-01", "2024-06-01T12:00:00+00:00",
        False, LYON, square(5, 5), 2, "y", "no json",
    ),
    record(
        "paris plage", [], 30, None, "2020-12-31", "2024-12-31T23:30:00+00:00",
        None, None, None, 3, None, None,
    ),
    record(None, None, None, 0.0, None, None, None, None, None, None, None, None),
]  # fmt: skip


@pytest.fixture(scope="module")
def cities() -> Iterator[Emulator]:
    with Emulator(sample=False, quota=10**9) as portal:
        portal.publish("cities", fields=FIELDS, records=RECORDS)
        yield portal


WHERE = [
    ("people > 10", 2),
    ("people>=10 and people<30", 2),
    ("people = 10 or people = 20", 2),
    ("people != 10", 2),
    ("NOT people > 10", 2),
    ("not (people > 10 or people = 10)", 1),
    ("people > 5 OR people > 5 AND city = 'nowhere'", 3),
    ("(people + 10) * 2 = 40", 1),
    ("people / 0 = 1", 0),
    ("people - 10 = area - 2.5", 1),
    ("-5 < people", 3),
    ("10 < people", 2),
    ("people in [10..20]", 2),
    ("people in ]10..20]", 1),
    ("people in [10 TO 30[", 2),
    ("people in (10, 30, 99)", 2),
    ("people not in (10)", 3),
    ("city = 'Paris'", 1),
    ('city : "Paris"', 1),
    ("city in ('Paris', \"paris plage\")", 2),
    ("city = 'Saint-Étienne d\\'Or'", 1),
    ("city is null", 1),
    ("city is not null", 3),
    ("city like 'paris'", 2),
    ("city like 'etienne saint'", 1),
    ("city like 'etien'", 0),
    ("'red' in tags", 2),
    ("tags = 'red'", 2),
    ("tags != 'red'", 2),
    ("open", 1),
    ("open is true", 1),
    ("open is false", 1),
    ("open is not true", 3),
    ("open = false", 1),
    ("open: TRUE", 1),
    ("founded > date'1999'", 2),
    ("founded > 1999", 2),
    ("founded = '2000-01-01'", 1),
    ("founded >= date'2000/01/01'", 2),
    ("founded in [date'1977'..date'2000']", 2),
    ("founded < now()", 3),
    ("seen > now(years=-100)", 3),
    ("seen >= date'2024-06-01T12:00:00Z'", 2),
    ("seen >= '2024-06-01T14:00:00+02:00'", 2),
    ("year(founded) = 1977", 1),
    ("month(seen) = 12", 1),
    ("year(seen) = 2025", 0),
    ("date_format(founded, 'dd/MM/yyyy') = '01/05/1977'", 1),
    ("length(city) = 5", 1),
    ("lower(city) = 'paris'", 1),
    ("ifnull(people, 0) = 0", 1),
    ("`12` > 1", 2),
    ("date = 'x'", 1),
    ("'Paris'", 2),
    ('"paris" and not "plage"', 1),
    ("'red'", 2),
    ("search(city, 'pariss')", 2),
    ("search('saintetienne')", 0),
    ("suggest(city, 'pla')", 1),
    ("suggest('etie')", 1),
    ("startswith(city, 'Par')", 1),
    ("startswith(city, 'par')", 1),
    ("within_distance(place, geom'POINT(2.35 48.86)', 2km)", 1),
    ("within_distance(place, geom'POINT(2.35 48.86)', 1000m)", 0),
    ("distance(place, geom'POINT(2.35 48.86)', 1mi)", 1),
    ("in_bbox(place, 48, 2, 49, 3)", 1),
    ("in_bbox(outline, 0, 0, 1, 1)", 1),
    ("intersects(outline, geom'POINT(0.5 0.5)')", 1),
    ("disjoint(outline, geom'POINT(0.5 0.5)')", 1),
    ("within(outline, geom'POLYGON((0 0, 10 0, 10 10, 0 10, 0 0))')", 2),
    ("geometry(outline, geom'POINT(0.5 0.5)', INTERSECTS)", 1),
    ('intersects(place, geom\'{"type": "Point", "coordinates": [2.35, 48.85]}\')', 1),
]


@pytest.mark.parametrize(("where", "expected"), WHERE)
def test_a_condition_matches_what_it_says(cities: Emulator, where: str, expected: int) -> None:
    assert count(cities, "cities", where=where) == expected


WRONG = [
    ("nowhere = 1", "ODSQLError", "Unknown field: nowhere."),
    ("people", "ODSQLError", "not a boolean field"),
    ("city > 'a'", "IncompatibleTypesInComparisonFilter", ""),
    ("city = 3", "IncompatibleTypesInComparisonFilter", ""),
    ("people = 'x'", "IncompatibleTypesInComparisonFilter", ""),
    ("founded = 'yesterday'", "IncompatibleTypesInComparisonFilter", ""),
    ("people >", "ODSQLSyntaxError", "unexpected end"),
    ("people > > 3", "ODSQLSyntaxError", "unexpected > at position 9"),
    ("(people > 3", "ODSQLSyntaxError", "unexpected end"),
    ("people > 3)", "ODSQLSyntaxError", "unexpected ) at position 10"),
    ("stddev(people) > 3", "ODSQLSyntaxError", "unexpected ( at position 6"),
    ("count(*) > 3", "ODSQLSyntaxError", "unexpected"),
    ("not > 3", "ODSQLSyntaxError", ""),
    ("city = 'open", "ODSQLSyntaxError", ""),
    ("city = 'a\nb'", "ODSQLSyntaxError", ""),
    ("city = date'never'", "ODSQLError", "Invalid date"),
    ("intersects(outline, geom'NOPE')", "ODSQLError", "Invalid geometry"),
    ("date_format(founded, 'q') = '1'", "ODSQLError", "Unsupported date format"),
    ("people in [1..2", "ODSQLSyntaxError", ""),
    ("lower(people) = 'x'", "ODSQLError", "lower()"),
]


@pytest.mark.parametrize(("where", "code", "said"), WRONG)
def test_what_has_no_true_answer_is_an_error(
    cities: Emulator, where: str, code: str, said: str
) -> None:
    reply = ask(cities, "cities", "records", where=where)
    assert reply.status_code == 400
    assert reply.json()["error_code"] == code
    assert said in reply.json()["message"]
    assert "Clause(s) containing the error(s): where." in reply.json()["message"]


def test_several_where_parameters_are_all_true(cities: Emulator) -> None:
    assert count(cities, "cities", where=["people > 5", "people < 25"]) == 2


def test_literals_without_offset_are_local_to_the_time_zone_asked_for(cities: Emulator) -> None:
    where = "seen >= date'2025-01-01'"
    assert count(cities, "cities", where=where) == 0
    assert count(cities, "cities", where=where, timezone="Europe/Paris") == 1
    assert count(cities, "cities", where="year(seen) = 2025", timezone="Europe/Paris") == 1


def rows(portal: Emulator, **params: Any) -> list[dict[str, Any]]:
    reply = ask(portal, "cities", "records", **params)
    assert reply.status_code == 200, reply.text
    return reply.json()["results"]


SELECT = [
    ("people * 2 as doubled", {"doubled": 20}),
    ("people*2", {"people*2": 20}),
    ("city as c, `12`", {"c": "Saint-Étienne d'Or", "12": 1}),
    ("year(founded), month(founded) as m", {"year(founded)": 1977, "m": 5}),
    ("include(pe*), include(ar*)", {"people": 10, "area": 2.5}),
    ("people, json_format(json) as j", {"people": 10, "j": {"a": [1]}}),
    ("'constant' as c, 3 as three", {"c": "constant", "three": 3}),
    ("date_format(founded, \"dd MMMM yyyy 'in' E\") as d", {"d": "01 May 1977 in sun."}),
    ("ifnull(city, 'none') as c", {"c": "Saint-Étienne d'Or"}),
    ("length(city) as l, lower(city) as w", {"l": 18, "w": "saint-étienne d'or"}),
]


@pytest.mark.parametrize(("select", "expected"), SELECT)
def test_select_gives_what_it_names(
    cities: Emulator, select: str, expected: dict[str, Any]
) -> None:
    assert rows(cities, select=select, limit=1) == [expected]


def test_json_format_leaves_alone_what_is_no_json(cities: Emulator) -> None:
    found = rows(cities, select="json_format(json) as j, json_format(json, 'bad') as b", limit=2)
    assert found[1] == {"j": "no json", "b": "bad"}
    assert rows(cities, select="json_format(city, null) as j", limit=1) == [{"j": None}]


def test_lists_may_stand_in_for_missing_lists(cities: Emulator) -> None:
    assert rows(cities, select="ifnull(tags, tags) as t", limit=1) == [{"t": ["red", "big"]}]
    assert ask(cities, "cities", "records", select="ifnull(tags, 'x')").status_code == 400


def test_select_may_exclude(cities: Emulator) -> None:
    found = rows(cities, select="exclude(o*), exclude(`12`)", limit=1)[0]
    assert [name for name in NAMES if name not in found] == ["open", "outline", "12"]


def test_distance_is_in_metres(cities: Emulator) -> None:
    select = "distance(place, geom'POINT(2.35 48.86)') as d"
    assert rows(cities, select=select, limit=1)[0]["d"] == pytest.approx(1112, abs=1)


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_nulls_come_last_in_both_directions(cities: Emulator, direction: str) -> None:
    found = [row["people"] for row in rows(cities, order_by=f"people {direction}")]
    assert found == ([10, 20, 30, None] if direction == "asc" else [30, 20, 10, None])


def test_the_same_seed_gives_the_same_random_order(cities: Emulator) -> None:
    orders = [[r["12"] for r in rows(cities, order_by=f"random({n})")] for n in (1, 1, 2, 3, 4)]
    assert orders[0] == orders[1]
    assert len({tuple(order) for order in orders}) > 1


GROUPS: list[tuple[dict[str, str], list[dict[str, Any]]]] = [
    (
        {"group_by": "open", "select": "count(*) as n"},
        [{"open": None, "n": 2}, {"open": False, "n": 1}, {"open": True, "n": 1}],
    ),
    (
        {"group_by": "tags", "select": "count(*) as n, sum(people)", "order_by": "n desc"},
        [
            {"tags": "red", "n": 2, "sum(people)": 30},
            {"tags": None, "n": 2, "sum(people)": 30},
            {"tags": "big", "n": 1, "sum(people)": 10},
        ],
    ),
    (
        {"group_by": "year(founded) as y", "where": "people > 0", "order_by": "y desc"},
        [{"y": 2020}, {"y": 2000}, {"y": 1977}],
    ),
    (
        {"group_by": "range(people, *, 20, *) as r", "select": "count(*) as n"},
        [{"r": "[*, 20[", "n": 1}, {"r": "[20, *]", "n": 2}],
    ),
    (
        {"group_by": "range(founded, date'1970', date'1990') as r", "select": "count(*) as n"},
        [{"r": "[1970-01-01T00:00:00.000Z, 1990-01-01T00:00:00.000Z[", "n": 1}],
    ),
    (
        {"group_by": "range(people, 15)", "where": "people > 0"},
        [{"range(people, 15)": f"[{n}, {n + 15}["} for n in (0, 15, 30)],
    ),
    (
        {"group_by": "range(seen, 1 month) as r", "where": "people = 20"},
        [{"r": "[2024-06-01T00:00:00.000Z, 2024-07-01T00:00:00.000Z["}],
    ),
]


@pytest.mark.parametrize(("params", "expected"), GROUPS)
def test_groups_are_counted(
    cities: Emulator, params: dict[str, str], expected: list[dict[str, Any]]
) -> None:
    found = rows(cities, **params)
    if params.get("order_by") == "n desc":
        found.sort(key=lambda g: (-g["n"], g["tags"] is None))
    assert found == expected


def test_aggregates_without_groups_are_repeated_for_every_record_of_the_page(
    cities: Emulator,
) -> None:
    select = (
        "count(*), count(city), count(distinct open), avg(people), min(founded), max(seen),"
        " median(people), percentile(people, 50)"
    )
    found = rows(cities, select=select)
    assert (
        found
        == [
            {
                "count(*)": 4,
                "count(city)": 3,
                "count(distinct open)": 2,
                "avg(people)": 20.0,
                "min(founded)": "1977-05-01",
                "max(seen)": "2024-12-31T23:30:00+00:00",
                "median(people)": 20.0,
                "percentile(people, 50)": 20.0,
            }
        ]
        * 4
    )


def test_outlines_are_features(cities: Emulator) -> None:
    found = rows(cities, select="bbox(outline) as b, envelope(place) as e", limit=1)[0]
    assert found["b"]["geometry"]["coordinates"][0][0] == [0, 0]
    assert found["b"]["type"] == found["e"]["type"] == "Feature"


@pytest.mark.parametrize("key", ["place", "outline", "geo_cluster(place, 3)", "nowhere"])
def test_what_cannot_be_grouped_is_an_error(cities: Emulator, key: str) -> None:
    assert ask(cities, "cities", "records", group_by=key).status_code == 400


def test_a_field_beside_groups_that_is_not_grouped_is_an_error(cities: Emulator) -> None:
    reply = ask(cities, "cities", "records", group_by="open", select="city")
    assert (reply.status_code, reply.json()["error_code"]) == (400, "ODSQLError")


@settings(max_examples=80, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=15))
def test_any_string_literal_finds_its_record(cities: Emulator, text: str) -> None:
    cities.publish("texts", fields=FIELDS[:1], records=[{"city": text}, {"city": text + "x"}])
    for quote in "\"'":
        literal = quote + text.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote
        assert count(cities, "texts", where=f"city = {literal}") == 1


@settings(max_examples=60, deadline=None)
@given(value=st.integers(-(2**63), 2**63 - 1) | st.floats(-1e300, 1e300))
def test_any_number_literal_finds_its_record(cities: Emulator, value: float) -> None:
    kind = "int" if isinstance(value, int) else "double"
    cities.publish("numbers", fields=[{"name": "n", "type": kind}], records=[{"n": value}])
    assert count(cities, "numbers", where=f"n = {value!r}") == 1
    assert count(cities, "numbers", where=f"n in [{value!r}..{value!r}]") == 1


@settings(max_examples=80, deadline=None)
@given(
    text=st.text(
        st.sampled_from("ab12 '\"`\\()[],.=<>*+-/:é") | st.characters(exclude_categories=["Cs"]),
        max_size=25,
    )
)
def test_nonsense_is_an_error_reply_and_never_a_crash(cities: Emulator, text: str) -> None:
    reply = ask(cities, "cities", "records", where=text.replace("\0", ""), limit=0)
    assert reply.status_code in (200, 400)
