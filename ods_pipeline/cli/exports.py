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
    from ods_pipeline.portal.files.remote_file import RemoteFile
    from ods_pipeline.sync.file_choices import FileChoice
    from ods_pipeline.sync.file_export import ExportedFile
    from ods_pipeline.sync.file_keeping import FileLimits, FileOutcome

# Beyond so many files, those that are as they were are counted instead of listed.
_LISTED = 40

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


@everywhere.command
@click.argument("dataset")
@click.option(
    "-o",
    "--output",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Folder for the files (default: one of the dataset's name in this folder).",
)
@click.option(
    "--files",
    "of_records",
    is_flag=True,
    help="Also the files that its records point to, such as photographs.",
)
@click.option("--list", "lists", is_flag=True, help="Only list them; download nothing.")
@click.option(
    "--max-size",
    type=click.FloatRange(0, min_open=True),
    metavar="MB",
    help="Refuse larger files (default: 1000, or what the configuration says).",
)
@click.option(
    "--type",
    "media_type",
    metavar="GLOB",
    help="Only these media types, such as 'image/*' or application/pdf.",
)
@_json
@click.pass_obj
def attachments(
    targets: Targets,
    dataset: str,
    output: Path | None,
    of_records: bool,
    lists: bool,
    max_size: float | None,
    media_type: str | None,
    as_json: bool,
) -> None:
    """Keep a folder of the documents that are attached to a dataset.

    Only what changed is fetched again; a download that broke off is gone on with. The folder's
    files.json says what each file is. What the portal lists no more stays.

    \b
    ods-pipeline attachments ukpn-live-faults --list
    ods-pipeline attachments public-art --files -o photographs --type "image/*"
    """  # noqa: D301 - click ends its wrapping at a backspace
    from ods_pipeline.cli import progress, report
    from ods_pipeline.cli.layout import print_json
    from ods_pipeline.sync.file_export import file_name
    from ods_pipeline.sync.file_keeping import DOCUMENTS, OF_RECORDS, keep_files

    folder = output or Path(file_name(dataset, ""))
    with report.errors_as_json(as_json), open_session(targets.one) as session:
        said = session.target.configured
        wanted = session.portal.attachments(dataset)
        lots = [(DOCUMENTS, wanted, said.attachments if said else None)]
        if of_records:
            pointed = session.portal.record_files(dataset)
            lots.append((OF_RECORDS, pointed, said.files if said else None))
            wanted = [*wanted, *pointed]
        if lists:
            _list(wanted, as_json=as_json)
            return
        outcomes: list[FileOutcome] = []
        with progress.bytes_bar(f"{dataset}: {len(wanted)} files", quiet=targets.quiet) as on_bytes:
            for kinds, lot, choice in lots:
                limits = _limits(choice, max_size, media_type)
                kept = keep_files(session.portal, lot, folder, limits, on_bytes, kinds=kinds)
                outcomes.extend(kept)
    if as_json:
        files = [
            {**asdict(item), "until": item.until.isoformat() if item.until else ""}
            for item in outcomes
        ]
        print_json({"folder": str(folder), "files": files})
    else:
        _tell(outcomes, folder, quiet=targets.quiet)
    raise SystemExit(_status(outcomes))


def _limits(
    choice: FileChoice | None, largest_mb: float | None, media_type: str | None
) -> FileLimits:
    """Which files are kept: as it was typed, else as it is configured."""
    from ods_pipeline.sync.file_keeping import FileLimits

    limits = choice.limits() if choice else FileLimits()
    return FileLimits(
        int(largest_mb * 1_000_000) if largest_mb else limits.largest,
        media_type or limits.media_type,
    )


def _list(wanted: Sequence[RemoteFile], *, as_json: bool) -> None:
    from ods_pipeline.cli.layout import Column, Listing, number_of, print_json, stdout

    if as_json:
        print_json([asdict(item) for item in wanted])
        return
    console = stdout()
    table = Listing(
        console,
        Column("id", "name"),
        Column("title", "title"),
        Column("type", least=72),
        Column("address", "name", 120),
    )
    for item in wanted:
        table.add(item.id, item.title, item.mime_type, item.url)
    table.print()
    console.print(number_of(len(wanted), "file"))


def _tell(outcomes: Sequence[FileOutcome], folder: Path, *, quiet: bool) -> None:
    from collections import Counter

    from ods_pipeline.cli.layout import size_of

    folded = {"unchanged"} if len(outcomes) > _LISTED else set()
    for item in sorted(outcomes, key=lambda item: item.key):
        if item.action in folded or (quiet and not _status([item])):
            continue
        size = f", {size_of(item.size)}" if item.size else ""
        why = f" ({item.reason})" if item.reason else ""
        click.echo(f"{item.name or item.key}: {item.action}{size}{why}")
    counted = Counter(item.action for item in outcomes)
    told = ", ".join(f"{number} {action}" for action, number in counted.items())
    if not quiet:
        click.echo(f"{folder}: {told or 'the dataset has no files'}")


def _status(outcomes: Sequence[FileOutcome]) -> int:
    actions = {item.action for item in outcomes}
    return 1 if "failed" in actions else 3 if "deferred" in actions else 0


def _show(written: ExportedFile, is_file: bool, *, as_json: bool, quiet: bool) -> None:
    from ods_pipeline.cli.layout import print_json, size_of

    if as_json:
        print_json({**asdict(written), "path": str(written.path)})
        return
    if not quiet:
        where = written.path if is_file else "stdout"
        click.echo(f"{where}: {size_of(written.size)}, {written.proof}", err=not is_file)
