"""Assets of the user's own that open the same DuckDB file with `dagster_duckdb`, beside ours."""

from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from dagster_duckdb import DuckDBResource

from tests.dagster.world import RECORDS, World, publish

pytestmark = pytest.mark.filterwarnings(
    # Dagster's own call, whenever a resource has one inside; goes when it no longer warns.
    "ignore:InitResourceContext.dagster_run is deprecated:DeprecationWarning"
)


def run(there: World, own: dg.AssetsDefinition, *assets: str, **options: Any) -> Any:
    """Run an asset of the user's own, in one job with some of the portal's."""
    path = Path(there.settings.attributes.data_dir) / "warehouse.duckdb"
    users = dg.Definitions([own], resources={"duckdb": DuckDBResource(database=str(path))})
    defs = dg.Definitions.merge(there.defs, users)
    return (
        defs.get_repository_def()
        .get_implicit_global_asset_job_def()
        .execute_in_process(
            instance=there.instance,
            asset_selection=[*(there.settings.key(asset) for asset in assets), own.key],
            partition_key="trees",
            raise_on_error=False,
            **options,
        )
    )


def test_a_table_is_read_and_another_one_made_of_it_in_the_same_job(there: World) -> None:
    publish(there.portal, "trees")
    there.look()

    @dg.asset(deps=[there.settings.key("table")], partitions_def=there.settings.partitions)
    def crowded(context: dg.AssetExecutionContext, duckdb: DuckDBResource) -> dg.MaterializeResult:
        schema = there.settings.slug.replace(".", "_")
        with duckdb.get_connection() as warehouse:
            warehouse.execute(
                "CREATE OR REPLACE TABLE crowded AS "
                f'FROM "{schema}"."{context.partition_key}" WHERE people > 3'
            )
            ((rows,),) = warehouse.execute("SELECT count(*) FROM crowded").fetchall()
        return dg.MaterializeResult(metadata={"rows": rows})

    result = run(there, crowded, "records", "table")
    assert result.success
    (made,) = result.asset_materializations_for_node("crowded")
    assert made.metadata["rows"].value == sum(record["people"] > 3 for record in RECORDS)
    # Ours loads again, and theirs stays.
    assert run(there, crowded, "records", "table").success


def test_an_asset_that_fails_lets_go_of_the_file_where_it_closes_it_as_our_page_says(
    there: World,
) -> None:
    publish(there.portal, "trees")
    there.look()

    @dg.asset(deps=[there.settings.key("table")], partitions_def=there.settings.partitions)
    def failing(duckdb: DuckDBResource) -> None:
        # `get_connection` by itself leaves it open where the block fails.
        with duckdb.get_connection() as warehouse, closing(warehouse):
            warehouse.execute("FROM no_such_table")

    assert not run(there, failing, "records", "table").success
    assert there.run("catalog").success


def test_a_relation_and_a_connection_that_writes_are_refused_by_duckdb_in_one_asset(
    there: World,
) -> None:
    publish(there.portal, "trees")
    there.look()

    @dg.asset(
        ins={"rows": dg.AssetIn(there.settings.key("table"))},
        partitions_def=there.settings.partitions,
    )
    def both(rows: duckdb.DuckDBPyRelation, duckdb: DuckDBResource) -> None:
        with duckdb.get_connection():
            pass

    result = run(there, both, "records", "table")
    assert "different configuration" in str(result.failure_data_for_node("both"))
