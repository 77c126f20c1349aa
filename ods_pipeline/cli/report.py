"""What the command line prints: tables for people on stdout, JSON for programs, progress on stderr.

Nothing is decided or fetched here.
"""

from __future__ import annotations

import contextlib
import shlex
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from ods_pipeline.cli.layout import (
    LISTED,
    Column,
    Listing,
    endless,
    number_of,
    print_below,
    print_json,
    size_of,
    stdout,
)
from ods_pipeline.errors import OdsPipelineError
from ods_pipeline.sync.outcome import (
    Outcome,
    can_be_accepted,
    display_name,
    exit_status,
    needs_attention,
)
from ods_pipeline.warehouse.opening import public_url

if TYPE_CHECKING:
    from ods_pipeline.cli.doctor import Finding
    from ods_pipeline.dataset import Dataset
    from ods_pipeline.lake.holds import PartitionKey
    from ods_pipeline.lake.verify import Audit
    from ods_pipeline.portal.http.sender import Quota
    from ods_pipeline.sync.plan import Planned

_FOLDED = {"unchanged", "skipped"}


@dataclass(frozen=True)
class Summary:
    """A run, for printing.

    Attributes:
        portal: Base URL.
        requests: Sent in all.
        seconds: Wall time of the run.
        quota: The portal's request quota as last stated.
        name: The portal's name in the configuration file; empty where it is not from one.
    """

    portal: str
    outcomes: Sequence[Outcome]
    requests: int
    seconds: float
    quota: Quota | None
    name: str = ""


@dataclass(frozen=True)
class ShownPlan:
    """The plan of a portal, for printing.

    Attributes:
        requests: What it took to make it.
        name: The portal's name in the configuration file; empty where it is not from one.
        problem: Why there is no plan.
        unloaded: What is landed and not loaded as it is landed; None where that is not known.
    """

    steps: Sequence[Planned] = ()
    requests: int = 0
    name: str = ""
    problem: str = ""
    unloaded: Collection[PartitionKey] | None = ()


Shown = Callable[[Summary | None, OdsPipelineError | None, str], None]


@contextlib.contextmanager
def summaries(count: int, *, as_json: bool, quiet: bool) -> Iterator[Shown]:
    """Print what runs came to: each at its end, or as JSON all together.

    Args:
        count: Portals that are run over; one is no list in JSON.
        as_json: Whether to print JSON.
        quiet: Whether to print only what somebody has to look at.

    Yields:
        What takes each portal's summary, or its error, and the warehouse.
    """
    collected: list[dict[str, object]] = []

    def shown(summary: Summary | None, failure: OdsPipelineError | None, warehouse: str) -> None:
        if failure:
            collected.append({"error": str(failure), "exit_status": failure.exit_status})
        elif summary and as_json:
            collected.append(_as_dict(summary))
        elif summary:
            show_sync(summary, warehouse, quiet=quiet)

    with errors_as_json(as_json):
        yield shown
        if as_json:
            print_json(collected[0] if count == 1 else {"portals": collected})


def show_sync(summary: Summary, warehouse: str, *, quiet: bool = False) -> None:
    """Print what a run came to; with `quiet` only what somebody has to look at."""
    console = stdout()
    every = endless(console) and len(summary.outcomes) <= LISTED
    folded: list[Outcome] = []
    listed: list[Outcome] = []
    for outcome in summary.outcomes:
        quietly = outcome.action in _FOLDED and not outcome.note and not every
        (folded if quietly else listed).append(outcome)
    if not quiet:
        _outcomes(console, listed)
    for outcome in listed:  # What is folded needs nobody, and has nothing more to say.
        if needs_attention(outcome) or not quiet:
            _say_more(console, outcome, summary.name, whole=quiet or not endless(console))
    if not quiet:
        console.print(Text(_totals(summary, folded)))
        console.print(Text(f"warehouse: {public_url(warehouse)}"))


def _outcomes(console: Console, outcomes: Sequence[Outcome]) -> None:
    table = Listing(
        console,
        Column("dataset", "name"),
        Column("verdict"),
        Column("outcome"),
        Column("rows", "number"),
        Column("bytes", "number", 72),
        Column("seconds", "number", 90),
        Column("requests", "number", 100),
        Column("why", "title", 120),
    )
    for item in outcomes:
        below = needs_attention(item) and not endless(console)
        table.add(
            item.name,
            item.verdict,
            item.action,
            f"{item.rows:,}",
            size_of(item.bytes),
            f"{item.seconds:.1f}",
            str(item.requests),
            "" if below else item.reason,
        )
    table.print()


