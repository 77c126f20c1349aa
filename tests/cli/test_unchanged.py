"""An unchanged sync of the command line: what it leaves out, and what it notices all the same."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from ods_pipeline.emulator import Emulator
from tests.desk import FIELDS, Desk, rows

# The command line itself; the libraries that it has imported are told at its end.
SYNC = """
import sys
from ods_pipeline.cli.main import main
from ods_pipeline.warehouse import last_look

last_look._SETTLED = 0  # A user does not sync twice within two seconds.
sys.argv = ["ods-pipeline", "sync"]
try:
    main()
finally:
    print("imported", *{name.partition(".")[0] for name in sys.modules})
"""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Emulator(sample=False) as emulator:
        for name in ("one", "two"):
            emulator.publish(name, fields=FIELDS, records=rows(3))
        desk = Desk(emulator, tmp_path)
        for _ in range(3):  # To land, to look at what is landed, and to know it.
            synced(desk)
        yield desk


def synced(desk: Desk) -> tuple[str, set[str]]:
    """What a sync says, and the libraries that it imported."""
    desk.emulator.requests.clear()
    places = {"ODS_PORTAL": desk.emulator.url, "ODS_DATA_DIR": str(desk.folder)}
    done = subprocess.run(
        [sys.executable, "-c", SYNC],
        env={**os.environ, **places, "ODS_WAREHOUSE": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    said, _, imported = done.stdout.partition("imported ")
    return said, set(imported.split())


def test_where_nothing_changed_no_library_for_rows_is_imported(desk: Desk) -> None:
    said, imported = synced(desk)
    assert "2 unchanged; 1 request" in said
    assert not imported & {"duckdb", "numpy", "pandas", "pyarrow", "pydantic", "pyproj", "shapely"}


def test_a_table_that_somebody_changed_is_loaded_again(desk: Desk) -> None:
    schema = desk.lake.root.name.replace(".", "_")
    with duckdb.connect(desk.folder / "warehouse.duckdb") as connection:
        connection.execute(f'DELETE FROM "{schema}"."one"')
    said, imported = synced(desk)
    assert "duckdb" in imported
    assert "somebody else changed the rows" in said
    assert desk.loaded("one") == 3
    synced(desk)
    assert "duckdb" not in synced(desk)[1]


def test_a_warehouse_that_was_lost_is_filled_again(desk: Desk) -> None:
    (desk.folder / "warehouse.duckdb").unlink()
    synced(desk)
    assert desk.loaded("one") == 3


def test_a_dataset_that_the_portal_changed_is_fetched_and_loaded(desk: Desk) -> None:
    desk.emulator.publish("one", fields=FIELDS, records=rows(4))
    assert "landed" in synced(desk)[0]
    assert desk.loaded("one") == 4
