"""Part of a portal in Dagster: selections, the catalog's filter, and filters of single datasets."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ods_pipeline.dagster.attributes import AssetTableChoice
from ods_pipeline.dagster.component import OpendatasoftPortal
from ods_pipeline.emulator import Emulator
from ods_pipeline.lake.lake import Lake, receipt
from ods_pipeline.portal.http.address import Address
from ods_pipeline.sync.configuration import DatasetChoice
from tests import person
from tests.dagster.downstream import given
from tests.dagster.world import World, publish, rows, settings_for, value, world

pytestmark = pytest.mark.filterwarnings(
    # Dagster's own call, whenever a resource has one inside; goes when it no longer warns.
    "ignore:InitResourceContext.dagster_run is deprecated:DeprecationWarning"
)


@pytest.fixture
def portal() -> Iterator[Emulator]:
    with Emulator(sample=False) as emulator:
        publish(emulator, "trees", "trees-old", "roads", "towns")
        emulator.describe("roads", publisher="State")
        emulator.describe("trees", publisher="City")
        yield emulator


def test_a_filter_of_the_catalog_chooses_partitions_and_costs_one_request(
    portal: Emulator, tmp_path: Path
) -> None:
    only = DatasetChoice(where="publisher = 'City'")
    with world(tmp_path, portal, datasets=only) as there:
        portal.requests.clear()
        there.look()
        assert there.partitions == {"trees"}
        assert len(portal.requests) == 2
        assert there.sync().success
        assert Lake.of(tmp_path, there.settings.slug).receipts("records").keys() == {"trees"}
        portal.describe("roads", publisher="City")
        there.look()
        assert there.partitions == {"trees", "roads"}
        portal.describe("trees", publisher="State")
        there.look()
        assert there.partitions == {"roads"}


def test_a_filter_that_nothing_passes_empties_nothing(portal: Emulator, tmp_path: Path) -> None:
    with world(tmp_path, portal) as there:
        there.look()
        nobody = DatasetChoice(where="publisher = 'Nobody'")
        there.settings = settings_for(
            portal.url, name="demo", data_dir=str(tmp_path), datasets=nobody
        )
        there.__post_init__()
        with pytest.raises(dg.Failure, match="passes the filter"):
            there.look()
        assert there.partitions == {"trees", "trees-old", "roads", "towns"}


def test_tables_alone_are_all_that_is_taken(portal: Emulator, tmp_path: Path) -> None:
    with world(tmp_path, portal, tables={"towns": AssetTableChoice()}) as there:
        there.look()
        assert not there.partitions
        assert there.sync().success
        assert Lake.of(tmp_path, there.settings.slug).receipts("records").keys() == {"towns"}


def test_tables_are_taken_whatever_the_selection_leaves_out(
    portal: Emulator, tmp_path: Path
) -> None:
    chosen = DatasetChoice(include=["trees*"], exclude=["*-old"])
    tables = {"trees-old": AssetTableChoice(), "roads": AssetTableChoice()}
    with world(tmp_path, portal, datasets=chosen, tables=tables) as there:
        there.look()
        assert there.partitions == {"trees"}
        assert there.sync().success
        landed = Lake.of(tmp_path, there.settings.slug).receipts("records")
        assert landed.keys() == {"trees", "trees-old", "roads"}


def test_what_the_settings_name_and_the_portal_lacks_is_said_at_each_look(
    portal: Emulator, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    chosen = DatasetChoice(include=["tram-*", "roads"])
    with world(tmp_path, portal, datasets=chosen, tables={"rods": AssetTableChoice()}) as there:
        there.look()
        assert "no dataset for 'rods', 'tram-*'" in capfd.readouterr().err


def filtered(there: World) -> World:
    there.look()
    assert there.run("towns").success
    return there


def test_a_dataset_is_filtered_as_its_table_says(portal: Emulator, tmp_path: Path) -> None:
    table = AssetTableChoice(where="people >= 5", select=["people", "code"])
    with world(tmp_path, portal, tables={"towns": table}) as there:
        filtered(there)
        assert rows(there, "SELECT * FROM towns ORDER BY code") == [("05", 5), ("06", 6)]
        shown = json.loads(value(there.latest("towns"), "filter"))
        assert shown == {"where": "people >= 5", "select": ["code", "people"]}
    other = AssetTableChoice(where="people = 1")
    with world(tmp_path, portal, tables={"towns": other}) as there:
        filtered(there)
        assert rows(there, "SELECT code FROM towns") == [("01",)]
        assert value(there.latest("towns"), "verdict") == "filter"


BLOCK = """
[portals.demo]
portal = "{portal}"
schema = "town"
[portals.demo.tables.towns]
table = "places"
where = "people >= 2"
select = ["code", "people"]
types = {{ people = "double" }}
[portals.demo.tables.roads]
bad_values = "null"
"""


def test_the_same_tables_give_the_same_partitions_from_either_door(
    portal: Emulator, tmp_path: Path
) -> None:
    (tmp_path / "ods-pipeline.toml").write_text(BLOCK.format(portal=portal.url))
    typed = person.typed(tmp_path, "--data-dir", "typed", "sync")
    assert typed.returncode == 0, typed.stdout + typed.stderr
    attributes = {
        "portal": portal.url,
        "name": "demo",
        "schema": "town",
        "tables": {
            "towns": {
                "table": "places",
                "where": "people >= 2",
                "select": ["code", "people"],
                "types": {"people": "double"},
            },
            "roads": {"bad_values": "null"},
        },
    }
    component = OpendatasoftPortal.from_attributes_dict(attributes=attributes)
    with world(tmp_path / "dagster", portal, schema="town", tables=component.tables) as there:
        there.look()
        assert there.sync().success
    slug = Address.parse(portal.url).slug
    lakes = [Lake.of(tmp_path / name, slug) for name in ("typed", "dagster")]
    for name in ("towns", "roads"):
        one, two = (receipt(lake.partition("records", name)) for lake in lakes)
        assert one
        assert two
        same = {"fetched_at": "", "file_sha256": ""}
        assert replace(one, **same) == replace(two, **same)  # type: ignore[arg-type]
        tables = [pq.read_table(lake.partition("records", name)) for lake in lakes]
        assert tables[0].equals(tables[1])
        assert tables[0].num_rows == (5 if name == "towns" else 7)
    assert [len(lake.receipts("records")) for lake in lakes] == [2, 2]
    for table in ("places", "roads"):
        loaded = [in_table(tmp_path / name, table) for name in ("typed", "dagster")]
        assert loaded[0] == loaded[1]
        assert loaded[0]


def in_table(folder: Path, table: str) -> list[tuple[object, ...]]:
    """The rows of a table, its columns and their comments."""
    with duckdb.connect(folder / "warehouse.duckdb", read_only=True) as connection:
        columns = connection.execute(
            "SELECT column_name, data_type, comment FROM duckdb_columns() "
            "WHERE schema_name = 'town' AND table_name = ?",
            [table],
        ).fetchall()
        rows = connection.execute(f'SELECT * FROM town."{table}" ORDER BY ALL').fetchall()
    return [*columns, *rows]


def test_a_table_that_is_called_otherwise_is_found_under_its_name(
    portal: Emulator, tmp_path: Path
) -> None:
    tables = {"towns": AssetTableChoice(table="places")}
    there = {"schema": "town", "table_names": "snake", "tables": tables}
    with world(tmp_path, portal, **there, datasets=DatasetChoice(include=["trees-old"])) as found:
        specs = found.defs.resolve_all_asset_specs()
        (spec,) = [one for one in specs if one.key.path == ["demo", "towns"]]
        assert spec.metadata["dagster/table_name"] == "town.places"
        found.look()
        assert found.sync().success
        for asset, table in (("towns", "town.places"), ("table", "town.trees_old")):
            over = None if asset == "towns" else "trees-old"
            assert value(found.latest(asset, over), "dagster/table_name") == table
        table, _ = given(found, pa.Table, "trees-old", "table")
        assert table.num_rows == 7
        found.portal.requests.clear()
        assert found.sync().success
        assert len(found.portal.requests) == 1
