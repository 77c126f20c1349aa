"""docs/reference.md against the code: each table, entry and key stands on both sides."""

import re
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ods_pipeline.dagster import checks
from ods_pipeline.dagster.events import summary_failure
from ods_pipeline.dagster.file_metadata import Kept
from ods_pipeline.dagster.resources import failure
from ods_pipeline.dagster.results import Loaded, Own, Updated
from ods_pipeline.dataset import Field
from ods_pipeline.emulator import Emulator
from ods_pipeline.emulator.datasets.file_values import picture
from ods_pipeline.errors import HeldBack, OdsPipelineError, QuotaExhausted
from ods_pipeline.lake.kept_files import KeptFile
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.portal.catalog.table import SCHEMA
from ods_pipeline.sync.configuration import LayerChoice
from ods_pipeline.sync.extractor import FEATURES
from ods_pipeline.sync.kept_folders import KeptFolder
from ods_pipeline.sync.landing_request import LandingResult
from ods_pipeline.sync.plan import Planned
from ods_pipeline.sync.update import UpdateResult
from ods_pipeline.sync.verdict import Kind, Verdict
from ods_pipeline.tables.forms import Form
from ods_pipeline.tables.schema import arrow_field
from ods_pipeline.tables.schema_diff import Difference
from ods_pipeline.warehouse.protocol import Load
from tests.dagster.world import FIELDS, RECORDS, World, publish, world

PAGE = (Path(__file__).parents[1] / "docs" / "reference.md").read_text(encoding="utf-8")

pytestmark = pytest.mark.filterwarnings(
    # Dagster's own call, whenever a resource has one inside; goes when it no longer warns.
    "ignore:InitResourceContext.dagster_run is deprecated:DeprecationWarning"
)


