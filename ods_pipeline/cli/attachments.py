"""The command that keeps a folder of a dataset's documents and of the files of its records.

Which are fetched, and how, is decided in `sync`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from ods_pipeline.cli import everywhere
from ods_pipeline.cli.commands import open_session
from ods_pipeline.cli.export_arguments import filled
from ods_pipeline.cli.options import Number
from ods_pipeline.cli.target import Targets

if TYPE_CHECKING:
    from ods_pipeline.portal.files.remote_file import Kind, RemoteFile
    from ods_pipeline.sync.file_choices import FileChoice
    from ods_pipeline.sync.file_keeping import FileLimits, FileOutcome

    #: Kinds of files, these files, and which of them are kept.
    Lot: TypeAlias = tuple[Collection[Kind], Sequence[RemoteFile], FileLimits]


@everywhere.command
@click.argument("dataset")
@click.option(
    "-o",
    "--output",
    metavar="FOLDER",
    type=click.Path(),
    callback=filled,
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
    type=Number(0, min_open=True),
    metavar="MB",
    help="Refuse larger files (default: 1000, or what the configuration says).",
)
@click.option(
    "--type",
    "media_type",
    metavar="GLOB",
    help="Only these media types, such as 'image/*' or application/pdf.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def attachments(
    targets: Targets,
    dataset: str,
    output: str | None,
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
    from ods_pipeline.sync.file_keeping import DOCUMENTS, OF_RECORDS, keep_files, left_out

    folder = Path(output or file_name(dataset, ""))
    with report.errors_as_json(as_json), open_session(targets.one) as session:
        said = session.target.configured
        limits = _limits(said.attachments if said else None, max_size, media_type)
        lots: list[Lot] = [(DOCUMENTS, session.portal.attachments(dataset), limits)]
        if of_records:
            limits = _limits(said.files if said else None, max_size, media_type)
            lots.append((OF_RECORDS, session.portal.record_files(dataset), limits))
        if lists:
            # As far as the portal says what they are.
            found = (
                i for _, files, limits in lots for i in files if not left_out(limits, i.mime_type)
            )
            _list([*found], as_json=as_json)
            return
        outcomes: list[FileOutcome] = []
        number = sum(len(files) for _, files, _ in lots)
        with progress.bytes_bar(f"{dataset}: {number} files", quiet=targets.quiet) as on_bytes:
            for kinds, files, limits in lots:
                for item in keep_files(
                    session.portal, files, folder, limits, on_bytes, kinds=kinds
                ):
                    outcomes.append(item)
                    _log(item, session.portal.client.address.base, dataset)
    if as_json:
        print_json({"folder": str(folder), "files": [*map(_plain, outcomes)]})
    else:
        _tell(outcomes, folder, quiet=targets.quiet)
    raise SystemExit(_status(outcomes))


def _log(item: FileOutcome, portal: str, dataset: str) -> None:
    """Write what came of a file to the log, where there is one."""
    from ods_pipeline.cli import log

    if log.written():
        write = log.warning if _status([item]) else log.info
        why = f"; {item.reason}" if item.reason else ""
        write(
            f"{portal}: {dataset}: {item.name or item.key}: {item.action}{why}",
            portal=portal,
            dataset_id=dataset,
            **_plain(item),
        )


def _plain(item: FileOutcome) -> dict[str, Any]:
    return {**asdict(item), "until": item.until.isoformat() if item.until else ""}


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

    from ods_pipeline.cli.layout import LISTED, size_of

    folded = {"unchanged"} if len(outcomes) > LISTED else set()
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
