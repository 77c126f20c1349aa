"""A dlt pipeline into a DuckDB file, with everything that it keeps in the folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def opened(folder: Path) -> tuple[Path, Any]:
    """The database and the pipeline into it."""
    import dlt

    database = folder / "out.duckdb"
    destination = dlt.destinations.duckdb(str(database))
    kept = {"pipelines_dir": str(folder / "dlt"), "dataset_name": "bench"}
    return database, dlt.pipeline("bench", destination=destination, **kept)
