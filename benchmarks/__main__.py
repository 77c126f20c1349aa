"""`python -m benchmarks`: ods_pipeline beside other tools, on one portal, in one run.

The exit status is 1 if a bound that the project promises was exceeded, or with `--compare` if
anything got slower.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from benchmarks import gate, tables
from benchmarks.figures import Measured
from benchmarks.json_report import json_report
from benchmarks.measure import bench
from benchmarks.replay import PROFILES
from benchmarks.tasks import NAMES, QUICK, SLOPES, Sizes, Task, tasks

_RESULTS = Path(__file__).parent / "results"
_SIZES = Sizes()


@click.command()
@click.option("--quick", is_flag=True, help="Everything, small, once: two minutes.")
@click.option("--rows", type=int, help=f"Rows of the exports.  [default: {_SIZES.rows}]")
@click.option("--large", type=int, help=f"Of one export more; 0: none.  [default: {_SIZES.large}]")
@click.option("--points", type=int, help=f"Points of the GML.  [default: {_SIZES.points}]")
@click.option("--polygons", type=int, help=f"Polygons of the GML.  [default: {_SIZES.polygons}]")
@click.option("--datasets", type=int, multiple=True, help="Datasets of a portal synced again.")
@click.option("--first", type=int, help="Datasets of a portal synced for the first time.")
@click.option("--launched", type=int, help="Datasets of a portal that Dagster syncs.")
@click.option("--partitions", type=int, help="Datasets that are partitions in Dagster.")
@click.option("--whole", type=int, help="Rows of an export that is landed and loaded.")
@click.option("--location", type=int, help="Datasets of a code location of Dagster.")
@click.option("--slope", type=int, multiple=True, help="Rows of our own slopes.")
@click.option("--rounds", type=int, help="Runs of each short one; medians are shown.  [default: 3]")
@click.option("--only", multiple=True, type=click.Choice((*NAMES, SLOPES)), help="Tasks to do.")
@click.option("--profile", type=click.Choice(list(PROFILES)), help="How slow every portal is.")
@click.option("--no-install", is_flag=True, help="Do without peers that are not installed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.option("--markdown", is_flag=True, help="Print the tables as docs/performance.md has them.")
@click.option("--compare", is_flag=True, help="Fail where a kept ratio got 1.5 times worse.")
@click.option("--keep", is_flag=True, help="Keep the ratios, for `--compare`.")
@click.option("--save", metavar="NAME", default="latest", help="Keep results/NAME.json and .svg.")
def main(quick: bool, only: tuple[str, ...], **options: Any) -> None:
    """Measure wall time, CPU time and peak memory of ods_pipeline and its peers.

    Tasks: parquet, csv (exports to a proven partition), slow (parquet at 5 MB/s),
    points, polygons (WFS), table (into DuckDB), whole (an export into DuckDB),
    again (unchanged sync),
    first (sync at 200 ms latency), start (of a process), slope (cost against size),
    launch, launch-again, list (Dagster's commands), location (many datasets in Dagster),
    dagster-first, dagster-again, dagster-change (partitions, with sensors), dagster-run (its start)
    """
    chosen = {name: options[name] for name in vars(_SIZES) if options.get(name) not in (None, ())}
    sizes = replace(QUICK if quick else _SIZES, **chosen)
    rounds = options["rounds"] or (1 if quick else 3)
    todo = list(_chosen(tasks(sizes), only))
    done = _done(todo, rounds, options)
    found = json_report(done)
    text = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    if options["as_json"]:
        click.echo(text, nl=False)
    elif options["markdown"]:
        click.echo(tables.markdown(tables.grids(done)), nl=False)
    else:
        for grid in tables.summary(done):
            tables.console().print(tables.table(grid), "")
    if options["save"]:
        _keep(options["save"], text, done)
    for broken in found["broken"]:
        click.secho(f"promise broken: {broken}", err=True, fg="red")
    now = gate.ratios(done)
    if options["keep"]:
        gate.KEPT.write_text(json.dumps(now, indent=2) + "\n")
    slower = _slower(now) if options["compare"] else []
    raise SystemExit(bool(found["broken"] or slower))


def _slower(now: gate.Ratios) -> list[str]:
    """Report how our ratios to peers moved, and return those that got too bad."""
    before = gate.kept()
    for line in gate.report(before, now):
        click.echo(line)
    found = list(gate.slower(before, now))
    for sentence in found:
        click.secho(f"slower: {sentence}", err=True, fg="red")
    return found


def _chosen(known: list[Task], only: tuple[str, ...]) -> Iterator[Task]:
    for task in known:
        if not only or task.name in only:
            yield task
        elif SLOPES in only and task.series:
            yield task.ours


def _done(todo: list[Task], rounds: int, options: dict[str, Any]) -> list[Measured]:
    done: list[Measured] = []
    plain = not (options["as_json"] or options["markdown"])
    install = not options["no_install"]
    profile = options["profile"] or ""

    def report(text: str) -> None:
        click.echo(f"[{len(done) + 1}/{len(todo)}] {text}", err=True)

    with bench(rounds, report, install=install, profile=profile) as one:
        for measured in one.measure(todo):
            done.append(measured)
            if plain and measured.task.name != SLOPES:
                for grid in (tables.grid(measured), *tables.parts(measured)):
                    tables.console().print(tables.table(grid), "")
    return done


def _keep(name: str, text: str, done: list[Measured]) -> None:
    from benchmarks.plot import draw

    _RESULTS.mkdir(exist_ok=True)
    (_RESULTS / f"{name}.json").write_text(text)
    draw(done, _RESULTS / f"{name}.svg")


if __name__ == "__main__":
    main()
