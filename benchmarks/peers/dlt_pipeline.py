"""dlt pipelines, with everything that they keep in the folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def opened(folder: Path) -> tuple[Path, Any]:
    """A DuckDB file and the pipeline into it."""
    import dlt

    database = folder / "out.duckdb"
    return database, pipeline(folder, dlt.destinations.duckdb(str(database)), "bench")


def pipeline(folder: Path, destination: Any, schema: str) -> Any:
    """A pipeline into a schema of a destination."""
    import dlt

    kept = {"pipelines_dir": str(folder / "dlt"), "dataset_name": schema}
    return dlt.pipeline("bench", destination=destination, **kept)
