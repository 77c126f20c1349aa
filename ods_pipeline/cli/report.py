"""What the command line prints: tables for people on stdout, JSON for programs, progress on stderr.

Nothing is decided or fetched here.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from ods_pipeline.cli.layout import number_of, print_json, size_of, stdout, table_of
from ods_pipeline.dataset import Dataset
from ods_pipeline.errors import OdsPipelineError
from ods_pipeline.lake.lake import PartitionKind
from ods_pipeline.lake.verify import Audit
from ods_pipeline.portal.http.sender import Quota
from ods_pipeline.sync.outcome import (
    Outcome,
    display_name,
    exit_status,
    waits_for_a_person,
)
from ods_pipeline.sync.plan import Planned
from ods_pipeline.sync.run import Watcher

# Beyond this many, datasets of which there is nothing to tell are counted instead of listed.
_LISTED = 40
_QUIET = {"unchanged", "skipped"}
_COLOURS = {
    **dict.fromkeys(("failed", "differs"), "red"),
    **dict.fromkeys(("held", "deferred"), "yellow"),
    "landed": "green",
}


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
    """

    steps: Sequence[Planned] = ()
    requests: int = 0
    name: str = ""
    problem: str = ""


Shown = Callable[[Summary | None, OdsPipelineError | None, str], None]


