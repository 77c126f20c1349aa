"""The commands that read a portal and what is landed of it: options, calls, exit statuses.

Each imports what it needs when it runs, so that `--help` is instant. What is done for a dataset
belongs to `sync`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from ods_pipeline.cli.options import rule_options, selection_options
from ods_pipeline.cli.target import Target

if TYPE_CHECKING:
    from ods_pipeline.lake.lake import Lake
    from ods_pipeline.portal.auth import ApiKey, OAuth2
    from ods_pipeline.portal.portal import Portal
    from ods_pipeline.sync.rules import Rules
    from ods_pipeline.sync.selection import Selection
    from ods_pipeline.warehouse.protocol import Warehouse


class Terminated(KeyboardInterrupt):
    """A service manager asked this process to end (SIGTERM)."""


def status_of(stop: BaseException | None) -> int:
    """The exit status of a command that was asked to end, as shells have it."""
    return 143 if isinstance(stop, Terminated) else 130


@dataclass(frozen=True)
class Session:
    """A portal that a command works on, and where its data go."""

    portal: Portal
    credentials: ApiKey | OAuth2 | None
    lake: Lake
    target: Target


@contextlib.contextmanager
def _session(target: Target) -> Iterator[Session]:
    """The portal that was named, or the sample portal for as long as the command runs."""
    from ods_pipeline.lake.lake import Lake
    from ods_pipeline.portal.http.address import Address
    from ods_pipeline.portal.portal import Portal

    with contextlib.ExitStack() as stack:
        if not target.sample:
            address = Address.parse(target.portal)
            credentials = target.access.credentials(address, target.data_dir)
        else:
            from ods_pipeline.cli.sample_portal import sample_portal

            serving = stack.enter_context(
                sample_portal(named=bool(target.portal), withheld=target.access.given)
            )
            address, credentials = Address.parse(serving), None
        portal = Portal(address.base, credentials)
        yield Session(portal, credentials, Lake.of(target.data_dir, portal.slug), target)


def _open_waiting(warehouse: str, seconds: float) -> Warehouse:
    """The warehouse, opened; a wait for another process is announced."""
    from ods_pipeline.errors import WarehouseLocked
    from ods_pipeline.warehouse.opening import open_warehouse

    try:
        return open_warehouse(warehouse)
    except WarehouseLocked as error:
        if not seconds:
            raise
        click.echo(f"ods-pipeline: {error}; waiting up to {seconds:g} s", err=True)
    return open_warehouse(warehouse, max_wait=seconds)


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


@click.command()
@selection_options
@click.option("--full", is_flag=True, help="Fetch everything, whatever is already landed.")
@click.option("--verify", is_flag=True, help="Fetch and compare with what is landed; land nothing.")
@click.option(
    "--format",
    type=click.Choice(["parquet", "csv"]),
    default="parquet",
    show_default=True,
    help="Export to read. Where Parquet joins lists inseparably, CSV is read anyway.",
)
@_features
@_wfs_version
@_axis_order
@rule_options
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="Wait so long for a warehouse that another process is writing to.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON summary.")
@click.pass_obj
def sync(
    target: Target,
    /,
    selection: Selection,
    full: bool,
    verify: bool,
    wait: float,
    as_json: bool,
    **how: Any,
) -> None:
    """Bring lake and warehouse up to date with the portal.

    Reads the catalog, decides which datasets have changed, fetches and proves those, and loads
    them. DATASET is an identifier or a pattern such as 'velib-*'; without it: all that hold
    records. With --features the geographic ones are read through WFS as well, into tables of their
    own. --exclude and --where choose datasets, --rows and --select what is read of each.

    What cannot be proven is not landed: the old rows stay, and the summary says why.
    """
    import functools

    from ods_pipeline.cli import process, report
    from ods_pipeline.sync.options import Mode, Options, RunContext
    from ods_pipeline.sync.outcome import exit_status
    from ods_pipeline.sync.run import Run

    if full and verify:
        raise click.UsageError("--full lands everything and --verify nothing; choose one")
    if not how["features"] and (how["wfs_version"], how["axis_order"]) != ("1.1.0", "auto"):
        raise click.UsageError("--wfs-version and --axis-order say how: add --features")
    process.prepare_to_load()
    started = time.monotonic()
    with report.errors_as_json(as_json), _session(target) as session:
        session.lake.staging_dir()
        mode = Mode.full if full else Mode.verify if verify else Mode.incremental
        context = RunContext(session.portal, session.lake, Options(mode, **how))
        with report.progress() as watcher:
            opened = functools.partial(_open_waiting, target.warehouse, wait)
            outcomes = Run(context, opened, watcher)(selection)
        summary = report.Summary(
            session.portal.client.address.base,
            outcomes,
            session.portal.client.requests_made,
            time.monotonic() - started,
            session.portal.client.quota,
        )
        report.show_sync(summary, target.warehouse, as_json=as_json)
    raise SystemExit(exit_status(outcomes))


@click.command()
@selection_options
@_features
@rule_options
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.pass_obj
def plan(
    target: Target,
    selection: Selection,
    features: bool,
    accept: bool,
    rules: Rules,
    as_json: bool,
) -> None:
    """Say what sync would do for each dataset, and why.

    Costs one request to the catalog and fetches no data.
    """
    from ods_pipeline.cli import report
    from ods_pipeline.sync.options import Options, RunContext
    from ods_pipeline.sync.planner import preview

    with report.errors_as_json(as_json), _session(target) as session:
        options = Options(features=features, accept=accept, rules=rules)
        steps = preview(RunContext(session.portal, session.lake, options), selection).steps
        report.show_plan(steps, session.portal.client.requests_made, as_json=as_json)
    raise SystemExit(any(step.verdict.kind == "unknown" for step in steps))


@click.command()
@click.option("--where", metavar="ODSQL", help="Filter, such as \"publisher = 'SNCF'\".")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.pass_obj
def catalog(target: Target, where: str | None, as_json: bool) -> None:
    """List the portal's datasets."""
    from ods_pipeline.cli import report

    with report.errors_as_json(as_json), _session(target) as session:
        report.show_catalog(session.portal.datasets(where), as_json=as_json)


@click.command()
@click.argument("datasets", nargs=-1, metavar="[DATASET]...")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.pass_obj
def verify(target: Target, datasets: tuple[str, ...], as_json: bool) -> None:
    """Prove landed partitions again from their files alone: digests, counts, schema.

    Asks no portal. Without ODS_PORTAL the partitions of all portals in the data folder are read.
    """
    from ods_pipeline.cli import report
    from ods_pipeline.lake.verify import audited
    from ods_pipeline.portal.http.address import Address

    with report.errors_as_json(as_json):
        portal = Address.parse(target.portal).slug if target.portal else ""
        audits = audited(target.data_dir / "lake", portal, datasets)
        report.show_audits(audits, as_json=as_json)
    raise SystemExit(any(audit.problem for audit in audits))


@click.command()
@click.pass_obj
def doctor(target: Target) -> None:
    """Check portal, quota, credentials, lake and warehouse; each line says ok or what to do."""
    from ods_pipeline.cli.doctor import examine

    with _session(target) as session:
        findings = list(
            examine(session.portal, session.credentials, session.lake, target.warehouse)
        )
    for finding in findings:
        click.echo(f"{'ok ' if finding.good else 'BAD'}  {finding.subject}: {finding.text}")
    raise SystemExit(not all(finding.good for finding in findings))


@click.command()
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
