"""The catalog as one Arrow table, one row per dataset.

How it is read belongs to the files beside this one, what has changed in it is decided in `sync`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from ods_pipeline.dataset import Dataset, instant
from ods_pipeline.portal.catalog.catalog import without_gc

SCHEMA = pa.schema(
    {
        "dataset_id": pa.string(),
        "dataset_uid": pa.string(),
        "title": pa.string(),
        "description": pa.string(),
        "publisher": pa.string(),
        "theme": pa.string(),
        "keyword": pa.string(),
        "license": pa.string(),
        "license_url": pa.string(),
        "attributions": pa.string(),
        "language": pa.string(),
        "update_frequency": pa.string(),
        "records_count": pa.int64(),
        "data_processed": pa.timestamp("ms", "UTC"),
        "modified": pa.timestamp("ms", "UTC"),
        "metadata_processed": pa.timestamp("ms", "UTC"),
        "has_records": pa.bool_(),
        "data_visible": pa.bool_(),
        "features": pa.list_(pa.string()),
        "fields": pa.list_(
            pa.struct({key: pa.string() for key in ("name", "type", "label", "description")})
        ),
        "metas": pa.string(),
    }
)


def as_table(datasets: Iterable[Dataset]) -> pa.Table:
    """The catalog as a table, one row per dataset, in the order of the identifiers.

    Args:
        datasets: Of one portal; those that are refused are left out.

    Returns:
        A table of `SCHEMA`; `metas` holds all metadata templates as JSON text.
    """
    good = [dataset for dataset in datasets if not dataset.refused]
    with without_gc():
        rows = [_row(dataset) for dataset in sorted(good, key=lambda item: item.dataset_id)]
        return pa.Table.from_pylist(rows, SCHEMA)


def _row(dataset: Dataset) -> Mapping[str, Any]:
    texts = ("publisher", "theme", "keyword", "license", "license_url", "attributions", "language")
    dates = ("data_processed", "modified", "metadata_processed")
    return {
        **{key: dataset.meta(key) or None for key in (*texts, "description", "update_frequency")},
        **{key: instant(dataset.meta(key)) for key in dates},
        "dataset_id": dataset.dataset_id,
        "dataset_uid": dataset.dataset_uid or None,
        "title": dataset.title,
        "records_count": dataset.records_count,
        "has_records": dataset.has_records,
        "data_visible": dataset.data_visible,
        "features": list(dataset.features),
        "fields": [
            {"name": f.name, "type": f.type, "label": f.label, "description": f.description}
            for f in dataset.fields
        ],
        "metas": json.dumps(dataset.metas, ensure_ascii=False, sort_keys=True),
    }
