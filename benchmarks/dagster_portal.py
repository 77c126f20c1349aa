"""What Dagster does for a portal whose datasets are partitions, with sensors and runs as deployed.

What is prepared is everything landed and loaded, and Dagster's memory of it: a data folder with
`home` in it. What Dagster's commands cost is in `dagster_projects`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import dagster_projects
from benchmarks.parts import tell
from benchmarks.portal import CHANGING, ROWS

if TYPE_CHECKING:
    from benchmarks.dagster_deployment import Deployment

_WAREHOUSE = "warehouse.duckdb"
_UP = "daemon and code server up, s"


def first(url: str, folder: Path) -> Path:
    """All datasets, from the first look at the catalog to the last table."""
    with _begun(url, folder) as (deployment, up):
        deployment.watch()
        tell(folder, up | deployment.settle())
    return folder / _WAREHOUSE


def first_by_job(url: str, folder: Path) -> Path:
    """The same in one run, by the job for those who prefer a clock."""
    from benchmarks.dagster_deployment import JOB

    with _begun(url, folder) as (deployment, up):
        deployment.launch(JOB)
        deployment.finish()
        tell(folder, up | deployment.costs())
    return folder / _WAREHOUSE


def known(url: str, folder: Path) -> Path:
    """All of it landed and loaded, and Dagster told so, for what comes after a first load.

    Dagster's own runs would take an hour for thousands of datasets.
    """
    # Makes a process lean in ways that Dagster's are not.
    from benchmarks import prepared_data

    prepared_data.all_datasets(url, folder)
    with _begun(url, folder) as (deployment, _):
        deployment.watch()
        deployment.adopt()
        assert not deployment.settle(), "something was run"
    return folder


def again(url: str, folder: Path) -> None:
    """A look at the catalog in which nothing has changed, and at the conditions."""
    with _begun(url, folder / "given") as (deployment, up):
        deployment.watch()
        deployment.automate()
        tell(folder, up | deployment.costs())
        assert not deployment.settle(), "something was run"


def change(url: str, folder: Path) -> Path:
    """One dataset that has a row more, from the look at the catalog to its table."""
    database = folder / "given" / _WAREHOUSE
    with _begun(url, folder / "given") as (deployment, up):
        deployment.watch()
        tell(folder, up | deployment.settle())
    if (rows := _rows(database)) <= ROWS:
        raise RuntimeError(f"{rows} rows: the change has not arrived")
    return database


def start(url: str, folder: Path) -> None:
    """What every process of a run does before the first line of its first step."""
    dagster_projects.definitions_of(dagster_projects.OURS % url, folder)


def start_nothing(url: str, folder: Path) -> None:
    """The same for one asset that does nothing."""
    dagster_projects.definitions_of(dagster_projects.NOTHING, folder)


@contextmanager
def _begun(url: str, data: Path) -> Iterator[tuple[Deployment, dict[str, float]]]:
    """A deployment that counts from now on, and what it took until now."""
    from benchmarks.dagster_deployment import deployed

    began = time.perf_counter()
    with deployed(url, data.resolve()) as deployment:
        up = {_UP: time.perf_counter() - began}
        deployment.begin()
        yield deployment, up


def _rows(database: Path) -> int:
    """The rows of the table of the dataset that changes."""
    import duckdb

    where = "SELECT schema_name FROM duckdb_tables() WHERE table_name = ?"
    with duckdb.connect(database, read_only=True) as connection:
        ((schema,),) = connection.execute(where, [CHANGING]).fetchall()
        found = connection.execute(f'SELECT count(*) FROM "{schema}"."{CHANGING}"').fetchall()
        return int(found[0][0])
