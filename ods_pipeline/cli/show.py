"""`show`: a landed dataset at a glance, on a terminal, as JSON or as a page.

What there is to see is read by `lake`; no portal is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ods_pipeline.cli import everywhere
from ods_pipeline.cli.target import Targets
from ods_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.console import Console

    from ods_pipeline.lake.landed import LandedDataset, LandedDatasets
    from ods_pipeline.lake.overview import Overview

# Cells of a terminal that a column of rows is given, with the space after it.
_CELLS = 16
# Characters of a value: somebody's terminal is no place for a whole report.
_VALUE = 200
_MAP_WIDTH = 72


@everywhere.command
@click.argument("dataset", required=False)
@click.option("--features", is_flag=True, help="Its layer, as it came through WFS.")
@click.option(
    "--rows",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    metavar="N",
    help="Show so many of its rows.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--html",
    "page_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write a page for browsers, which needs no network.",
)
@click.pass_obj
def show(
    targets: Targets,
    dataset: str | None,
    features: bool,
    rows: int,
    as_json: bool,
    page_file: Path | None,
) -> None:
    """Show what has landed of a dataset: its proof, columns, first rows, extent and map.

    Asks no portal. Without DATASET what has landed is listed.

    \b
    ods-pipeline show public-art
    ods-pipeline show public-art --features --html public-art.html
    """  # noqa: D301 - click ends its wrapping at a backspace
    from ods_pipeline.cli import report
    from ods_pipeline.cli.layout import print_json, stdout
    from ods_pipeline.lake import landed
    from ods_pipeline.lake.overview import Overview

    if page_file and not dataset:
        raise click.UsageError("--html is a page of one dataset: name it")
    folder = targets.all[0].data_dir
    with report.errors_as_json(as_json):
        portal = _portal(targets)
        if not dataset:
            name = landed.chosen(folder, portal) if portal or not landed.portals(folder) else ""
            _list(landed.landed(folder, name), as_json=as_json)
            return
        found = landed.partition(folder, dataset, "features" if features else "records", portal)
        overview, table = Overview.of(found, rows), _table(targets, found)
        if page_file:
            _write(page_file, overview, facts(overview, table))
    if as_json:
        print_json(_as_dict(overview, table))
    elif not page_file:
        _print(stdout(), overview, facts(overview, table))
    elif not targets.quiet:
        click.echo(f"{page_file}: {found.title}")


def _portal(targets: Targets) -> str:
    """The name on disk of the portal that was named; empty where none was."""
    target = targets.all[0]
    if len(targets.all) > 1 or target.sample:
        return ""
    from ods_pipeline.portal.http.address import Address

    return Address.parse(target.portal).slug


def _table(targets: Targets, found: LandedDataset) -> str:
    """What a landed dataset is called in SQL, by what is configured for its portal."""
    from ods_pipeline.portal.http.address import Address
    from ods_pipeline.warehouse.names import AS_IS, quoted
    from ods_pipeline.warehouse.opening import names_in

    known = [target for target in targets.all if not target.sample]
    own = [t for t in known if Address.parse(t.portal).slug == found.portal]
    names = names_in(targets.all[0].warehouse, own[0].options.names if own else AS_IS)
    schema, table = names.schema_of(found.portal), names.table_of(found.dataset_id, found.kind)
    return f"{quoted(schema)}.{quoted(table)}"


def facts(overview: Overview, table: str) -> dict[str, str]:
    """What is to be said of a landed dataset, each with a name; empty where it is not known.

    Args:
        overview: The dataset.
        table: What it is called in SQL.
    """
    from ods_pipeline.lake.map_scale import extent

    known, receipt, hold = overview.landed, overview.landed.receipt, overview.hold
    return {
        "portal": known.portal,
        "dataset": known.dataset_id,
        "rows": f"{known.rows:,} {known.kind}",
        "data as of": f"{known.as_of} UTC" if known.as_of else "",
        "fetched": f"{receipt.fetched_at[:16].replace('T', ' ')} UTC" if receipt.fetched_at else "",
        "proof": receipt.proof or "none",
        "held": f"since {hold.since[:10]}: {hold.reason}" if hold else "",
        "asked for": receipt.filter,
        "note": receipt.note,
        "publisher": receipt.publisher,
        "licence": " ".join(filter(None, (receipt.license, receipt.license_url))),
        "attribution": receipt.attribution,
        "updated": receipt.frequency,
        "extent": extent(overview.extent) if overview.extent else "",
        "file": str(known.path),
        "table": table,
    }


def values(overview: Overview) -> list[list[str]]:
    """The first rows as texts."""
    from ods_pipeline.lake.overview import cell
    from ods_pipeline.markup import plain

    return [[plain(cell(row[n]), _VALUE) for n in overview.names] for row in overview.rows]


def _print(console: Console, overview: Overview, known: Mapping[str, str]) -> None:
    from rich.text import Text

    from ods_pipeline.cli.layout import Column, Listing, endless, print_facts
    from ods_pipeline.lake import map_image
    from ods_pipeline.markup import plain

    console.print(Text(overview.landed.title, style="bold"))
    print_facts(console, {name: plain(text) for name, text in known.items() if text})
    console.print()
    told = [
        (
            plain(item.name),
            item.type,
            plain(f"{item.label} ({item.unit})" if item.unit else item.label, _VALUE),
            # Many publishers repeat the label as the description.
            "" if item.description == item.label else plain(item.description, _VALUE),
        )
        for item in overview.columns
    ]
    described = any(description for *_, description in told)
    columns = Listing(
        console,
        Column("field", "name"),
        Column("type"),
        Column("label", "title"),
        *([Column("description", "title", 110)] if described else []),
    )
    for line in told:
        columns.add(*(line if described else line[:-1]))
    columns.print()
    if overview.rows:
        console.print()
        fit = len(overview.names) if endless(console) else max(1, console.width // _CELLS)
        table = Listing(console, *(Column(plain(name), "title") for name in overview.names[:fit]))
        for row in values(overview):
            table.add(*row[:fit])
        table.print()
        if left := overview.names[fit:]:
            console.print(Text(f"and {', '.join(map(plain, left))}", style="dim"))
    if map_image.is_drawn(overview.landed.path):
        width = min(_MAP_WIDTH, console.width)
        drawn = map_image.drawable()
        console.print()
        picture = (
            map_image.braille(overview.landed.path, width) if drawn else map_image.NOT_DRAWABLE
        )
        console.print(Text(picture))


def _list(found: LandedDatasets, *, as_json: bool) -> None:
    from rich.text import Text

    from ods_pipeline.cli.layout import Column, Listing, number_of, print_json, stdout
    from ods_pipeline.lake import landed
    from ods_pipeline.sync.outcome import display_name

    if as_json:
        print_json(
            [
                {
                    "portal": item.portal,
                    "dataset_id": item.dataset_id,
                    "kind": item.kind,
                    "title": item.title,
                    "rows": item.rows,
                    "data_as_of": item.data_as_of.isoformat() if item.data_as_of else None,
                    "file": str(item.path),
                }
                for item in found
            ]
        )
        return
    console = stdout()
    several = len({item.portal for item in found}) > 1
    held = landed.held(found)
    table = Listing(
        console,
        *([Column("portal", "name")] if several else []),
        Column("dataset", "name"),
        Column("title", "title"),
        Column("rows", "number"),
        Column("data as of", least=72),
        *([Column("held since")] if held else []),
    )
    for item in found:
        name = display_name(item.dataset_id, item.kind)
        shown = [item.portal, name, item.title, f"{item.rows:,}", item.as_of]
        since = [held[item.path].since[:10] if item.path in held else ""] if held else []
        table.add(*shown[not several :], *since)
    table.print()
    some = f", {len(held):,} held" if held else ""
    console.print(Text(f"{number_of(len(found), 'table')}{some}"))


def _as_dict(overview: Overview, table: str) -> dict[str, Any]:
    known, receipt, hold = overview.landed, overview.landed.receipt, overview.hold
    return {
        "portal": known.portal,
        "dataset_id": known.dataset_id,
        "kind": known.kind,
        "title": known.title,
        "rows": known.rows,
        "data_as_of": known.data_as_of.isoformat() if known.data_as_of else None,
        "fetched_at": receipt.fetched_at or None,
        "proof": receipt.proof or None,
        "proven_by": receipt.proven_by or None,
        "held": asdict(hold) if hold else None,
        "publisher": receipt.publisher or None,
        "license": receipt.license or None,
        "license_url": receipt.license_url or None,
        "attribution": receipt.attribution or None,
        "extent": overview.extent,
        "file": str(known.path),
        "table": table,
        "fields": [asdict(item) for item in overview.columns],
        "first_rows": [
            {name: _for_json(value) for name, value in row.items()} for row in overview.rows
        ],
    }


def _for_json(value: Any) -> Any:
    """A value as JSON has it: dates are texts."""
    plain = value is None or isinstance(value, str | int | float | bool | list)
    return value if plain else str(value)


def _write(path: Path, overview: Overview, known: Mapping[str, str]) -> None:
    from ods_pipeline.cli.page import page

    text = page(overview, known, values(overview))
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written ({error.strerror}): name another file with --html"
        ) from error