def _say_more(console: Console, outcome: Outcome, portal: str, *, whole: bool) -> None:
    """Print below a table what it has no room for; the reason too, unless the table has it."""
    urgent = needs_attention(outcome)
    lines = (
        outcome.reason.removeprefix(f"{outcome.dataset_id}: ") if whole and urgent else "",
        outcome.change and f"columns: {outcome.change}",
        outcome.note,
        _way_on(outcome, portal),
    )
    if any(lines):
        print_below(console, outcome.name, outcome.action, *lines)


def _way_on(outcome: Outcome, portal: str) -> str:
    """What a person can do about a hold."""
    if can_be_accepted(outcome):
        return f"to accept it, {accepting(outcome, portal)}"
    views = ", ".join(outcome.views)
    return f"drop {views}, run sync, and make them again" if views else ""


def _totals(summary: Summary, quiet: Sequence[Outcome]) -> str:
    counts = Counter(outcome.action for outcome in summary.outcomes)
    unlisted = f" ({len(quiet)} not shown)" if quiet else ""
    actions = ", ".join(f"{number} {action}" for action, number in counts.most_common())
    # What has landed just now is loaded as a matter of course.
    filled = sum(o.loaded == "loaded" and o.action != "landed" for o in summary.outcomes)
    loads = f", {number_of(filled, 'table')} loaded from the lake" if filled else ""
    quota = summary.quota
    left = f"; {quota.remaining} of {quota.limit} requests left" if quota else ""
    size = size_of(sum(outcome.bytes for outcome in summary.outcomes))
    cost = f"{number_of(summary.requests, 'request')}, {size} in {summary.seconds:.1f} s"
    whole = f"{actions or 'no datasets'}{unlisted}{loads}"
    return f"{summary.name or summary.portal}: {whole}; {cost}{left}"


def _as_dict(summary: Summary) -> dict[str, object]:
    return {
        "portal": summary.portal,
        "exit_status": exit_status(summary.outcomes),
        "requests": summary.requests,
        "seconds": round(summary.seconds, 3),
        "bytes": sum(outcome.bytes for outcome in summary.outcomes),
        "quota": asdict(summary.quota) if summary.quota else None,
        "counts": dict(Counter(outcome.action for outcome in summary.outcomes)),
        "datasets": [_outcome(outcome, summary.name) for outcome in summary.outcomes],
    }


def _outcome(outcome: Outcome, portal: str) -> dict[str, object]:
    accept = accepting(outcome, portal) if can_be_accepted(outcome) else None
    return {**asdict(outcome), "to_accept": accept}


def accepting(outcome: Outcome, portal: str = "") -> str:
    """The command by which a person takes what is held of a dataset.

    Args:
        outcome: What came of the dataset.
        portal: The portal's name in the configuration file, if it is from one.
    """
    named = f" --portal {portal}" if portal else ""
    features = " --features" if outcome.kind == "features" else ""
    return f"ods-pipeline{named} sync {shlex.quote(outcome.dataset_id)}{features} --accept"


def show_plans(plans: Sequence[ShownPlan], *, as_json: bool) -> None:
    """Print each dataset's verdict and its reason, with what would come and what it would cost."""
    if as_json:
        entries = [_planned(step, plan) for plan in plans for step in plan.steps]
        failed = [{"portal": plan.name, "error": plan.problem} for plan in plans if plan.problem]
        print_json([*entries, *failed])
        return
    for plan in plans:
        if not plan.problem:  # It was told where it happened.
            _show_plan(plan)


def _planned(step: Planned, plan: ShownPlan) -> dict[str, object]:
    loaded = None
    if plan.unloaded is not None:
        loaded = bool(step.landed) and step.partition not in plan.unloaded
    return {
        **({"portal": plan.name} if plan.name else {}),
        "dataset_id": step.dataset_id,
        "kind": step.extractor.kind,
        "title": step.title,
        "verdict": str(step.verdict.kind),
        "reason": step.verdict.reason,
        "fetches": step.verdict.fetches,
        "records": step.records_to_come,
        "requests": step.cost,
        "loaded": loaded,
    }


