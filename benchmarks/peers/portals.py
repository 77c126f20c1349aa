"""A portal of many datasets, as somebody would write it in the fewest lines."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.peers.dlt_pipeline import opened
from benchmarks.peers.download import curl, saved
from benchmarks.portal import API, EXPORTS

if TYPE_CHECKING:
    import pyarrow as pa
    import requests

_PARALLEL = "8"


def ask_each(url: str, folder: Path) -> None:
    """Ask for every dataset's metadata to see whether it moved; HEAD is refused by portals."""
    import requests

    with requests.Session() as session:
        for name in _names(session, url):
            metas = session.get(f"{url}{API}/datasets/{name}").json()["metas"]["default"]
            assert metas["data_processed"]


def dlt_catalog(url: str, folder: Path) -> None:
    """The whole catalog again, into a table that is replaced; it tells nothing of changes."""
    import dlt
    import requests

    _, pipeline = opened(folder)
    listed = requests.get(f"{url}{API}/exports/json").json()
    # What is nested stays in its column, as in ours, and makes no tables of its own.
    catalog = dlt.resource(listed, name="catalog", max_table_nesting=0)
    pipeline.run(catalog, write_disposition="replace")


def curl_each(url: str, folder: Path) -> Path:
    """A shell loop of curl, 8 at a time; the names are asked for first."""
    import json

    files = folder / "files"
    files.mkdir()
    curl(f"{url}{API}/exports/json", folder / "catalog.json")
    names = [item["dataset_id"] for item in json.loads((folder / "catalog.json").read_bytes())]
    one = f'curl -sS --fail --compressed -o "$0.parquet" "{url}{EXPORTS["parquet"]}"'
    one = one.format("$0")
    loop = ["xargs", "-P", _PARALLEL, "-n", "1", "sh", "-c", one]
    subprocess.run(loop, input="\n".join(names), text=True, cwd=files, check=True)
    return files


def dlt_each(url: str, folder: Path) -> Path:
    """A resource for each dataset that reads its Parquet export, on dlt's own threads."""
    import dlt
    import requests

    def rows(name: str) -> Iterator[pa.Table]:
        import pyarrow.parquet as pq

        address = url + EXPORTS["parquet"].format(name)
        yield pq.read_table(saved(address, folder / f"{name}.parquet"))

    database, pipeline = opened(folder)
    with requests.Session() as session:
        names = _names(session, url)
    resources = [
        dlt.resource(rows, name=name, parallelized=True, write_disposition="replace")(name)
        for name in names
    ]
    pipeline.run(resources)
    return database


def _names(session: requests.Session, url: str) -> list[str]:
    return [item["dataset_id"] for item in session.get(f"{url}{API}/exports/json").json()]
