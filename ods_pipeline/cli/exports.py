"""The commands that list a portal's datasets and write exports to files of the user's own.

What is written and how it is proven is decided in `sync`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ods_pipeline.cli import everywhere
from ods_pipeline.cli.commands import open_session
from ods_pipeline.cli.target import Targets
from ods_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from ods_pipeline.sync.file_export import ExportedFile

_as = click.option(
    "--as",
    "format",
    metavar="FORMAT",
    help="Write this export to a file, such as csv, json, rdf, dcat_ap_de or xlsx.",
)
_output = click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="File or folder to write to (default: a file of the dataset's name in this folder).",
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
@click.option("--where", metavar="ODSQL", help="Filter, such as \"publisher = 'SNCF'\".")
@click.option("--search", "words", metavar="WORDS", default="", help="Datasets with these words.")
@_as
@_output
@_more
@_json
@click.pass_obj
def catalog(
    targets: Targets,
    where: str | None,
    words: str,
    format: str | None,
    output: Path | None,
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
            found = session.portal.datasets(_found(words, where))
            report.show_catalog(found, as_json=as_json)
            return
        from ods_pipeline.portal.exports.parameters import CatalogParameters
        from ods_pipeline.sync.file_export import export_catalog

        given = _parameters(more, CatalogParameters.__annotations__)
        given |= {"where": _found(words, where)} if words or where else {}
        target = _target(output, "catalog", format)
        with progress.bytes_bar(f"catalog as {format}", quiet=targets.quiet) as on_bytes:
            written = export_catalog(session.portal, format, target, given, on_bytes)
    _show(written, as_json=as_json, quiet=targets.quiet)


@everywhere.command
@click.argument("dataset")
@click.option(
    "--as",
    "format",
    required=True,
    metavar="FORMAT",
    help="Any format of the portal, such as csv, geojson, jsonl, parquet, shp, kml or xlsx.",
)
@_output
@click.option("--rows", default="", metavar="ODSQL", help="Only records that pass this filter.")
@click.option("--select", default="", metavar="FIELD,...", help="Only these fields.")
@_more
@_json
@click.pass_obj
def export(
    targets: Targets,
    dataset: str,
    format: str,
    output: Path | None,
    rows: str,
    select: str,
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

    given = _parameters(more, ExportParameters.__annotations__)
    given |= {name: text for name, text in (("where", rows), ("select", select)) if text}
    target = _target(output, dataset, format, packed=bool(given.get("compressed")))
    with (
        report.errors_as_json(as_json),
        open_session(targets.one) as session,
        progress.bytes_bar(f"{dataset} as {format}", quiet=targets.quiet) as on_bytes,
    ):
        written = export_dataset(session.portal, dataset, format, target, given, on_bytes)
    _show(written, as_json=as_json, quiet=targets.quiet)


def _found(words: str, where: str | None) -> str | None:
    """The filter for words and a filter together."""
    from ods_pipeline.portal.queries.queries import searched

    return searched(words, where)


def _target(output: Path | None, name: str, format: str, *, packed: bool = False) -> Path:
    from ods_pipeline.sync.file_export import file_name

    own = file_name(name, format, packed=packed)
    if output is None:
        return Path(own)
    return output / own if output.is_dir() else output


def _parameters(given: Sequence[str], known: dict[str, Any]) -> dict[str, Any]:
    """Parameters as the user typed them.

    Raises:
        ConfigurationError: One of them is none of the API's.
    """
    found: dict[str, Any] = {}
    for text in given:
        name, separator, value = text.partition("=")
        if not separator or name not in known:
            raise ConfigurationError(
                f"--set {text}: write NAME=VALUE with one of {', '.join(sorted(known))}"
            )
        if name in {"refine", "exclude"}:
            found.setdefault(name, []).append(value)
        elif name in {"limit", "offset"}:
            try:
                found[name] = int(value)
            except ValueError:
                raise ConfigurationError(f"--set {text}: {name} is a whole number") from None
        else:
            found[name] = {"true": True, "false": False}.get(value, value)
    return found


def _show(written: ExportedFile, *, as_json: bool, quiet: bool) -> None:
    from ods_pipeline.cli.layout import print_json, size_of

    if as_json:
        print_json({**asdict(written), "path": str(written.path)})
        return
    if not quiet:
        click.echo(f"{written.path}: {size_of(written.size)}, {written.proof}")
