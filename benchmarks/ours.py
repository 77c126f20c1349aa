"""What ods_pipeline does in each task, as the command line does it.

`given` in the folder is what a task prepared for it: a landed partition, or a data folder. What
other tools do is in `peers`.
"""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.portal import DATASET
from ods_pipeline.cli import process

if TYPE_CHECKING:
    from ods_pipeline.sync.extractor import Extractor

process.prepare()


def land_parquet(url: str, folder: Path) -> Path:
    """A proven partition from the Parquet export."""
    from ods_pipeline.sync.extractor import Extractor

    return _land(url, folder, Extractor(format="parquet"))


def land_csv(url: str, folder: Path) -> Path:
    """A proven partition from the CSV export."""
    from ods_pipeline.sync.extractor import Extractor

    return _land(url, folder, Extractor(format="csv"))


def land_gml(url: str, folder: Path) -> Path:
    """A proven partition from the portal's WFS."""
    from ods_pipeline.sync.extractor import FEATURES

    return _land(url, folder, FEATURES)


def load(url: str, folder: Path) -> Path:
    """The warehouse's table from a landed partition."""
    from ods_pipeline.warehouse.opening import open_warehouse

    database = folder / "warehouse.duckdb"
    with open_warehouse(f"duckdb:////{database}") as warehouse:
        warehouse.load((folder / "given").resolve(), verdict="new")
    return database


def load_postgis(url: str, folder: Path) -> None:
    """A table of a PostgreSQL server: with proofs, index, statistics and comments."""
    from ods_pipeline.warehouse.opening import open_warehouse

    with open_warehouse(url) as warehouse:
        warehouse.load((folder / "given").resolve(), verdict="new")


def publish(url: str, folder: Path) -> None:
    """A finished file into a bucket: sent, over the version that is known and no other."""
    from ods_pipeline.lake.bucket import ObjectPath
    from ods_pipeline.lake.data_folder import data_folder

    root = data_folder(url)
    assert isinstance(root, ObjectPath)
    target, copy = root / "ours.parquet", folder / "copy"
    copy.hardlink_to(folder / "given")
    target.replace_with(copy, target.version())


def sync(url: str, folder: Path) -> Path:
    """`ods-pipeline sync` of a portal that is new to it."""
    return _sync(url, folder)


def sync_again(url: str, folder: Path) -> None:
    """`ods-pipeline sync` of what is landed and loaded."""
    _sync(url, (folder / "given").resolve())


def _land(url: str, folder: Path, lane: Extractor) -> Path:
    from ods_pipeline.lake.lake import Lake
    from ods_pipeline.portal.portal import Portal
    from ods_pipeline.sync.landing import land
    from ods_pipeline.sync.landing_request import LandingRequest

    portal = Portal(url)
    lake = Lake.of(folder, portal.slug)
    land(portal, LandingRequest(portal.dataset(DATASET), extractor=lane), lake)
    return lake.partition(lane.kind, DATASET)


def _sync(url: str, folder: Path) -> Path:
    """Run the command line in this process, which is what is being measured."""
    from ods_pipeline.cli.main import main

    sys.argv = ["ods-pipeline", "--portal", url, "--data-dir", str(folder), "sync"]
    # A StringIO does not let itself be reconfigured, as the command line does with its stdout.
    said = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    try:
        with contextlib.redirect_stdout(said):
            main()
    except SystemExit as end:
        if end.code:
            said.seek(0)
            last = said.read().strip().splitlines()[-2:]
            raise RuntimeError(f"exit status {end.code}: {' '.join(last)}") from None
    return folder / "warehouse.duckdb"
