"""What is measured: each task, the bounds that we promise for it, and who does it.

To add a task or a peer, add it here and its function to `ours` or `peers`. A program whose library
cannot be imported is told as missing.
"""

from __future__ import annotations

from dataclasses import dataclass

OURS = "ods_pipeline"


@dataclass(frozen=True)
class Program:
    """Somebody who does a task.

    Attributes:
        name: As the table shows it.
        function: Module and name of a function of (url, folder) that may return what it made.
    """

    name: str
    function: str


@dataclass(frozen=True)
class Bound:
    """The most that we may take; None where nothing is promised."""

    memory_mb: float | None = None
    cpu_s: float | None = None
    requests: int | None = None


@dataclass(frozen=True)
class Task:
    """One thing that is done by several.

    Attributes:
        portal: `big`, `many`, `points` or `polygons`.
        title: With `{size}` for the number of rows or datasets.
        size: The option of the command line that says how large.
        programs: Ours first.
        once: Done a single time, because it is long, or because the next needs what it leaves.
        folder: Tasks of the same folder find what the one before left; others begin empty.
    """

    name: str
    portal: str
    title: str
    size: str
    programs: tuple[Program, ...]
    bound: Bound = Bound()
    once: bool = False
    folder: str = ""


_PLAIN = "download alone"
_SMALL = Bound(memory_mb=300)
_GML = (
    Program(OURS, "ours:land_gml"),
    Program("pyogrio read_arrow", "peers:pyogrio_gml"),
    Program("pyogrio, without a schema", "peers:pyogrio_gml_alone"),
    Program("GeoPandas", "peers:geopandas_gml"),
)

TASKS = (
    Task(
        "parquet",
        "big",
        "Parquet export of {size} rows to a Parquet file",
        "rows",
        (
            Program(OURS, "ours:land_parquet"),
            Program("pyarrow, streaming", "peers:pyarrow_parquet"),
            Program("pandas", "peers:pandas_parquet"),
            Program("DuckDB COPY", "peers:duckdb_parquet"),
            Program(_PLAIN, "peers:download_parquet"),
        ),
    ),
    Task(
        "csv",
        "big",
        "CSV export of {size} rows to a Parquet file",
        "rows",
        (
            Program(OURS, "ours:land_csv"),
            Program("pandas", "peers:pandas_csv"),
            Program("DuckDB COPY", "peers:duckdb_csv"),
            Program(_PLAIN, "peers:download_csv"),
        ),
    ),
    Task(
        "gml-points",
        "points",
        "GML of {size} points to a GeoParquet file",
        "points",
        _GML,
        _SMALL,
    ),
    Task(
        "gml-polygons",
        "polygons",
        "GML of {size} polygons, each with its point, to a GeoParquet file",
        "polygons",
        _GML,
        _SMALL,
    ),
    Task(
        "sync-parquet",
        "big",
        "Parquet export of {size} rows to a warehouse table",
        "sync_rows",
        (
            Program(f"{OURS} sync", "ours:sync_parquet"),
            Program("DuckDB table", "peers:duckdb_table_parquet"),
        ),
        _SMALL,
        once=True,
    ),
    Task(
        "sync-csv",
        "big",
        "CSV export of {size} rows to a warehouse table",
        "sync_rows",
        (
            Program(f"{OURS} sync", "ours:sync_csv"),
            Program("DuckDB table", "peers:duckdb_table_csv"),
        ),
        _SMALL,
        once=True,
    ),
    Task(
        "first",
        "many",
        "First load of a portal of {size} datasets",
        "datasets",
        (
            Program(f"{OURS} sync", "ours:sync_parquet"),
            Program("a loop of pandas and DuckDB", "peers:load_each"),
        ),
        once=True,
        folder="many",
    ),
    Task(
        "unchanged",
        "many",
        "The same portal of {size} datasets again, unchanged",
        "datasets",
        (
            Program(f"{OURS} sync", "ours:sync_parquet"),
            Program("a loop that asks for each dataset", "peers:ask_each"),
        ),
        Bound(requests=1, cpu_s=5),
        folder="many",
    ),
)
