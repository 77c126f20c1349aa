"""`ods-pipeline`: the commands, their options and their exit statuses.

Commands import what they need when they run, so that `--help` is instant. What is printed is
`report`'s work, what is done that of the modules below.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from typing import TYPE_CHECKING, Any, NoReturn

import click

from ods_pipeline.errors import OdsPipelineError

if TYPE_CHECKING:
    from ods_pipeline.places import Places
    from ods_pipeline.portal.portal import Portal
    from ods_pipeline.tables.lake import Lake

_INTERRUPTED = 130

_EPILOG = """\b
Settings can be given as options or in the environment:
  ODS_PORTAL      domain or URL of the portal; without it the sample portal is started
  ODS_DATA_DIR    folder of lake and warehouse (default: data)
  ODS_WAREHOUSE   duckdb:///PATH (default: warehouse.duckdb in the data folder)
\b
Exit status: 0 all good, 1 some datasets failed, 2 bad usage or configuration,
3 put off because the portal's request quota is spent.
"""


@dataclass(frozen=True)
class Job:
    """A portal that is being worked on and where its tables go."""

    portal: Portal
    lake: Lake
    places: Places


@click.group(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--portal", envvar="ODS_PORTAL", metavar="ADDRESS", help="Domain or URL of the portal."
)
@click.option("--data-dir", envvar="ODS_DATA_DIR", metavar="FOLDER", help="Lake and warehouse.")
@click.option("--warehouse", envvar="ODS_WAREHOUSE", metavar="URL", help="Where tables are loaded.")
@click.version_option(package_name="ods-pipeline")
@click.pass_context
def cli(
    context: click.Context, portal: str | None, data_dir: str | None, warehouse: str | None
) -> None:
    """Keep a warehouse in step with an Opendatasoft portal.

    Start with `ods-pipeline plan`, which fetches no data, then `ods-pipeline sync`.
    """
    from ods_pipeline.places import Places

    context.obj = Places.of(portal, data_dir, warehouse)


@contextlib.contextmanager
def _job(places: Places) -> Iterator[Job]:
    """The portal of the places, or the sample portal for as long as the command runs."""
    from ods_pipeline.portal.portal import Portal
    from ods_pipeline.tables.lake import Lake

    with contextlib.ExitStack() as stack:
        address = places.portal
        if not address:
            from ods_pipeline.sample_portal import sample_portal

            address = stack.enter_context(sample_portal())
        portal = Portal(address)
        yield Job(portal, Lake.of(places.data_dir, portal.slug), places)


_features = click.option(
    "--features", is_flag=True, help="Read geographic datasets through WFS as well."
)
_wfs_version = click.option(
    "--wfs-version",
    type=click.Choice(["1.1.0", "2.0.0"]),
    default="1.1.0",
    show_default=True,
    help="Version of WFS; 2.0.0 can split a layer that the portal gives in part.",
)
_axis_order = click.option(
    "--axis-order",
    type=click.Choice(["auto", "latlon", "lonlat"]),
    default="auto",
    show_default=True,
    help="Order of coordinates where the WFS leaves it open.",
)


@cli.command()
@click.argument("datasets", nargs=-1, metavar="[DATASET]...")
@click.option("--full", is_flag=True, help="Fetch everything, whatever is already landed.")
@click.option("--verify", is_flag=True, help="Fetch and compare with what is landed; land nothing.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["parquet", "csv"]),
    default="parquet",
    show_default=True,
    help="Export to read. Where Parquet joins lists inseparably, CSV is read anyway.",
)
@_features
@_wfs_version
@_axis_order
@click.option("--json", "as_json", is_flag=True, help="Print one JSON summary.")
@click.pass_obj
def sync(
    places: Places,
    datasets: tuple[str, ...],
    full: bool,
    verify: bool,
    format_: Any,
    features: bool,
    wfs_version: Any,
    axis_order: Any,
    as_json: bool,
) -> None:
    """Bring lake and warehouse up to date with the portal.

    Reads the catalog, decides which datasets have changed, fetches and proves those, and loads
    them. Without DATASET: all that hold records. With --features the geographic ones are read
    through WFS as well, into tables of their own.
    """
    import pyarrow as pa

    from ods_pipeline import report
    from ods_pipeline.outcome import exit_status
    from ods_pipeline.sync import Options, Run
    from ods_pipeline.warehouse.base import open_warehouse

    if full and verify:
        raise click.UsageError("--full lands everything and --verify nothing; choose one")
    if not features and (wfs_version, axis_order) != ("1.1.0", "auto"):
        raise click.UsageError("--wfs-version and --axis-order say how: add --features")
    # The C library's allocator gives memory back that Arrow's own keeps: about 60 MB less at peak.
    pa.set_memory_pool(pa.system_memory_pool())
    started = time.monotonic()
    with report.errors_as_json(as_json), _job(places) as job:
        job.lake.spool()
        opened = contextlib.nullcontext() if verify else open_warehouse(places.warehouse)
        with opened as warehouse, report.progress() as watcher:
            options = Options(full, verify, format_, features, wfs_version, axis_order)
            outcomes = Run(job.portal, job.lake, warehouse, options, watcher)(datasets)
        summary = report.Summary(
            job.portal.client.address.base,
            outcomes,
            job.portal.client.requests_made,
            time.monotonic() - started,
            job.portal.client.quota,
        )
        report.show_sync(summary, places.warehouse, as_json=as_json)
    raise SystemExit(exit_status(outcomes))


@cli.command()
@click.argument("datasets", nargs=-1, metavar="[DATASET]...")
@_features
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.pass_obj
def plan(places: Places, datasets: tuple[str, ...], features: bool, as_json: bool) -> None:
    """Say what sync would do for each dataset, and why.

    Costs one request to the catalog and fetches no data.
    """
    from ods_pipeline import report
    from ods_pipeline.lane import FEATURES, RECORDS
    from ods_pipeline.planning import plan as planned

    with report.errors_as_json(as_json), _job(places) as job:
        known = job.portal.datasets()
        steps = [
            step
            for lane in ((RECORDS, FEATURES) if features else (RECORDS,))
            for step in planned(known, job.lake.receipts(lane.kind), datasets, lane=lane)
        ]
        report.show_plan(steps, job.portal.client.requests_made, as_json=as_json)
    raise SystemExit(any(step.verdict.kind == "unknown" for step in steps))


@cli.command()
@click.option("--where", metavar="ODSQL", help="Filter, such as \"publisher = 'SNCF'\".")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.pass_obj
def catalog(places: Places, where: str | None, as_json: bool) -> None:
    """List the portal's datasets."""
    from ods_pipeline import report

    with report.errors_as_json(as_json), _job(places) as job:
        report.show_catalog(job.portal.datasets(where), as_json=as_json)