def table(title: str) -> dict[str, str]:
    """The first two columns of the table under a heading, without their backquotes."""
    (section,) = re.findall(rf"^##+ {re.escape(title)}\n(.*?)(?=^##|\Z)", PAGE, re.M | re.S)
    rows = re.findall(r"^\| `(.+?)` \| (.+?) \|", section, re.M)
    named = {name: meaning.strip("`") for name, meaning in rows}
    assert named
    assert len(named) == len(rows), "an entry stands there twice"
    return named


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A portal of two datasets in Dagster: one is loaded, and held since it shrank."""
    with Emulator(sample=False) as portal:
        publish(portal, "trees", "roads")
        folder = tmp_path_factory.mktemp("reference")
        with world(folder, portal, features=LayerChoice(include=["*"])) as made:
            made.look()
            made.run("records", "table", over="trees")
            made.run("features", "layer", over="trees")
            portal.publish("trees", fields=FIELDS, records=RECORDS[:1])
            publish(portal, "no...key")
            made.run("records", over="trees", raise_on_error=False)
            made.run("catalog")
            yield made


@pytest.fixture(scope="module")
def updated(there: World) -> Updated:
    """A layer of which everything can be told that can be told of a partition."""
    told = Receipt(**{item.name: "1" for item in fields(Receipt)})
    receipt = replace(told, kind="features", formerly='["woods"]')
    result = UpdateResult(
        "landed",
        "its date moved",
        there.lake.partition("features", "trees"),
        receipt,
        LandingResult(receipt, True, 1, 1.0),
        pa.schema([]),
        5,
    )
    planned = Planned(FEATURES, "trees", None, None, Verdict(Kind.DATA, "its date moved"))
    return Updated.of(planned, result, "https://portal.test")


@pytest.fixture(scope="module")
def warehouse(there: World) -> Iterator[duckdb.DuckDBPyConnection]:
    path = Path(there.settings.attributes.data_dir) / "warehouse.duckdb"
    with duckdb.connect(str(path), read_only=True) as connection:
        schema = there.settings.slug.replace(".", "_")
        connection.execute(f'SET search_path = "{schema}"')
        yield connection


@pytest.mark.parametrize("name", ["_loads", "_held", "_catalog"])
def test_a_table_of_the_warehouse_has_the_columns_and_types_of_the_page(
    warehouse: duckdb.DuckDBPyConnection, name: str
) -> None:
    columns = warehouse.execute(f'DESCRIBE "{name}"').fetchall()
    assert list(table(f"`{name}`").items()) == [(column, kind) for column, kind, *_ in columns]


def test_every_table_of_the_warehouse_that_is_no_datasets_is_on_the_page(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    listed = "SELECT table_name FROM duckdb_tables() WHERE starts_with(table_name, '_')"
    found = {name for (name,) in warehouse.execute(listed).fetchall()}
    assert found == set(re.findall(r"^### `(_\w+)`", PAGE, re.M))


def test_the_queries_of_the_page_run(warehouse: duckdb.DuckDBPyConnection) -> None:
    (block,) = re.findall(r"```sql\n(.*?)```", PAGE, re.S)
    for query in filter(str.strip, block.split(";")):
        assert warehouse.execute(query).fetchall(), query


def test_a_receipt_has_the_entries_of_the_page_in_their_order() -> None:
    assert list(table("The receipt")) == [item.name for item in fields(Receipt)]


def test_a_landed_file_has_no_other_entries_in_its_footer(there: World) -> None:
    others = set(table("Other entries of the footer"))
    found: set[str] = set()
    for kind in ("records", "features"):
        path = there.lake.partition(kind, "trees")
        found |= {key.decode() for key in pq.read_metadata(path).metadata}
    assert found - set(table("The receipt")) == others


def test_a_column_has_the_metadata_of_the_page(there: World) -> None:
    annotations = {"unit": "m", "timeserie_precision": "year", "facet": True}
    told = arrow_field(Field("day", "date", "Day", "When it was", annotations)).metadata
    assert [key.decode() for key in told] == list(table("Metadata of a column"))
    landed = pq.read_schema(there.lake.partition("features", "trees"))
    assert {key for column in landed for key in column.metadata or ()} <= set(told)
    assert [column.name for column in landed if not column.metadata] == ["gml_id"]


def test_the_catalog_in_the_lake_is_the_table_of_the_page(there: World) -> None:
    assert SCHEMA.names == list(table("`_catalog`"))
    assert pq.read_schema(there.lake.catalog).names == SCHEMA.names


@pytest.mark.parametrize(
    ("asset", "title"),
    [
        ("records", "`records` and `features`"),
        ("features", "`records` and `features`"),
        ("table", "`table` and `layer`"),
        ("layer", "`table` and `layer`"),
    ],
)
def test_a_materialization_has_no_metadata_that_the_page_lacks(
    there: World, asset: str, title: str
) -> None:
    event = there.latest(asset, "trees")
    assert set(event.metadata) <= set(table(title))
    assert "dagster/data_version" in (event.tags or {})


def test_all_that_can_be_told_of_a_partition_is_on_the_page(updated: Updated) -> None:
    assert set(updated.metadata()) == set(table("`records` and `features`"))


def test_all_that_can_be_told_of_a_table_is_on_the_page(updated: Updated) -> None:
    change = Difference(added=("a",))
    load = Load("portal", "trees", "loaded", 7, change, 0.1, "hash", "a note", "woods")
    told = Loaded(load, updated.result.path, "features").metadata()
    assert set(told) == set(table("`table` and `layer`"))


def test_all_that_can_be_told_of_an_asset_of_its_own_is_on_the_page(updated: Updated) -> None:
    load = Load("portal", "trees", "loaded", 7, Difference(("a",)), 0.1, "hash", "a note", "woods")
    result = updated.result
    told = Own(result.path, result.receipt, updated.page, updated.did(), load).metadata()
    titles = ("`records` and `features`", "`table` and `layer`", "Datasets under `tables`")
    known = set().union(*(table(title) for title in titles))
    assert set(told) == known - {"dagster/partition_row_count", "dataset_id", "kind"}


def test_all_that_can_be_told_of_the_catalog_is_on_the_page(there: World) -> None:
    assert set(there.latest("catalog").metadata) == set(table("`catalog`"))


def test_all_that_can_be_told_of_a_folder_of_files_is_on_the_page(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture("a"))
    files = [KeptFile("file/a", "a.png", media_type="image/png")]
    folder = KeptFolder("portal.test", "art", tmp_path, files, [], 1, 1.0)
    told = Kept(folder, "https://portal.test/art").metadata()
    assert set(told) == set(table("`attachments`, `files` and `catalog_export`"))


def test_all_that_a_check_tells_is_on_the_page(updated: Updated) -> None:
    found: dict[str, set[str]] = {}
    for failed in ({}, {"roads": HeldBack("shrunk", "it shrank")}):
        for result in checks.results([updated], failed):
            found.setdefault(str(result.check_name), set()).update(result.metadata or {})
    assert found == {
        name: set(table(f"The check `{name}`"))
        for name in (checks.COMPLETE, checks.SCHEMA, checks.VALUES)
    }


def test_every_form_of_rows_is_on_the_page() -> None:
    assert set(table("Rows for assets of your own")) == {form.value for form in Form}


def test_all_that_a_failure_tells_is_on_the_page() -> None:
    where: dict[str, Any] = {"portal": "portal.test", "url": "https://portal.test/catalog"}
    held = HeldBack("shrunk", "it shrank", portal="portal.test", dataset="trees")
    by_views = HeldBack("quarantined", "views use its columns")
    by_views.views = ("mine.v",)
    assert failure(by_views).metadata.keys() == {"held", "views"}
    spent = QuotaExhausted("the quota is spent", reset=datetime(2026, 1, 1, tzinfo=UTC), **where)
    errors: dict[str, OdsPipelineError] = {"trees": held, "roads": spent}
    told: list[dg.Failure] = [
        *(failure(held), failure(by_views), failure(spent)),
        summary_failure(2, errors),
    ]
    assert {key for item in told for key in item.metadata} == set(table("Failures"))
