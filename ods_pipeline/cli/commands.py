"""The commands that read a portal and what is landed of it: options, calls, exit statuses.

Each imports what it needs when it runs, so that `--help` is instant. What is done for a dataset
belongs to `sync`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ods_pipeline.cli import everywhere, log
from ods_pipeline.cli.options import Number, rule_options, selection_options, was_given
from ods_pipeline.cli.target import Target, Targets
from ods_pipeline.errors import NoEndpoint, OdsPipelineError

if TYPE_CHECKING:
    from ods_pipeline.cli import report
    from ods_pipeline.lake.holds import PartitionKey
    from ods_pipeline.lake.lake import Lake
    from ods_pipeline.portal.auth import ApiKey, OAuth2
    from ods_pipeline.portal.portal import Portal
    from ods_pipeline.sync.options import Mode, Options
    from ods_pipeline.sync.plan import Planned
    from ods_pipeline.sync.selection import Selection
    from ods_pipeline.warehouse.names import TableNames
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
def open_session(target: Target) -> Iterator[Session]:
    """The portal that was named, or the sample portal for as long as the command runs."""
    from ods_pipeline.lake.lake import Lake
    from ods_pipeline.portal.http.address import Address
    from ods_pipeline.portal.portal import Portal
    from ods_pipeline.state.database import shared

    target.require_usable()
    with contextlib.ExitStack() as stack:
        if not target.sample:
            address = Address.parse(target.portal)
            credentials = target.access.credentials(address, target.data_dir, target.state)
        else:
            from ods_pipeline.cli.sample_portal import sample_portal

            serving = stack.enter_context(
                sample_portal(named=bool(target.portal), withheld=target.access.given)
            )
            address, credentials = Address.parse(serving), None
        # The sample portal is of this host alone.
        state = "" if target.sample else target.state
        portal = Portal(address.base, credentials, state=state)
        lake = Lake.of(target.data_dir, portal.slug, shared(state))
        session = Session(portal, credentials, lake, target)
        try:
            yield session
        except NoEndpoint as error:
            from ods_pipeline.portal.catalog.dialects import recognised

            # A portal of another API has nothing of what any command asks for.
            raise (recognised(portal.client) or error) from error


def _open_waiting(warehouse: str, names: TableNames, seconds: float) -> Warehouse:
    """The warehouse, opened; a wait for another process is announced."""
    from ods_pipeline.errors import WarehouseLocked
    from ods_pipeline.warehouse.opening import open_warehouse

    try:
        return open_warehouse(warehouse, names=names)
    except WarehouseLocked as error:
        if not seconds:
            raise
        log.warning(f"{error}; waiting up to {seconds:g} s")
    return open_warehouse(warehouse, max_wait=seconds, names=names)


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


@everywhere.command
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
    type=Number(min=0),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="Wait so long for a warehouse that another process is writing to.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON summary.")
@click.pass_obj
def sync(
    targets: Targets,
    /,
    selection: Callable[[Selection], Selection],
    full: bool,
    verify: bool,
    wait: float,
    as_json: bool,
    **how: Any,
) -> None:
    """Bring lake and warehouse up to date with the portal.

    Reads the catalog, decides which datasets have changed, fetches and proves those, and loads
    them. DATASET is an identifier or a pattern such as 'velib-*'; without it: what the
    configuration file names, else all that hold records. With --features the geographic ones are
    read through WFS as well, into tables of their own. --exclude and --where choose datasets,
    --rows and --select what is read of each. All portals of a configuration file are done in turn.

    What cannot be proven is not landed: the old rows stay, and the summary says why.
    """
    from ods_pipeline.cli import process, report
    from ods_pipeline.sync.options import Mode
    from ods_pipeline.sync.outcome import exit_status
    from ods_pipeline.sync.selection import EVERYTHING

    if full and verify:
        raise click.UsageError("--full lands everything and --verify nothing; choose one")
    configured = any(target.options.features for target in targets.all)
    said_how = was_given("wfs_version") or was_given("axis_order")
    if said_how and not (how["features"] or configured):
        raise click.UsageError("--wfs-version and --axis-order say how: add --features")
    process.prepare_to_load()
    mode = Mode.full if full else Mode.verify if verify else Mode.incremental

    def synced(target: Target) -> report.Summary:
        options = _options(target, mode, how)
        return _synced(target, options, selection(target.selection), wait, quiet=targets.quiet)

    statuses = []
    with report.summaries(len(targets.all), as_json=as_json, quiet=targets.quiet) as shown:
        for summary, failure in _for_each(targets, synced, selection(EVERYTHING)):
            shown(summary, failure, targets.all[0].warehouse)
            statuses.append(
                failure.exit_status if failure else exit_status(summary.outcomes if summary else [])
            )
    raise SystemExit(_status_of_all(statuses))


def _synced(
    target: Target, options: Options, selection: Selection, wait: float, *, quiet: bool
) -> report.Summary:
    import functools

    from ods_pipeline.cli import progress, report
    from ods_pipeline.sync.options import RunContext
    from ods_pipeline.sync.run import Run
    from ods_pipeline.warehouse.opening import exists, last_look

    started = time.monotonic()
    # A comparison loads nothing, so it may name no warehouse at all.
    if not options.verifies:
        exists(target.warehouse)  # It refuses a URL that names none before anything is fetched.
    with open_session(target) as session:
        session.lake.require_folder()
        context = RunContext(session.portal, session.lake, options)
        base = session.portal.client.address.base
        with progress.progress(base, quiet=quiet) as watcher:
            opened = functools.partial(_open_waiting, target.warehouse, options.names, wait)
            look = None
            if not options.verifies:
                look = last_look(target.warehouse, session.lake, options.names)
            outcomes = Run(context, opened, watcher, look)(selection)
        return report.Summary(
            base,
            outcomes,
            session.portal.client.requests_made,
            time.monotonic() - started,
            session.portal.client.quota,
            target.name,
        )


def _options(target: Target, mode: Mode, how: Mapping[str, Any]) -> Options:
    """How a run is made: what the command line says goes before what is configured."""
    from ods_pipeline.sync.selection import EVERYTHING

    configured = target.options
    given = {name: how[name] for name in ("format", "wfs_version", "axis_order") if name in how}
    wanted = {name: value for name, value in given.items() if was_given(name)}
    features = how["features"] or configured.features
    if how["features"]:  # Of all that is chosen, whatever is configured.
        wanted["layers"] = EVERYTHING
    rules = how["rules"](configured.rules)
    wanted |= {"mode": mode, "features": features, "accept": how["accept"], "rules": rules}
    return replace(configured, **wanted)


_T = TypeVar("_T")


def _for_each(
    targets: Targets, step: Callable[[Target], _T], selection: Selection
) -> Iterator[tuple[_T | None, OdsPipelineError | None]]:
    """Do something for each portal; among several, one that fails does not stop the others.

    Raises:
        ConfigurationError: Datasets are asked for by name, and there are several portals.
    """
    if selection.typed:
        targets = Targets((targets.one,))
    for target in targets.all:
        try:
            yield step(target), None
        except OdsPipelineError as error:
            if len(targets.all) == 1:
                raise
            log.error(f"{target.name}: {error}", portal=target.name)
            yield None, error


def _status_of_all(statuses: Sequence[int]) -> int:
    """The exit status of several portals: 1 where some failed, theirs where all ended alike."""
    return statuses[0] if len(set(statuses)) == 1 else 1 if {1, 2} & {*statuses} else 3


@everywhere.command
@selection_options
@_features
@rule_options
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.pass_obj
def plan(
    targets: Targets,
    /,
    selection: Callable[[Selection], Selection],
    as_json: bool,
    **how: Any,
) -> None:
    """Say what sync would do for each dataset, and why.

    Costs one request to each catalog, and one more for a filter of it; fetches no data.
    """
    from ods_pipeline.cli import report
    from ods_pipeline.sync.options import Mode, RunContext
    from ods_pipeline.sync.planner import preview
    from ods_pipeline.sync.selection import EVERYTHING

    def planned(target: Target) -> report.ShownPlan:
        options = _options(target, Mode.incremental, how)
        with open_session(target) as session:
            context = RunContext(session.portal, session.lake, options)
            steps = preview(context, selection(target.selection)).steps
            requests = session.portal.client.requests_made
            waiting = _unloaded(target, options, session.lake, steps)
            return report.ShownPlan(steps, requests, target.name, unloaded=waiting)

    statuses = []
    with report.errors_as_json(as_json):
        plans = []
        each = _for_each(targets, planned, selection(EVERYTHING))
        for target, (shown, failure) in zip(targets.all, each, strict=False):
            failed = report.ShownPlan(name=target.name, problem=str(failure))
            plans.append(shown or failed)
            unknown = shown and any(step.verdict.kind == "unknown" for step in shown.steps)
            statuses.append(failure.exit_status if failure else int(bool(unknown)))
        report.show_plans(plans, as_json=as_json)
    raise SystemExit(_status_of_all(statuses))


def _unloaded(
    target: Target, options: Options, lake: Lake, steps: Sequence[Planned]
) -> frozenset[PartitionKey] | None:
    """What is landed and not loaded; None where a run is loading at this moment.

    Raises:
        WarehouseError: The warehouse cannot be asked, so `sync` would fail.
    """
    import functools

    from ods_pipeline.errors import WarehouseLocked
    from ods_pipeline.sync.loading import unloaded
    from ods_pipeline.warehouse.opening import exists, open_warehouse

    if not exists(target.warehouse):
        return frozenset(step.partition for step in steps if step.landed)
    opened = functools.partial(open_warehouse, target.warehouse, names=options.names)
    try:
        return unloaded(opened, lake, options.names, steps)
    except WarehouseLocked:  # By a run that is loading: a plan is not worth waiting.
        return None


@everywhere.command
@click.argument("datasets", nargs=-1, metavar="[DATASET]...")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.pass_obj
def verify(targets: Targets, datasets: tuple[str, ...], as_json: bool) -> None:
    """Prove landed partitions again from their files alone: digests, counts, schema.

    Asks no portal. Without ODS_PORTAL the partitions of all portals in the data folder are read.
    """
    from ods_pipeline.cli import report
    from ods_pipeline.lake.verify import audited
    from ods_pipeline.portal.http.address import Address

    with report.errors_as_json(as_json):
        first, *others = targets.all
        slug = "" if others or first.sample else Address.parse(first.portal).slug
        audits = audited(first.data_dir / "lake", slug, datasets)
        report.show_audits(audits, as_json=as_json, quiet=targets.quiet)
    raise SystemExit(any(audit.problem for audit in audits))


@everywhere.command
@click.pass_obj
def doctor(targets: Targets) -> None:
    """Check all that a run needs, from portal to shared state; each says ok or what to do."""
    from ods_pipeline.cli import report
    from ods_pipeline.cli.doctor import examine

    target = targets.one
    with open_session(target) as session:
        findings = list(
            examine(
                session.portal,
                session.credentials,
                session.lake,
                target.warehouse,
                target.options.names,
            )
        )
    report.show_findings(findings, quiet=targets.quiet)
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
