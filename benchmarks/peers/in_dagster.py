"""A portal as assets of dagster-dlt, as its documentation shows: a resource and an asset a dataset.

Each materialization is one step of one run in this process: no code server, no daemon and no start
of another process is in its figures, as they are in ours. Annotations are no text here, as Dagster
reads them where it finds no imports of functions.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.peers.dlt_pipeline import opened
from benchmarks.portal import API, CHANGING, ROWS


def first(url: str, folder: Path) -> Path:
    """All assets, for the first time."""
    return _materialized(url, folder)


def prepared(url: str, folder: Path) -> Path:
    """What it has made, with its state, for a materialization after that."""
    _materialized(url, folder)
    return folder


def again(url: str, folder: Path) -> Path:
    """All assets again: neither dlt nor Dagster is told what the portal has changed."""
    return _materialized(url, folder / "given")


def change(url: str, folder: Path) -> Path:
    """The same where a dataset has a row more."""
    import duckdb

    database = _materialized(url, folder / "given")
    with duckdb.connect(database, read_only=True) as connection:
        table = CHANGING.replace("-", "_")
        (rows,) = connection.sql(f"SELECT count(*) FROM bench.{table}").fetchall()[0]
    if rows <= ROWS:
        raise RuntimeError(f"{rows} rows: the change has not arrived")
    return database


def start(url: str, folder: Path) -> None:
    """Definitions, as each process makes them that has to do with them."""
    _definitions(url, folder).get_repository_def().load_all_definitions()


def _materialized(url: str, folder: Path) -> Path:
    import dagster as dg

    home = folder / "home"
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    os.environ["DAGSTER_HOME"] = str(home)
    job = _definitions(url, folder).get_implicit_global_asset_job_def()
    with dg.DagsterInstance.get() as instance:
        job.execute_in_process(instance=instance)
    return folder / "out.duckdb"


def _definitions(url: str, folder: Path) -> Any:
    import dagster as dg
    import dlt
    import requests
    from dagster_dlt import DagsterDltResource, dlt_assets

    def rows(name: str) -> Iterator[Any]:
        yield requests.get(f"{url}{API}/datasets/{name}/exports/json").json()

    @dlt.source(name="portal", max_table_nesting=0)
    def portal() -> Iterator[Any]:
        for item in requests.get(f"{url}{API}/exports/json").json():
            name = item["dataset_id"]
            yield dlt.resource(rows, name=name, parallelized=True, write_disposition="replace")(
                name
            )

    _, pipeline = opened(folder)

    @dlt_assets(dlt_source=portal(), dlt_pipeline=pipeline, name="portal")
    def assets(context: dg.AssetExecutionContext, dlt: DagsterDltResource) -> Iterator[Any]:
        yield from dlt.run(context=context)

    return dg.Definitions([assets], resources={"dlt": DagsterDltResource()})
