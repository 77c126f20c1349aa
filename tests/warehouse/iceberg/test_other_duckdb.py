"""Another DuckDB with its own reader of Iceberg: by a table's file, and through a REST catalog."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from tests.servers.seaweed.server import KEY, SECRET, Seaweed
from tests.warehouse.each_value import COUNT, ROWS
from tests.warehouse.every_engine.stores import Iceberg
from tests.warehouse.iceberg.catalogs import catalog
from tests.warehouse.other_duckdb import OtherDuckDB, require_same_values
from tests.warehouse.partitions import SCHEMA, Column, land

pytestmark = pytest.mark.servers

TYPES = [
    *("BIGINT", "VARCHAR", "VARCHAR[]", "BIGINT", "DOUBLE", "DATE"),
    *("TIMESTAMP WITH TIME ZONE", "BOOLEAN", "BLOB"),
]
# Before the rows of today: another order of columns, and one of another type.
FORMER = {"ouvert": Column(["yes"]), "n": Column([7], ROWS["n"].type)}
_NUMBERS = count(1)


@pytest.fixture(scope="session")
def other_duckdb(tmp_path_factory: pytest.TempPathFactory) -> OtherDuckDB:
    return OtherDuckDB(tmp_path_factory.mktemp("duckdb"), "avro", "httpfs", "iceberg")


def _loaded(store: Iceberg, folder: Path) -> int:
    """Load two versions of a dataset; the first snapshot."""
    path = folder / "velos.parquet"
    with store.open() as warehouse:
        warehouse.load(land(path, FORMER), verdict="new")
        assert warehouse.load(land(path, ROWS), verdict="schema").rows == COUNT
    return store.catalog.load_table((SCHEMA, "velos")).snapshots()[0].snapshot_id


def _require_read(other: OtherDuckDB, before: list[str], table: str, former: str) -> None:
    values = f"SELECT * REPLACE (epoch_ms(moment) AS moment) FROM {table} ORDER BY n"
    kinds, rows, old = other.ask(before, f"DESCRIBE FROM {table}", values, f"FROM {former}")
    assert [kind for _, kind, *_ in kinds] == TYPES
    require_same_values(rows)
    assert old == [["yes", 7]]


def test_another_duckdb_reads_each_value_and_an_older_snapshot_from_the_files(
    store: Iceberg, tmp_path: Path, other_duckdb: OtherDuckDB
) -> None:
    first = _loaded(store, tmp_path)
    file = store.catalog.load_table((SCHEMA, "velos")).metadata_location
    former = f"iceberg_scan('{file}', snapshot_from_id = {first})"
    _require_read(other_duckdb, [], f"iceberg_scan('{file}')", former)


def test_another_duckdb_reads_each_value_and_an_older_snapshot_through_a_catalog(
    seaweed: Seaweed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    other_duckdb: OtherDuckDB,
) -> None:
    bucket = f"read-{next(_NUMBERS)}"
    place = seaweed.catalog_in(bucket)
    first = _loaded(catalog(place, monkeypatch, "?own_tables=plain"), tmp_path)
    host = place["s3.endpoint"].removeprefix("http://")
    before = [
        f"CREATE SECRET store (TYPE s3, KEY_ID '{KEY}', SECRET '{SECRET}', ENDPOINT '{host}', "
        "USE_SSL false, URL_STYLE 'path', REGION 'us-east-1')",
        f"CREATE SECRET login (TYPE iceberg, CLIENT_ID '{KEY}', CLIENT_SECRET '{SECRET}', "
        f"OAUTH2_SERVER_URI '{place['oauth2-server-uri']}')",
        f"ATTACH 's3://{bucket}' AS warehouse (TYPE iceberg, ENDPOINT '{place['uri']}', "
        "SECRET login)",
    ]
    table = f'warehouse."{SCHEMA}".velos'
    _require_read(other_duckdb, before, table, f"{table} AT (VERSION => {first})")
