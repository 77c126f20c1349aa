"""A process that is killed while a table follows its dataset to a new name and gets other rows."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ods_pipeline.warehouse import Warehouse
from tests.warehouse.iceberg.catalogs import NAME, embedded
from tests.warehouse.partitions import Column, land

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

# For each file that a load writes and each commit of the catalog, a child that is killed before it
# and one that is killed after it. Tables name their files by whole paths: so each begins with a
# fresh copy in the same place.
KILLED = """
import json, os, shutil, signal, sys, traceback
from pathlib import Path
import duckdb, pyarrow, sqlalchemy.orm
from pyiceberg.catalog import load_catalog
from pyiceberg.io.pyarrow import PyArrowFile
import pyiceberg.catalog.sql, pyiceberg.table
from ods_pipeline.warehouse import open_warehouse
from ods_pipeline.warehouse.iceberg.warehouse import IcebergWarehouse
from tests.warehouse.partitions import PORTAL, SCHEMA

folder, backup, partition = map(Path, sys.argv[1:4])
name, uri, warehouse = sys.argv[4:7]
before, history = json.loads(sys.argv[7])
done = deadly = 0

def counted(step):
    def wrapped(*args, **kwargs):
        global done
        for act in (lambda: None, lambda: step(*args, **kwargs)):
            answer = act()
            done += 1
            if done == deadly:
                os.kill(os.getpid(), signal.SIGKILL)
        return answer
    return wrapped

def attempt():
    PyArrowFile.create = counted(PyArrowFile.create)
    sqlalchemy.orm.Session.commit = counted(sqlalchemy.orm.Session.commit)
    with open_warehouse(f"iceberg:{name}") as opened:
        opened.load(partition, verdict="data")

def rows_of(table):
    catalog = load_catalog(name, uri=uri, warehouse=warehouse)
    return catalog.load_table((SCHEMA, table)).scan().to_arrow()

def whole_and_repaired():
    catalog = load_catalog(name, uri=uri, warehouse=warehouse)
    there = catalog.namespace_exists((SCHEMA,))
    found = [n for _, n in catalog.list_tables((SCHEMA,)) if n != "_loads"] if there else []
    assert len(found) == 1 or not (found or before)
    for table in found:
        assert rows_of(table).to_pylist() in (before, [{"a": "better", "b": "new"}]), table
    with open_warehouse(f"iceberg:{name}") as opened:
        opened.load(partition, verdict="data")
        assert set(opened.loaded(PORTAL)) == {"new"}
    assert rows_of("new").to_pylist() == [{"a": "better", "b": "new"}]
    lines = rows_of("_loads").sort_by("entry").select(["table", "dataset_id", "action"]).to_pylist()
    assert [list(line.values()) for line in lines] == history, lines

def in_a_child(act):
    child = os.fork()
    if not child:
        try:
            act()
        except BaseException:
            print(deadly, file=sys.stderr)
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]

status = signal.SIGKILL
while status == signal.SIGKILL:
    deadly += 1
    shutil.rmtree(folder)
    shutil.copytree(backup, folder)
    status = in_a_child(attempt)
    if status != signal.SIGKILL and status or in_a_child(whole_and_repaired):
        sys.exit(1)
print(deadly)
"""


LOADED, RENAMED = ["new", "new", "loaded"], ["new", "new", "renamed"]


def _landed(folder: Path, dataset_id: str, *former: str, **values: str) -> Path:
    return land(
        folder / "partition.parquet",
        {name: Column([value]) for name, value in values.items()},
        dataset_id=dataset_id,
        dataset_uid="da_1",
        formerly=json.dumps(former),
    )


@pytest.mark.parametrize(
    ("before", "history"),
    [
        ("", [LOADED]),
        ("new", [LOADED, LOADED]),
        ("old", [["new", "old", "loaded"], RENAMED, LOADED]),
    ],
    ids=["made", "replaced", "renamed and replaced"],
)
def test_a_load_that_is_killed_at_any_step_leaves_one_whole_table_and_the_next_repairs_it(
    warehouse: Warehouse,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    before: str,
    history: list[list[str]],
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    if before:
        warehouse.load(_landed(elsewhere, before, a="good"), verdict="new")
    warehouse.close()
    tmp_path.rename(elsewhere / "backup")
    tmp_path.mkdir()
    partition = _landed(elsewhere, "new", "old", a="better", b="new")
    words = [str(tmp_path), str(elsewhere / "backup"), str(partition)]
    expected = json.dumps([[{"a": "good"}] if before else [], history])
    described = embedded(tmp_path).values()
    command = [sys.executable, "-W", "ignore", "-c", KILLED, *words, NAME, *described, expected]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) > 20
