"""The tasks that are measured, the bounds promised for each, and the programs that do it.

To add a task or a peer, add it here, and its function to `ours` or `peers`. A program whose library
cannot be imported is reported as missing. Targets do not belong here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from benchmarks.peers.tables import PART

OURS = "ods_pipeline"


@dataclass(frozen=True)
class Program:
    """A program that does a task.

    Attributes:
        name: Its name in the tables.
        function: Module and name of a function of (url, folder) that may return what it made.
        uses: Distributions and programs whose versions are reported.
        environment: Which of `requirements` it runs in; empty for ours.
        command: A command to run instead of the function, found beside this interpreter.
        part: It gets one of so many parts of the rows, and is compared for that part.
        prepare: What makes what it starts from, in its own environment, in place of the task's.
    """

    name: str
    function: str = ""
    uses: tuple[str, ...] = ()
    environment: str = ""
    command: tuple[str, ...] = ()
    part: int = 1
    prepare: str = ""


@dataclass(frozen=True)
class Bound:
    """The most memory and requests that we promise to need; None where nothing is promised."""

    memory_mb: float | None = None
    requests: int | None = None


@dataclass(frozen=True)
class Task:
    """Something to be measured, done by several programs.

    Attributes:
        name: The value of `--only`.
        title: Text with `{size}` for the number of rows or datasets.
        portal: The kind that it is done on, see `portal.opened`.
        size: Rows or datasets of the portal.
        programs: The programs; ours is the first.
        once: Whether it is done a single time, because it is long.
        profile: How slow the portal is.
        prepare: A function like a program's, whose result each program finds as `given`.
        cut: Whether each program also gets replies that end half-way.
        series: The series of sizes that it is a point of, see `slopes`.
        takes: Whether each program gets a copy of what was prepared, since it writes into it.
        changes: Whether one of the portal's datasets changes after that.
    """

    name: str
    title: str
    portal: str
    size: int
    programs: tuple[Program, ...]
    bound: Bound = Bound()
    once: bool = False
    profile: str = "loopback"
    prepare: str = ""
    cut: bool = False
    series: str = ""
    takes: bool = False
    changes: bool = False

    @property
    def title_with_size(self) -> str:
        """The title with the size in it."""
        return self.title.format(size=f"{self.size:,}")

    @property
    def ours(self) -> Task:
        """The task without peers, as a point of a slope."""
        return replace(self, name="slope", programs=self.programs[:1], cut=False, once=True)


@dataclass(frozen=True)
class Sizes:
    """The sizes of all tasks; 0 leaves a task out.

    Attributes:
        rows: Rows of the exports, and of the partition that is loaded.
        large: Rows of one more export.
        points: Features of the GML with points.
        polygons: Features of the GML with polygons.
        datasets: Datasets of portals that are synced again.
        first: Datasets of the portal that is synced for the first time.
        slope: Rows of our own slopes.
        launched: Datasets of the portal that Dagster syncs.
        location: Datasets of a code location, of which one in eleven is an asset of its own.
        partitions: Datasets that are partitions in Dagster, with sensors.
        whole: Rows of an export that is landed and loaded.
    """

    rows: int = 1_000_000
    large: int = 10_000_000
    points: int = 500_000
    polygons: int = 100_000
    datasets: tuple[int, ...] = (100, 1_000, 10_000)
    first: int = 300
    slope: tuple[int, ...] = (10_000, 100_000, 1_000_000, 10_000_000)
    launched: int = 14
    location: int = 5_500
    partitions: int = 300
    whole: int = 5_000_000


QUICK = Sizes(50_000, 0, 10_000, 3_000, (10, 100), 24, (10_000, 100_000), 5, 55, 10, 50_000)
_EXPORT, _GML, _LOAD = Bound(memory_mb=250), Bound(memory_mb=300), Bound(memory_mb=300)
_GDAL, _REQUESTS = ("pyogrio", "GDAL"), ("requests",)
_CURL = Program("curl", "peers.download:curl_parquet", ("curl",))

PARQUET = (
    Program(OURS, "ours:land_parquet"),
    Program("pyarrow, streaming", "peers.exports:pyarrow_parquet", ("pyarrow",)),
    Program("pandas", "peers.exports:pandas_parquet", ("pandas",)),
    Program("DuckDB COPY", "peers.exports:duckdb_parquet", ("duckdb",)),
    _CURL,
)
CSV = (
    Program(OURS, "ours:land_csv"),
    Program("pyarrow, streaming", "peers.exports:pyarrow_csv", ("pyarrow",)),
    Program("pandas", "peers.exports:pandas_csv", ("pandas",)),
    Program("polars", "peers.exports:polars_csv", ("polars",), "polars"),
    Program("DuckDB COPY", "peers.exports:duckdb_csv", ("duckdb",)),
    replace(_CURL, function="peers.download:curl_csv"),
)
GML = (
    Program(OURS, "ours:land_gml"),
    Program("pyogrio read_arrow", "peers.features:pyogrio_gml", _GDAL),
    Program("GeoPandas", "peers.features:geopandas_gml", ("geopandas", *_GDAL)),
    Program("GDAL's WFS driver", "peers.features:gdal_wfs", _GDAL),
    Program("OWSLib, then GDAL", "peers.features:owslib_gml", ("owslib", "GDAL")),
    replace(_CURL, function="peers.download:curl_gml"),
)
# PostGIS is another task of this kind: a function that loads, and one for each peer.
TABLE = (
    Program(OURS, "ours:load"),
    Program("DuckDB CREATE TABLE AS", "peers.tables:duckdb_create", ("duckdb",)),
    Program("DuckDB INSERT", "peers.tables:duckdb_insert", ("duckdb",)),
    Program("dlt, Arrow", "peers.tables:dlt_arrow", ("dlt", "duckdb"), "dlt"),
    Program(
        f"pandas to_sql, 1/{PART} of the rows",
        "peers.tables:pandas_to_sql",
        ("pandas", "sqlalchemy", "duckdb-engine"),
        "to_sql",
        part=PART,
    ),
)
AGAIN = (
    Program(f"{OURS} sync", "ours:sync_again"),
    Program("dlt, the catalog in full", "peers.portals:dlt_catalog", ("dlt",), "dlt"),
    Program("N × GET (HEAD is refused)", "peers.portals:ask_each", _REQUESTS),
)
FIRST = (
    Program(f"{OURS} sync", "ours:sync"),
    Program("curl, 8 at a time", "peers.portals:curl_each", ("curl",)),
    Program("dlt, a resource each", "peers.portals:dlt_each", ("dlt",), "dlt"),
)
START = (
    Program("import ods_pipeline", command=("python", "-c", "import ods_pipeline")),
    Program("ods-pipeline --help", command=("ods-pipeline", "--help")),
    Program("import dagster", command=("python", "-c", "import dagster"), uses=("dagster",)),
    Program("python alone", command=("python", "-c", "pass")),
)
# The floor is Dagster's own cost: of the same command where there is nothing to do.
FLOOR, COMMAND_LINE, BY_JOB = "Dagster alone", f"{OURS} sync", f"{OURS}, by its job"
LAUNCH = (
    Program(OURS, "dagster_projects:launch", ("dagster",)),
    Program(FLOOR, "dagster_projects:launch_nothing", ("dagster",)),
    Program(COMMAND_LINE, "ours:sync"),
)
LAUNCH_AGAIN = (
    replace(LAUNCH[0], function="dagster_projects:launch_again"),
    LAUNCH[1],
    replace(LAUNCH[2], function="ours:sync_again"),
)
LIST = (
    Program(OURS, "dagster_projects:list_defs", ("dagster",)),
    Program(FLOOR, "dagster_projects:list_nothing", ("dagster",)),
)
LOCATION = (
    Program("definitions", "dagster_projects:load", ("dagster",)),
    Program("definitions, and a look at the catalog", "dagster_projects:look"),
    Program("definitions, and a tick of the automation", "dagster_projects:tick"),
)
DLT = "dagster-dlt"
_DLT = Program(DLT, "peers.in_dagster:first", ("dagster-dlt", "dlt"), "dagster_dlt")
SYNCED = (
    Program(OURS, "dagster_portal:first", ("dagster",)),
    Program(BY_JOB, "dagster_portal:first_by_job", ("dagster",)),
    Program(COMMAND_LINE, "ours:sync"),
    _DLT,
)
_DLT_AFTER = replace(_DLT, prepare="peers.in_dagster:prepared")
UNCHANGED = (
    Program(OURS, "dagster_portal:again", ("dagster",)),
    Program(COMMAND_LINE, "ours:sync_again"),
    replace(_DLT_AFTER, function="peers.in_dagster:again"),
)
CHANGED = (
    Program(OURS, "dagster_portal:change", ("dagster",)),
    Program(COMMAND_LINE, "ours:sync_again"),
    replace(_DLT_AFTER, function="peers.in_dagster:change"),
)
RUN = (
    Program(OURS, "dagster_portal:start", ("dagster",)),
    Program(FLOOR, "dagster_portal:start_nothing", ("dagster",)),
    replace(_DLT, function="peers.in_dagster:start"),
)
WHOLE = (Program(COMMAND_LINE, "ours:sync"),)
NAMES = (
    "parquet", "slow", "csv", "points", "polygons", "table", "whole", "again", "first", "start",
    "launch", "launch-again", "list", "location",
    "dagster-first", "dagster-again", "dagster-change", "dagster-run",
)  # fmt: skip
SLOPES = "slope"


def tasks(sizes: Sizes) -> list[Task]:
    """All tasks at these sizes, those of one portal one after the other."""
    found = [*_exports(sizes), *_features(sizes), *_portals(sizes), *_in_dagster(sizes)]
    kinds = list(dict.fromkeys((task.portal, task.size) for task in found))
    return sorted(
        (task for task in found if task.size), key=lambda t: kinds.index((t.portal, t.size))
    )


def _exports(sizes: Sizes) -> Iterator[Task]:
    for rows in dict.fromkeys((*sizes.slope, sizes.rows, sizes.large)):
        parquet = Task(
            "parquet", "Parquet export of {size} rows → Parquet file", "big", rows, PARQUET,
            _EXPORT, once=rows > sizes.rows, cut=True, series="Parquet export, rows",
        )  # fmt: skip
        csv = Task(
            "csv", "CSV export of {size} rows → Parquet file", "big", rows, CSV,
            _EXPORT, once=rows > sizes.rows, cut=True, series="CSV export, rows",
        )  # fmt: skip
        if rows == sizes.rows:
            slow = (PARQUET[0], _CURL)
            title = f"{parquet.title}, at 5 MB/s and 200 ms"
            yield parquet
            yield replace(
                parquet,
                name="slow",
                title=title,
                programs=slow,
                profile="portal",
                once=True,
                cut=False,
                series="",
            )
            yield csv
            yield _table(rows, TABLE)
        elif rows == sizes.large:
            yield from (parquet, replace(csv, programs=(CSV[0], CSV[4])))
            yield replace(_table(rows, TABLE[:3]), once=True)
        else:
            yield from (parquet.ours, csv.ours)
    title = "Export of {size} rows → Parquet file → DuckDB table"
    yield Task("whole", title, "big", sizes.whole, WHOLE, _LOAD, once=True)


def _table(rows: int, programs: tuple[Program, ...]) -> Task:
    title = "Partition of {size} rows → DuckDB table"
    return Task("table", title, "big", rows, programs, _LOAD, prepare="prepared_data:one_partition")


def _features(sizes: Sizes) -> Iterator[Task]:
    points = "WFS of {size} points → GeoParquet file"
    polygons = "WFS of {size} polygons, each with its point → GeoParquet file"
    task = Task("points", points, "points", sizes.points, GML, _GML, cut=True, series="WFS, points")
    yield task
    for size in sizes.slope:
        if size <= 1_000_000 and size != sizes.points:
            yield replace(task.ours, size=size)
    yield Task("polygons", polygons, "polygons", sizes.polygons, GML, _GML, cut=True)


def _portals(sizes: Sizes) -> Iterator[Task]:
    title = "Portal of {size} datasets again, unchanged"
    for size in dict.fromkeys((10, *sizes.datasets)):
        task = Task(
            "again", title, "many", size, AGAIN, Bound(requests=1),
            prepare="prepared_data:all_datasets", series="Unchanged sync, datasets",
        )  # fmt: skip
        yield task if size in sizes.datasets else task.ours
    title = "First sync of {size} datasets, at 5 MB/s and 200 ms"
    yield Task("first", title, "many", sizes.first, FIRST, once=True, profile="portal", cut=True)
    yield Task("start", "Start of a process", "many", 1, START)


def _in_dagster(sizes: Sizes) -> Iterator[Task]:
    size = sizes.launched
    title = "Dagster: `dg launch` of a sync of {size} datasets"
    yield Task("launch", f"{title}, the first", "many", size, LAUNCH)
    yield Task(
        "launch-again", f"{title}, unchanged", "many", size, LAUNCH_AGAIN,
        prepare="prepared_data:all_datasets",
    )  # fmt: skip
    yield Task("list", "Dagster: `dg list defs`", "many", size, LIST)
    own = "Dagster: a code location of {size} datasets, one in eleven an asset of its own"
    yield Task(
        "location", own, "many", sizes.location, LOCATION, prepare="dagster_projects:prepared"
    )
    yield from _partitioned(sizes.partitions)


def _partitioned(size: int) -> Iterator[Task]:
    """A portal whose datasets are partitions, as most have it."""
    slow, known = "at 5 MB/s and 200 ms", "dagster_portal:known"
    yield Task(
        "dagster-run", "Dagster: before the first line of a run, {size} datasets", "many", size, RUN
    )
    yield Task(
        "dagster-first", f"Dagster: first load of {{size}} datasets, {slow}", "many", size, SYNCED,
        once=True, profile="portal",
    )  # fmt: skip
    yield Task(
        "dagster-again", f"Dagster: {{size}} datasets, unchanged, {slow}", "many", size, UNCHANGED,
        Bound(requests=1), once=True, profile="portal", prepare=known, takes=True,
    )  # fmt: skip
    yield Task(
        "dagster-change", f"Dagster: one of {{size}} datasets changed, {slow}", "many", size,
        CHANGED, once=True, profile="portal", prepare=known, takes=True, changes=True,
    )  # fmt: skip
