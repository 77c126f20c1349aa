"""Dagster's assets and I/O manager over a lake in a bucket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from ods_pipeline.emulator import Emulator
from tests.dagster.downstream import given
from tests.dagster.world import RECORDS, World, publish, reason, world

pytestmark = [
    pytest.mark.servers,
    # Dagster's own call, whenever a resource has one inside; goes when it no longer warns.
    pytest.mark.filterwarnings(
        "ignore:InitResourceContext.dagster_run is deprecated:DeprecationWarning"
    ),
]


@pytest.fixture
def landed(tmp_path: Path, address: str) -> Iterator[World]:
    warehouse = f"duckdb:///{tmp_path / 'warehouse.duckdb'}"
    with Emulator(sample=False) as portal:
        publish(portal, "trees")
        with world(tmp_path, portal, data_dir=address, warehouse=warehouse) as there:
            there.look()
            there.run("records", over="trees")
            yield there


def test_a_partition_lands_in_the_bucket_is_loaded_and_read_downstream(
    landed: World, address: str
) -> None:
    materialized = landed.latest("records", "trees")
    uri = str(materialized.metadata["dagster/uri"].value)
    assert uri.startswith(f"{address}/lake/")
    assert uri.endswith("/records/trees.parquet")
    landed.run("table", over="trees")
    assert landed.latest("table", "trees").metadata["dagster/partition_row_count"].value == len(
        RECORDS
    )
    frame, result = given(landed, pd.DataFrame, "trees")
    assert result.success
    assert len(frame) == len(RECORDS)


def test_without_a_warehouse_of_its_own_a_load_says_what_to_set(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ODS_WAREHOUSE")
    with Emulator(sample=False) as portal:
        publish(portal, "trees")
        with world(tmp_path, portal, data_dir=address) as there:
            there.look()
            there.run("records", over="trees")
            result = there.run("table", over="trees", raise_on_error=False)
    assert "set ODS_WAREHOUSE" in reason(result)