def _show_plan(plan: ShownPlan) -> None:
    console = stdout()
    table = Listing(
        console,
        Column("dataset", "name"),
        Column("verdict"),
        Column("records", "number"),
        Column("why", "text"),
    )
    folded = 0
    for step in plan.steps:
        if step.verdict.kind == "unchanged" and not endless(console):
            folded += 1
            continue
        records = step.records_to_come
        table.add(
            display_name(step.dataset_id, step.extractor.kind),
            step.verdict.kind,
            "" if records is None else f"{'≤ ' if step.filtered else ''}{records:,}",
            step.verdict.reason,
        )
    table.print()
    fetched = sum(step.verdict.fetches for step in plan.steps)
    total = number_of(sum(step.records_to_come or 0 for step in plan.steps), "record")
    bound = "up to " if any(step.filtered and step.verdict.fetches for step in plan.steps) else ""
    cost = number_of(sum(step.cost for step in plan.steps), "request")
    lead = f"{plan.name}: " if plan.name else ""
    unlisted = f" ({folded:,} unchanged)" if folded else ""
    console.print(
        Text(
            f"{lead}sync would fetch {fetched} of {number_of(len(plan.steps), 'dataset')}"
            f"{unlisted}, with {bound}{total} in about {cost}; this took "
            f"{number_of(plan.requests, 'request')}"
        )
    )
    unloaded = plan.unloaded or ()
    waiting = [s for s in plan.steps if s.partition in unloaded and not s.verdict.fetches]
    if waiting:
        what = number_of(len(waiting), "table")
        console.print(Text(f"{lead}{what} of what is landed would be loaded without a fetch"))


def show_catalog(datasets: Sequence[Dataset], *, as_json: bool) -> None:
    """Print the portal's datasets."""
    if as_json:
        print_json(
            [
                {
                    "dataset_id": dataset.dataset_id,
                    "dataset_uid": dataset.dataset_uid,
                    "title": dataset.title,
                    "records_count": dataset.records_count,
                    "data_processed": dataset.data_processed or None,
                    "modified": dataset.modified or None,
                    "license": dataset.meta("license") or None,
                    "data_visible": dataset.data_visible,
                    "has_records": dataset.has_records,
                    "fields": [{"name": f.name, "type": f.type} for f in dataset.fields],
                }
                for dataset in datasets
            ]
        )
        return
    console = stdout()
    table = Listing(
        console,
        Column("dataset", "name"),
        Column("title", "title"),
        Column("records", "number"),
        Column("fields", "number", 90),
        Column("data as of", least=72),
        Column("licence", "title", 110),
    )
    for dataset in sorted(datasets, key=lambda item: item.dataset_id):
        count = dataset.records_count
        table.add(
            dataset.dataset_id,
            dataset.title + ("" if dataset.data_visible else " (restricted)"),
            "?" if count is None else f"{count:,}",
            str(len(dataset.fields)),
            dataset.data_processed[:16] or "-",
            dataset.meta("license"),
        )
    table.print()
    console.print(Text(number_of(len(datasets), "dataset")))


def show_audits(audits: Sequence[Audit], *, as_json: bool, quiet: bool = False) -> None:
    """Print which landed partitions are as they were published."""
    if as_json:
        print_json([{**asdict(audit), "path": str(audit.path)} for audit in audits])
        return
    console = stdout()
    for audit in audits:
        if audit.problem:
            console.print(Text.assemble(("BAD", "red"), f"  {audit.dataset_id}: {audit.problem}"))
    bad = sum(bool(audit.problem) for audit in audits)
    rows = sum(audit.rows for audit in audits)
    if not quiet:
        console.print(Text(f"{number_of(len(audits), 'partition')}, {rows:,} rows, {bad} damaged"))


def show_findings(findings: Iterable[Finding], *, quiet: bool) -> None:
    """Print what `doctor` found: a line each, which says ok or what to do."""
    console = stdout()
    for finding in findings:
        if not finding.good:
            head = ("BAD", "red")
        elif quiet:
            continue
        else:
            head = ("ok ", "green")
        console.print(Text.assemble(head, f"  {finding.subject}: {finding.text}"))


@contextlib.contextmanager
def errors_as_json(as_json: bool) -> Iterator[None]:
    """Print an error as JSON too, where a summary would have been; it goes to stderr as well."""
    try:
        yield
    except OdsPipelineError as error:
        if as_json:
            print_json({"error": str(error), "exit_status": error.exit_status})
        raise
