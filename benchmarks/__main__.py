"""`python -m benchmarks`: ods_pipeline beside other tools, on one portal, in one run.

Exit status 1 says that a bound which the project promises was exceeded.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from benchmarks import show
from benchmarks.measure import measured
from benchmarks.tasks import TASKS

_RESULTS = Path(__file__).parent / "results"
_NAMES = [task.name for task in TASKS]


@click.command()
@click.option("--rows", default=1_000_000, show_default=True, help="Rows of the exports.")
@click.option("--points", default=500_000, show_default=True, help="Points of the GML.")
@click.option("--polygons", default=100_000, show_default=True, help="Polygons of the GML.")
@click.option("--sync-rows", default=5_000_000, show_default=True, help="Rows of what is synced.")
@click.option("--datasets", default=5_000, show_default=True, help="Datasets of the large portal.")
@click.option("--rounds", default=3, show_default=True, help="Runs of each; medians are shown.")
@click.option("--only", multiple=True, type=click.Choice(_NAMES), help="Tasks to do.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.option("--markdown", is_flag=True, help="Print the tables as docs/performance.md has them.")
@click.option("--save", metavar="NAME", help="Keep the JSON as benchmarks/results/NAME.json.")
def main(
    rows: int,
    points: int,
    polygons: int,
    sync_rows: int,
    datasets: int,
    rounds: int,
    only: tuple[str, ...],
    as_json: bool,
    markdown: bool,
    save: str | None,
) -> None:
    """Measure wall time, CPU time and peak memory of ods_pipeline and its peers."""
    # A task needs what others left in its folder.
    folders = {task.folder or task.name for task in TASKS if not only or task.name in only}
    tasks = tuple(task for task in TASKS if (task.folder or task.name) in folders)
    sizes = {
        "rows": rows,
        "points": points,
        "polygons": polygons,
        "sync_rows": sync_rows,
        "datasets": datasets,
    }
    console, done = show.console(), []
    for result in measured(tasks, sizes, rounds, lambda text: click.echo(text, err=True)):
        done.append(result)
        if not (as_json or markdown):
            console.print(show.table(result), "")
    document = show.document(done)
    text = json.dumps(document, indent=2) + "\n"
    if as_json:
        click.echo(text, nl=False)
    elif markdown:
        click.echo(show.markdown(done), nl=False)
    if save:
        _RESULTS.mkdir(exist_ok=True)
        (_RESULTS / f"{save}.json").write_text(text)
    for broken in document["broken"]:
        click.secho(f"promise broken: {broken}", err=True, fg="red")
    raise SystemExit(bool(document["broken"]))


if __name__ == "__main__":
    main()
