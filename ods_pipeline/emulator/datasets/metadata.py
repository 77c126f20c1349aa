"""The metadata that a portal gives to new datasets.

Nothing here touches rows.
"""

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
# The feature flag of a dataset with a field of this type.
FLAGS_BY_TYPE = {
    "date": "timeserie",
    "datetime": "timeserie",
    "geo_point_2d": "geo",
    "geo_shape": "geo",
    "file": "image",
}


def feature_flags(fields: Iterable[Field]) -> tuple[str, ...]:
    """The feature flags of a dataset with these fields: what can be done with it."""
    found = dict.fromkeys(FLAGS_BY_TYPE[f.type] for f in fields if f.type in FLAGS_BY_TYPE)
    return ("analyze", *found)


def new_uid(seed: str) -> str:
    """A ``dataset_uid`` in the form that portals give."""
    return "da_" + hashlib.sha256(seed.encode()).hexdigest()[:6]


def dataset_from_document(document: Mapping[str, Any], relation: str) -> Dataset:
    """A dataset from its object in the API."""
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
    """A dataset with only the metadata that a portal sets by itself."""
    return Dataset(
        dataset_id=dataset_id,
        dataset_uid=new_uid(dataset_id),
        fields=fields,
        relation=relation,
        metas={"dcat": DCAT_METADATA, "default": {**DEFAULT_METADATA, "title": dataset_id}},
        features=feature_flags(fields),
        has_records=bool(fields),
    )
