"""What the portal aggregates is what DuckDB makes of the landed records, with ODSQL's types."""

from collections.abc import Iterator

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ods_pipeline.dataset import Field
from ods_pipeline.emulator import Emulator
from ods_pipeline.emulator.explore.odsql.expressions import AGGREGATES
from ods_pipeline.errors import ConfigurationError
from ods_pipeline.portal.portal import Portal
from ods_pipeline.portal.queries.expressions import columns, is_one_row, split
from ods_pipeline.portal.query import Query
from tests.portal.answers import document, portal_of
from tests.portal.queries.test_pages import FIELDS, RECORDS

#: ODSQL's aggregate, DuckDB's, and the Arrow type of the result.
AGGREGATED = [
    ("count(*)", "count(*)", pa.int64()),
    ("count(n)", "count(n)", pa.int64()),
    ("count(distinct code)", "count(DISTINCT code)", pa.int64()),
    ("sum(n)", "sum(n)::BIGINT", pa.int64()),
    ("sum(size)", "sum(size)", pa.float64()),
    ("avg(n)", "avg(n)", pa.float64()),
    ("min(n)", "min(n)", pa.int64()),
    ("max(size)", "max(size)", pa.float64()),
    ("min(`day`)", "min(day)", pa.date32()),
    ("max(at)", 'max("at")', pa.timestamp("ms", "UTC")),
    ("median(n)", "median(n)", pa.float64()),
    ("percentile(n, 25)", "quantile_cont(n, 0.25)", pa.float64()),
]
GROUPS = ["open", "n", "code, open", "year(`day`)"]


@pytest.fixture(scope="module")
def portal() -> Iterator[Portal]:
    with Emulator(sample=False) as emulator:
        emulator.publish("trees", fields=FIELDS, records=RECORDS)
        yield Portal(emulator.url)


@pytest.fixture(scope="module")
def landed(portal: Portal) -> pa.Table:
    return portal.records("trees").select(["code", "n", "size", "day", "at", "open"])


@pytest.mark.parametrize(("odsql", "sql", "kind"), AGGREGATED)
def test_an_aggregate_is_that_of_the_landed_records(
    portal: Portal, landed: pa.Table, odsql: str, sql: str, kind: pa.DataType
) -> None:
    table = portal.query("trees", select=f"{odsql} as value", where="n >= 7")
    assert table.schema.field("value").type == kind
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'").register("trees", landed)
        expected = connection.execute(f"SELECT {sql} FROM trees WHERE n >= 7").fetchall()
    assert [tuple(row.values()) for row in table.to_pylist()] == expected


@pytest.mark.parametrize("groups", GROUPS)
def test_groups_are_those_of_the_landed_records(
    portal: Portal, landed: pa.Table, groups: str
) -> None:
    for odsql, sql, kind in AGGREGATED:
        table = portal.query("trees", select=f"{groups}, {odsql} as value", group_by=groups)
        assert table.schema.field("value").type == kind
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'").register("trees", landed)
            plain = groups.replace("`", "")
            query = f"SELECT {plain}, {sql} FROM trees GROUP BY {plain}"
            expected = connection.execute(query).fetchall()
        came = [tuple(row.values()) for row in table.to_pylist()]
        assert sorted(came, key=str) == sorted(expected, key=str)


def test_every_aggregate_that_the_emulator_knows_is_one_row() -> None:
    for name in AGGREGATES:
        assert is_one_row(Query(select=f"{name.upper()} (n) as x"))
        assert not is_one_row(Query(select=f"{name}(n)", group_by="code"))
    assert not is_one_row(Query(select="year(d), counted, `sum` as x"))


@pytest.mark.parametrize("outline", ["envelope", "bbox"])
def test_outlines_are_geometries(portal: Portal, outline: str) -> None:
    table = portal.query("trees", select=f"{outline}(place) as area")
    assert table.schema.field("area").type == pa.binary()
    assert table.schema.field("area").metadata[b"ARROW:extension:name"] == b"geoarrow.wkb"


def test_more_groups_than_the_api_gives_are_not_taken_for_all() -> None:
    groups = [{"code": str(number)} for number in range(20_000)]
    dataset = {"dataset_id": "trees", "fields": FIELDS, "metas": {}}

    def answer(path: str, query: object) -> tuple[int, bytes]:
        return document({"results": groups} if path.endswith("/records") else dataset)

    with portal_of(answer) as there:
        portal = Portal(there.url)
        with pytest.raises(ConfigurationError, match="more than the 20,000 groups"):
            portal.query("trees", select="code", group_by="code")
        assert portal.query("trees", select="code", group_by="code", limit=20_000).num_rows == 20000


@given(st.lists(st.sampled_from(["a", "count(a, b)", '"x, (y"', "`,`", "[1, 2]"]), max_size=5))
def test_a_clause_splits_where_odsql_separates(parts: list[str]) -> None:
    assert list(split(" , ".join(parts))) == parts


def test_a_name_may_hold_what_an_expression_may() -> None:
    declared = {"as": Field("as", "int"), "a b": Field("a b", "double")}
    known = columns(
        Query(select="`as`, `a b` AS `as as`, max(`as`) as m, unknown(x) as u"), declared
    )
    assert {name: field.type for name, field in known.items()} == {
        "as": "int",
        "as as": "double",
        "m": "int",
    }
