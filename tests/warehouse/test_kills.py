"""A process that is killed while a table follows its dataset to a new name."""

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from ods_pipeline.warehouse import open_warehouse
from tests.warehouse.partitions import PORTAL, SCHEMA, Column, land

pytestmark = pytest.mark.slow

LOADS = f'"{SCHEMA}"._loads'
# For each writing statement of a load a child that is killed before it, on a copy of the warehouse.
KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from ods_pipeline.warehouse import open_warehouse
from ods_pipeline.warehouse.connection import Session

run, template, partition = Session.run, Path(sys.argv[1]), Path(sys.argv[2])

def attempt(database, deadly):
    done = 0
    def counted(session, statement, *values):
        nonlocal done
        done += statement.startswith(("ALTER", "UPDATE", "INSERT", "DROP"))
        if done == deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return run(session, statement, *values)
    with open_warehouse(f"duckdb:///{database}") as warehouse:
        Session.run = counted
        warehouse.load(partition, verdict="data")

deadly, status = 0, 1
while status:
    deadly += 1
    database = template.with_name(f"killed-{deadly}.duckdb")
    shutil.copy(template, database)
    child = os.fork()
    if not child:
        attempt(database, deadly)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
print(deadly)
"""


def _landed(lake: Path, dataset_id: str, value: str, *former: str) -> Path:
    return land(
        lake / "partition.parquet",
        {"a": Column([value])},
        dataset_id=dataset_id,
        dataset_uid="da_1",
        formerly=json.dumps(former),
    )


def test_a_rename_that_is_killed_at_any_statement_leaves_one_whole_table_and_goes_on(
    database: Path, tmp_path: Path
) -> None:
    with open_warehouse(f"duckdb:///{database}") as warehouse:
        warehouse.load(_landed(tmp_path / "lake", "old", "good"), verdict="new")
    partition = _landed(tmp_path / "lake", "new", "better", "old")
    command = [sys.executable, "-W", "ignore", "-c", KILLED, str(database), str(partition)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    deaths = int(ended.stdout) - 1
    assert deaths >= 6
    for number in range(1, deaths + 1):
        killed = database.with_name(f"killed-{number}.duckdb")
        url = f"duckdb:///{killed}"
        with open_warehouse(url) as warehouse, duckdb.connect(killed) as connection:
            ((name,),) = connection.sql(f'SELECT DISTINCT "table" FROM {LOADS}').fetchall()
            tables = connection.sql("SELECT table_name FROM duckdb_tables()").fetchall()
            assert sorted(tables) == [("_loads",), (name,)]
            rows = connection.sql(f'SELECT a FROM "{SCHEMA}"."{name}"').fetchall()
            assert rows in ([("good",)], [("better",)])
            warehouse.load(partition, verdict="data")
            assert set(warehouse.loaded(PORTAL)) == {"new"}
            lines = connection.sql(f"SELECT dataset_id, action FROM {LOADS} ORDER BY rowid")
            assert lines.fetchall() == [("old", "loaded"), ("new", "renamed"), ("new", "loaded")]
            assert connection.sql(f'SELECT a FROM "{SCHEMA}".new').fetchall() == [("better",)]
