"""What ods_pipeline does in each task, called as its users call it."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path

from benchmarks.portal import DATASET


def land_parquet(url: str, folder: Path) -> Path:
    """A proven partition from the Parquet export."""
    return _land(url, folder, "parquet")


def land_csv(url: str, folder: Path) -> Path:
    """A proven partition from the CSV export."""
    return _land(url, folder, "csv")


def sync_parquet(url: str, folder: Path) -> Path:
    """`ods-pipeline sync`: proven partition and warehouse table, from Parquet."""
    return _command(url, folder, "sync")


def sync_csv(url: str, folder: Path) -> Path:
    """The same from CSV."""
    return _command(url, folder, "sync", "--format", "csv")


def _land(url: str, folder: Path, format: str) -> Path:
    from ods_pipeline.landing import land
    from ods_pipeline.lane import Lane
    from ods_pipeline.portal.portal import Portal
    from ods_pipeline.tables.lake import Lake

    portal = Portal(url)
    lake = Lake.of(folder, portal.slug)
    lane = Lane(format="csv" if format == "csv" else "parquet")
    land(portal, portal.dataset(DATASET), lake, lane=lane)
    return lake.partition("records", DATASET)


def _command(url: str, folder: Path, *arguments: str) -> Path:
    """Run the command line in this process, which is what is being measured."""
    from ods_pipeline.cli import main

    sys.argv = ["ods-pipeline", "--portal", url, "--data-dir", str(folder), *arguments]
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            main()
    except SystemExit as end:
        if end.code:
            last = said.getvalue().strip().splitlines()[-2:]
            raise RuntimeError(f"exit status {end.code}: {' '.join(last)}") from None
    return folder / "warehouse.duckdb"
