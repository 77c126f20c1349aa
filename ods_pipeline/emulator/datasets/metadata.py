"""New datasets and the metadata that portals give them; nothing here touches rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from ods_pipeline.emulator.datasets.dataset import Dataset, Field

DCAT_METADATA: Mapping[str, Any] = dict.fromkeys(
    (
        "created",
        "issued",
        "creator",
        "contributor",
        "contact_name",
        "contact_email",
        "accrualperiodicity",
        "spatial",
        "temporal",
        "granularity",
        "dataquality",
        "publisher_type",
        "conforms_to",
        "temporal_coverage_start",
        "temporal_coverage_end",
        "accessRights",
        "relation",
    )
)
DEFAULT_METADATA: Mapping[str, Any] = {
    "title": None,
    "description": None,
    "theme": None,
    "keyword": None,
    "license": None,
    "license_url": None,
    "language": "en",
    "metadata_languages": ["en"],
    "timezone": None,
    "modified": None,
    "modified_updates_on_metadata_change": False,
    "modified_updates_on_data_change": True,
    "data_processed": None,
    "metadata_processed": None,
    "geographic_reference": None,
    "geographic_reference_auto": None,
    "territory": None,
    "geometry_types": None,
    "bbox": None,
    "publisher": None,
    "references": None,
    "records_count": 0,
    "attributions": None,
    "source_domain": None,
    "source_domain_title": None,
    "source_domain_address": None,
    "source_dataset": None,
    "shared_catalog": None,
    "federated": False,
    "parent_domain": None,
    "update_frequency": None,
}
# The feature flags that a type of field brings.
FLAGS_BY_TYPE = {
    "date": "timeserie",
    "datetime": "timeserie",
    "geo_point_2d": "geo",
    "geo_shape": "geo",
    "file": "image",
}


def feature_flags(fields: Iterable[Field]) -> tuple[str, ...]:
    """What a portal says one can do with these fields."""
    found = dict.fromkeys(FLAGS_BY_TYPE[f.type] for f in fields if f.type in FLAGS_BY_TYPE)
    return ("analyze", *found)


def new_uid(seed: str) -> str:
    """An identity in the shape that portals give."""
    return "da_" + hashlib.sha256(seed.encode()).hexdigest()[:6]


def dataset_from_document(document: Mapping[str, Any], relation: str) -> Dataset:
    """A dataset from the object that the API shows."""
    return Dataset(
        dataset_id=document["dataset_id"],
        dataset_uid=document["dataset_uid"],
        fields=tuple(Field.of(declared) for declared in document["fields"]),
        relation=relation,
        metas=document["metas"],
        features=tuple(document["features"]),
        attachments=tuple(document["attachments"]),
        alternative_exports=tuple(document["alternative_exports"]),
        visibility=document["visibility"],
        has_records=document["has_records"],
        data_visible=document["data_visible"],
    )


def new_dataset(dataset_id: str, fields: tuple[Field, ...], relation: str) -> Dataset:
    """A dataset that nobody has described yet."""
    return Dataset(
        dataset_id=dataset_id,
        dataset_uid=new_uid(dataset_id),
        fields=fields,
        relation=relation,
        metas={"dcat": DCAT_METADATA, "default": {**DEFAULT_METADATA, "title": dataset_id}},
        features=feature_flags(fields),
        has_records=bool(fields),
    )