@contextlib.contextmanager
def summaries(count: int, *, as_json: bool) -> Iterator[Shown]:
    """Print what runs came to: each at its end, or as JSON all together.

    Args:
        count: Portals that are run over; one is no list in JSON.
        as_json: Whether to print JSON.

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
            show_sync(summary, warehouse)

    with errors_as_json(as_json):
        yield shown
        if as_json:
            print_json(collected[0] if count == 1 else {"portals": collected})


def show_sync(summary: Summary, warehouse: str) -> None:
    """Print what a run came to."""
    console = stdout()
    quiet = [o for o in summary.outcomes if o.action in _QUIET and not o.note]
    listed = [o for o in summary.outcomes if o not in quiet]
    if len(summary.outcomes) <= _LISTED:
        listed, quiet = list(summary.outcomes), []
    if listed:
        console.print(_outcomes(listed))
    for outcome in listed:
        for text in (outcome.change and f"columns: {outcome.change}", outcome.note):
            if text:
                console.print(f"  {escape(outcome.name)}: {escape(text)}")
        if waits_for_a_person(outcome):
            command = accepting(outcome, summary.name)
            console.print(f"  {escape(outcome.name)}: to accept it, {escape(command)}")
    console.print(_totals(summary, quiet))
    console.print(f"warehouse: {escape(warehouse)}")


def _outcomes(outcomes: Sequence[Outcome]) -> Table:
    table = table_of(
        "dataset", "verdict", "outcome", ">rows", ">bytes", ">seconds", ">requests", "why"
    )
    for item in outcomes:
        colour = _COLOURS.get(item.action)
        action = f"[{colour}]{item.action}[/]" if colour else item.action
        table.add_row(
            escape(item.name),
            item.verdict,
            action,
            f"{item.rows:,}",
            size_of(item.bytes),
            f"{item.seconds:.1f}",
            str(item.requests),
            escape(item.reason),
        )
    return table


def _totals(summary: Summary, quiet: Sequence[Outcome]) -> str:
    counts = Counter(outcome.action for outcome in summary.outcomes)
    unlisted = f" ({len(quiet)} not listed)" if quiet else ""
    actions = ", ".join(f"{number} {action}" for action, number in counts.most_common())
    quota = summary.quota
    left = f"; {quota.remaining} of {quota.limit} requests left" if quota else ""
    size = size_of(sum(outcome.bytes for outcome in summary.outcomes))
    cost = f"{number_of(summary.requests, 'request')}, {size} in {summary.seconds:.1f} s"
    return f"{summary.portal}: {actions or 'no datasets'}{unlisted}; {cost}{left}"


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
    accept = accepting(outcome, portal) if waits_for_a_person(outcome) else None
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
        entries = [_planned(step, plan.name) for plan in plans for step in plan.steps]
        failed = [{"portal": plan.name, "error": plan.problem} for plan in plans if plan.problem]
        print_json([*entries, *failed])
        return
    for plan in plans:
        if not plan.problem:  # It was told where it happened.
            _show_plan(plan)


def _planned(step: Planned, portal: str) -> dict[str, object]:
    return {
        **({"portal": portal} if portal else {}),
        "dataset_id": step.dataset_id,
        "kind": step.extractor.kind,
        "title": step.title,
        "verdict": str(step.verdict.kind),
        "reason": step.verdict.reason,
        "fetches": step.verdict.fetches,
        "records": _to_come(step),
        "requests": _cost(step),
    }


def _to_come(step: Planned) -> int | None:
    """Records of the whole dataset, of which a filter may let fewer through; None for unknown."""
    return step.dataset.records_count if step.dataset and step.verdict.fetches else None


def _cost(step: Planned) -> int:
    return step.extractor.requests if step.verdict.fetches else 0


def _show_plan(plan: ShownPlan) -> None:
    table = table_of("dataset", "verdict", ">records", "why")
    for step in plan.steps:
        name = display_name(step.dataset_id, step.extractor.kind)
        records = _to_come(step)
        table.add_row(
            escape(name),
            step.verdict.kind,
            "" if records is None else f"{records:,}",
            escape(step.verdict.reason),
        )
    console = stdout()
    console.print(table)
    fetched = sum(step.verdict.fetches for step in plan.steps)
    total = number_of(sum(_to_come(step) or 0 for step in plan.steps), "record")
    cost = number_of(sum(map(_cost, plan.steps)), "request")
    lead = f"{plan.name}: " if plan.name else ""
    console.print(
        f"{lead}sync would fetch {fetched} of {number_of(len(plan.steps), 'dataset')}, with "
        f"{total} in about {cost}; this took {number_of(plan.requests, 'request')}"
    )


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
    table = table_of("dataset", "title", ">records", ">fields", "data as of", "licence")
    for dataset in sorted(datasets, key=lambda item: item.dataset_id):
        count = dataset.records_count
        table.add_row(
            escape(dataset.dataset_id),
            escape(dataset.title) + ("" if dataset.data_visible else " [yellow](restricted)[/]"),
            "?" if count is None else f"{count:,}",
            str(len(dataset.fields)),
            dataset.data_processed[:16] or "-",
            escape(dataset.meta("license")),
        )
    console = stdout()
    console.print(table)
    console.print(number_of(len(datasets), "dataset"))


def show_audits(audits: Sequence[Audit], *, as_json: bool) -> None:
    """Print which landed partitions are as they were published."""
    if as_json:
        print_json([{**asdict(audit), "path": str(audit.path)} for audit in audits])
        return
    for audit in audits:
        if audit.problem:
            sys.stdout.write(f"BAD  {audit.dataset_id}: {audit.problem}\n")
    bad = sum(bool(audit.problem) for audit in audits)
    rows = sum(audit.rows for audit in audits)
    sys.stdout.write(f"{number_of(len(audits), 'partition')}, {rows:,} rows, {bad} damaged\n")


@contextlib.contextmanager
def errors_as_json(as_json: bool) -> Iterator[None]:
    """Print an error as JSON too, where a summary would have been; it goes to stderr as well."""
    try:
        yield
    except OdsPipelineError as error:
        if as_json:
            print_json({"error": str(error), "exit_status": error.exit_status})
        raise


@contextlib.contextmanager
def progress() -> Iterator[Watcher]:
    """A progress bar on stderr while a run goes on, where stderr is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Watcher()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[done]}"),
        TextColumn("{task.fields[size]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        yield _Bar(bar)


class _Bar(Watcher):
    """Datasets done, bytes received, and which dataset they belong to."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task: TaskID = bar.add_task("reading the catalog", total=None, size="", done="")
        self._size = self._ended = self._total = 0
        self._fetched: set[str] = set()

    def planned(self, steps: Sequence[Planned]) -> None:
        self._fetched = {display_name(step.dataset_id, step.extractor.kind) for step in steps}
        self._total = len(steps)
        if self._total > _LISTED:
            records = number_of(sum(_to_come(step) or 0 for step in steps), "record")
            cost = number_of(sum(map(_cost, steps)), "request")
            self._bar.console.print(
                f"fetching {number_of(self._total, 'dataset')} with {records} in about {cost}; "
                "Ctrl-C keeps what is landed by then"
            )
        self._bar.update(self._task, total=self._total, description="fetching", done=self._done())

    def received(self, kind: PartitionKind, dataset_id: str, size: int) -> None:
        self._size += size
        name = display_name(dataset_id, kind)
        self._bar.update(self._task, size=f"{size_of(self._size)}  {escape(name)}")

    def ended(self, outcome: Outcome) -> None:
        self._ended += outcome.name in self._fetched
        self._bar.update(self._task, completed=self._ended, done=self._done())

    def _done(self) -> str:
        return f"{self._ended}/{self._total} datasets"
