"""The commands that list a portal's datasets and write exports to files of the user's own.

What is written and how it is proven is decided in `sync`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ods_pipeline.cli import everywhere
from ods_pipeline.cli.commands import open_session
from ods_pipeline.cli.export_arguments import (
    as_parameter,
    every_filter,
    filled,
    parameters_of,
    target_of,
)
from ods_pipeline.cli.target import Targets

if TYPE_CHECKING:
    from ods_pipeline.sync.file_export import ExportedFile

_as = click.option(
    "--as",
    "format",
    metavar="FORMAT",
    callback=filled,
    help="Write this export to a file, such as csv, json, rdf, dcat_ap_de or xlsx.",
)
_output = click.option(
    "-o",
    "--output",
    metavar="FILE",
    callback=filled,
    help="File or folder to write to (default: a file of the dataset's name in this folder); - for "
    "stdout.",
)
_more = click.option(
    "--set",
    "more",
    multiple=True,
    metavar="NAME=VALUE",
    help="Any other parameter of the API, such as order_by=year, lang=fr or use_labels=true. May "
    "be repeated.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@everywhere.command
@click.option(
    "--where", metavar="ODSQL", callback=filled, help="Filter, such as \"publisher = 'SNCF'\"."
)
@click.option(
    "--search", "words", metavar="WORDS", callback=filled, help="Datasets with these words."
)
@_as
@_output
@_more
@_json
@click.pass_obj
def catalog(
    targets: Targets,
    where: str | None,
    words: str | None,
    format: str | None,
    output: str | None,
    more: Sequence[str],
    as_json: bool,
) -> None:
    """List the portal's datasets, or write an export of its catalog to a file.

    \b
    ods-pipeline catalog --search "vélos"
    ods-pipeline catalog --as dcat_ap_de -o catalog.rdf
    """  # noqa: D301 - click ends its wrapping at a backspace
    from ods_pipeline.cli import progress, report

    if not format and (output or more):
        raise click.UsageError("-o and --set are for a file: say which export with --as FORMAT")
    with report.errors_as_json(as_json), open_session(targets.one) as session:
        if not format:
            found = session.portal.datasets(every_filter(words, where, None))
            report.show_catalog(found, as_json=as_json)
            return
        from ods_pipeline.portal.exports.parameters import CatalogParameters
        from ods_pipeline.sync.file_export import export_catalog

        given = parameters_of(more, CatalogParameters.__annotations__)
        given |= as_parameter(every_filter(words, where, given.get("where")))
        target = target_of(output, "catalog", format, as_json=as_json)
        with progress.bytes_bar(f"catalog as {format}", quiet=targets.quiet) as on_bytes:
            written = export_catalog(session.portal, format, target, given, on_bytes)
    _show(written, isinstance(target, Path), as_json=as_json, quiet=targets.quiet)


@everywhere.command
@click.argument("dataset")
@click.option(
    "--as",
    "format",
    required=True,
    metavar="FORMAT",
    callback=filled,
    help="Any format of the portal, such as csv, geojson, jsonl, parquet, shp, kml or xlsx.",
)
@_output
@click.option(
    "--rows", metavar="ODSQL", callback=filled, help="Only records that pass this filter."
)
@click.option("--select", metavar="FIELD,...", callback=filled, help="Only these fields.")
@_more
@_json
@click.pass_obj
def export(
    targets: Targets,
    dataset: str,
    format: str,
    output: str | None,
    rows: str | None,
    select: str | None,
    more: Sequence[str],
    as_json: bool,
) -> None:
    """Write an export of a dataset to a file, as the portal makes it.

    Where its format can be read here the records are counted and compared with the portal's count;
    a file that is not whole is not kept. `sync` proves more, and types what it lands.

    \b
    ods-pipeline export public-trees --as geojson -o trees.geojson
    ods-pipeline export public-trees --as csv --rows "height_m > 10" --set delimiter=,
    """  # noqa: D301 - click ends its wrapping at a backspace
    from ods_pipeline.cli import progress, report
    from ods_pipeline.portal.exports.parameters import ExportParameters
    from ods_pipeline.sync.file_export import export_dataset

    given = parameters_of(more, ExportParameters.__annotations__)
    if select and "select" in given:
        raise click.UsageError("--select and --set select=… both choose fields: give one of them")
    given |= {"select": select} if select else {}
    given |= as_parameter(every_filter(None, rows, given.get("where")))
    packed = bool(given.get("compressed"))
    target = target_of(output, dataset, format, packed=packed, as_json=as_json)
    with (
        report.errors_as_json(as_json),
        open_session(targets.one) as session,
        progress.bytes_bar(f"{dataset} as {format}", quiet=targets.quiet) as on_bytes,
    ):
        written = export_dataset(session.portal, dataset, format, target, given, on_bytes)
    _show(written, isinstance(target, Path), as_json=as_json, quiet=targets.quiet)


def _show(written: ExportedFile, is_file: bool, *, as_json: bool, quiet: bool) -> None:
    from ods_pipeline.cli.layout import print_json, size_of

    if as_json:
        print_json({**asdict(written), "path": str(written.path)})
        return
    if not quiet:
        where = written.path if is_file else "stdout"
        click.echo(f"{where}: {size_of(written.size)}, {written.proof}", err=not is_file)
