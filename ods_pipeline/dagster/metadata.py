"""What the UI shows of a partition: its columns, figures, origin and a few of its rows.

Metadata live in Dagster's event log, so everything here stays within a few kilobytes, a layer's
map within twenty. Nothing is fetched or decided here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
import pyarrow as pa

from ods_pipeline.dagster.markdown import literal, prose
from ods_pipeline.lake.bucket import LakePath, ObjectPath
from ods_pipeline.lake.footers import columns_of
from ods_pipeline.lake.overview import cell, first_rows
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.tables.schema_diff import metadata_text
from ods_pipeline.warehouse.protocol import Load

_ROWS, _COLUMNS, _CHARACTERS = 5, 8, 40
_COLUMNS_TOLD = 500


def column_type(field: pa.Field) -> str:
    """A column's type for people: Arrow's, but for WKB."""
    return "geometry" if metadata_text(field, "ods_type").startswith("geo_") else str(field.type)


def column_schema(schema: pa.Schema) -> dg.TableSchema:
    """The columns with what the publisher says of them."""
    columns = [
        dg.TableColumn(
            field.name,
            type=column_type(field),
            description=described(field) or _known(field),
            constraints=dg.TableColumnConstraints(other=list(_constraints(field))),
        )
        for field in list(schema)[:_COLUMNS_TOLD]
    ]
    return dg.TableSchema(columns=columns)


def _known(field: pa.Field) -> str | None:
    """What is known of a column that no publisher declares."""
    of_wfs = field.name.lstrip("_") == "gml_id" and not field.metadata
    return "Identifier of the feature in WFS" if of_wfs else None


def _constraints(field: pa.Field) -> Iterator[str]:
    """What holds for all values of a column, beyond their type."""
    if column_type(field) == "geometry":
        yield "OGC:CRS84"
    if precision := metadata_text(field, "precision"):
        yield f"whole {precision}s"


def described(field: pa.Field) -> str | None:
    """Label, description and unit in one line."""
    unit = metadata_text(field, "unit")
    parts = (
        metadata_text(field, "label"),
        metadata_text(field, "description"),
        f"unit: {unit}" if unit else "",
    )
    return literal(" — ".join(dict.fromkeys(filter(None, parts)))) or None


def data_version(receipt: Receipt, schema: pa.Schema) -> str:
    """The data version of landed records: another one if and only if the table has to follow.

    The content hash knows neither names nor comments, so a digest of these is added. The
    publisher's dates are no part of it: they move without anything else.
    """
    columns = [(field.name, column_type(field), described(field)) for field in schema]
    licence = (receipt.title, receipt.license, receipt.license_url, receipt.attribution)
    digest = hashlib.sha256(json.dumps([columns, licence]).encode()).hexdigest()
    return f"{receipt.content_hash}.{digest[:8]}"


def of_partition(path: LakePath, receipt: Receipt, page: str) -> dict[str, Any]:
    """What a landed partition says of itself; `page` is the dataset's on the portal, if any."""
    schema = columns_of(path)
    about = prose(receipt.description)
    texts: Mapping[str, str] = {
        "publisher": receipt.publisher,
        "licence": receipt.license,
        "licence_page": receipt.license_url,
        "attribution": receipt.attribution,
        "frequency": receipt.frequency,
        "proof": receipt.proof,
        "proven_by": receipt.proven_by,
        "rejected": receipt.rejected,
        "filter": receipt.filter,
        "note": receipt.note,
        "format": receipt.format,
        "data_processed": receipt.data_processed,
        "formerly": ", ".join(receipt.former_names),
        "fetched_at": receipt.fetched_at,
        "content_hash": receipt.content_hash,
    }
    # In the order of the page; the columns may be hundreds, so they come last.
    return {
        "dagster/partition_row_count": receipt.rows,
        "preview": dg.MetadataValue.md(preview(path)),
        **({"title": receipt.title} if receipt.title else {}),
        **({"description": dg.MetadataValue.md(about)} if about else {}),
        **{key: text for key, text in texts.items() if text},
        **({"portal_page": dg.MetadataValue.url(page)} if page else {}),
        "dagster/uri": uri(path),
        "dagster/column_schema": column_schema(schema),
    }


def of_whole_asset(metadata: dict[str, Any]) -> dict[str, Any]:
    """The same with the rows as those of an asset: of partitions the UI has rows of each."""
    rows = metadata.pop("dagster/partition_row_count")
    return {**metadata, "dagster/row_count": rows}


def dataset_page(base: str, dataset_id: str) -> str:
    """The address of a dataset's page, on the portal of this base URL."""
    return f"{base}/explore/dataset/{dataset_id}/"


def uri(path: LakePath) -> str:
    """Address of a landed file."""
    return (path if isinstance(path, ObjectPath) else path.resolve()).as_uri()


def of_map(path: LakePath) -> dict[str, Any]:
    """A small map of a landed partition; nothing where there is nothing to draw, or too much."""
    from ods_pipeline.lake import map_image

    if not map_image.is_drawn(path):
        return {}
    if not map_image.drawable():
        return {"map": map_image.NOT_DRAWABLE}
    image = map_image.markdown(path)
    return {"map": dg.MetadataValue.md(image)} if image else {}


def of_load(load: Load) -> dict[str, Any]:
    """What loading a table came to."""
    change = str(load.change)
    return {
        "dagster/table_name": f"{load.schema}.{load.table}",
        "dagster/partition_row_count": load.rows,
        "action": load.action,
        "seconds": round(load.seconds, 3),
        "content_hash": load.content_hash,
        **({"schema_change": change} if change else {}),
        **({"note": load.note} if load.note else {}),
        **({"renamed_from": load.renamed_from} if load.renamed_from else {}),
    }


def preview(path: LakePath) -> str:
    """The first rows and columns as a Markdown table."""
    names, rows = first_rows(path, _ROWS, _COLUMNS)
    if not rows:
        return "*no rows*"
    return "\n".join(_markdown(names, rows))


def _markdown(names: Sequence[str], rows: list[dict[str, Any]]) -> Iterator[str]:
    yield f"| {' | '.join(_cell(name) for name in names)} |"
    yield "|" + " --- |" * len(names)
    for row in rows:
        yield f"| {' | '.join(_cell(row[name]) for name in names)} |"


def _cell(value: Any) -> str:
    text = cell(value)
    short = text if len(text) <= _CHARACTERS else text[: _CHARACTERS - 1] + "…"
    return literal(short)
