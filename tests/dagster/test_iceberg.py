"""With a warehouse of Iceberg tables: what Dagster shows, and where rows come from."""

from pathlib import Path

import geopandas as gpd
import polars as pl
import pyarrow as pa
import pytest

from ods_pipeline.emulator import Emulator
from tests.dagster.downstream import given
from tests.dagster.world import RECORDS, publish, settings_for, world
from tests.warehouse.iceberg.catalogs import NAME, configured, embedded

pytestmark = pytest.mark.filterwarnings(
    # Dagster's own call, whenever a resource has one inside; goes when it no longer warns.
    "ignore:InitResourceContext.dagster_run is deprecated:DeprecationWarning"
)


@pytest.mark.slow
def test_rows_are_loaded_into_tables_and_given_downstream_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(monkeypatch, embedded(tmp_path))
    monkeypatch.setenv("ODS_WAREHOUSE", f"iceberg:{NAME}")
    with Emulator(sample=False) as portal:
        publish(portal, "trees", "late")
        with world(tmp_path / "lake", portal) as there:
            there.look()
            there.run("records", "table", over="trees")
            codes = [record["code"] for record in RECORDS]
            table, _ = given(there, pa.Table, "trees", "table")
            assert table.column("code").to_pylist() == codes
            polars, _ = given(there, pl.DataFrame, "trees", "table")
            assert polars["code"].to_list() == codes
            frame, _ = given(there, gpd.GeoDataFrame, "trees", "table")
            assert (frame.crs, frame.geometry.iloc[0].x) == ("OGC:CRS84", 2.0)
            _, result = given(there, pa.Table, "late", "table")
            (event,) = [item for item in result.all_events if item.is_step_failure]
            assert "late is not loaded yet" in str(event.step_failure_data)


def test_tables_are_shown_as_icebergs_and_any_number_of_runs_may_load(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ODS_WAREHOUSE", f"iceberg:{NAME}")
    settings = settings_for("data.test")
    assert (settings.warehouse_kind, settings.warehouse_pool) == ("iceberg", None)