@cli.command()
@click.argument("datasets", nargs=-1, metavar="[DATASET]...")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.pass_obj
def verify(places: Places, datasets: tuple[str, ...], as_json: bool) -> None:
    """Prove landed partitions again from their files alone: digests, counts, schema.

    Asks no portal. Without ODS_PORTAL the partitions of all portals in the data folder are read.
    """
    from ods_pipeline import report
    from ods_pipeline.audit import audited

    with report.errors_as_json(as_json):
        audits = audited(places, datasets)
        report.show_audits(audits, as_json=as_json)
    raise SystemExit(any(audit.problem for audit in audits))


@cli.command()
@click.pass_obj
def doctor(places: Places) -> None:
    """Check portal, quota, lake and warehouse; each line says ok or what to do."""
    from ods_pipeline.doctor import examine

    with _job(places) as job:
        findings = list(examine(job.portal, job.lake, places.warehouse))
    for finding in findings:
        click.echo(f"{'ok ' if finding.good else 'BAD'}  {finding.subject}: {finding.text}")
    raise SystemExit(not all(finding.good for finding in findings))


@cli.command()
@click.option("--port", default=8765, show_default=True, help="Port on 127.0.0.1.")
def emulator(port: int) -> None:
    """Serve the sample portal on this machine until interrupted."""
    from ods_pipeline.emulator import serve

    try:
        serve(port)
    except OSError as error:
        raise click.UsageError(
            f"port {port} cannot be used ({error.strerror}); choose another"
        ) from error


class _WithoutPandas(MetaPathFinder):
    """Keeps pandas out of the process: no command uses it.

    pyarrow imports it with the first scalar that it makes, where it can: 50 MB and 0.4 s.
    """

    def find_spec(self, fullname: str, *_: object) -> None:
        """Refuse pandas, leave everything else to the finders behind this one."""
        if fullname == "pandas":
            raise ImportError("the command line does without pandas")


def main() -> NoReturn:
    """Run the command line; what a user can cause ends in one sentence and an exit status."""
    sys.meta_path.insert(0, _WithoutPandas())
    # A terminal that cannot show a title in Japanese shows its code points.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    # Or connections that a failure's traceback still holds are reported as leaks on stderr.
    atexit.register(gc.collect)
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except OdsPipelineError as error:
        click.echo(f"ods-pipeline: {error}", err=True)
        sys.exit(error.exit_status)
    except (KeyboardInterrupt, click.Abort):
        _interrupted()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(0)


def _interrupted() -> NoReturn:
    from ods_pipeline.tables.lake import discard_unfinished

    discard_unfinished()
    click.echo("\nods-pipeline: interrupted; what is landed is whole, run again to go on", err=True)
    sys.stderr.flush()
    # Threads may be waiting for a portal that is silent for minutes; nothing of theirs is kept.
    os._exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
