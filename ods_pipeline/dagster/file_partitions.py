"""Of which datasets files are kept, and as which partitions: those of attachments, those of files.

They are sets of their own: a dataset of attachments alone is no partition of `records`, and one
under `tables` is none either. What is kept of them is decided in `sync`.
"""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from ods_pipeline.dagster.settings import Settings, loadable
from ods_pipeline.dataset import Dataset
from ods_pipeline.sync.file_choices import FileChoice
from ods_pipeline.sync.kept_folders import CATALOG_EXPORT, FileKind

#: What the kept files are made of: the asset upstream of both, whose versions the sensor reports.
SOURCE = "dataset_of_files"
_KINDS: tuple[FileKind, ...] = ("attachments", "files")


def choice(settings: Settings, kind: FileKind) -> FileChoice:
    """What is configured of a kind."""
    both = settings.attributes.attachments, settings.attributes.files
    return both[_KINDS.index(kind)]


def file_kinds(settings: Settings) -> list[FileKind]:
    """The kinds that are kept of some datasets."""
    return [kind for kind in _KINDS if choice(settings, kind).include]


def file_keys(settings: Settings) -> list[dg.AssetKey]:
    """The keys of the assets that are files."""
    names: list[str] = [*file_kinds(settings)]
    names += [CATALOG_EXPORT] if settings.attributes.catalog_export.formats else []
    return [settings.key(name) for name in names]


def partitions_of_kind(settings: Settings, kind: FileKind) -> dg.DynamicPartitionsDefinition:
    """One partition per dataset of which this kind is kept."""
    return dg.DynamicPartitionsDefinition(name=f"{settings.name}/{kind}")


def partitions_of_source(settings: Settings) -> dg.DynamicPartitionsDefinition:
    """One partition per dataset of which any kind is kept."""
    return dg.DynamicPartitionsDefinition(name=f"{settings.name}/{SOURCE}")


def kept_of(
    settings: Settings, kind: FileKind, catalog: Mapping[str, Dataset]
) -> dict[str, Dataset]:
    """The datasets, among those to keep, of which a kind is kept.

    Args:
        settings: The portal's.
        kind: The kind.
        catalog: The datasets to keep.
    """
    chosen = choice(settings, kind)
    return {name: item for name, item in catalog.items() if chosen.has(name)}


def kept_of_any(settings: Settings, catalog: Mapping[str, Dataset]) -> dict[str, Dataset]:
    """The datasets, among those to keep, of which any kind is kept."""
    found: dict[str, Dataset] = {}
    for kind in file_kinds(settings):
        found |= kept_of(settings, kind, catalog)
    return found


def has_some(kind: FileKind, dataset: Dataset) -> bool:
    """Whether a dataset has files of a kind, as far as the catalog says."""
    if kind == "files":
        return loadable(dataset) and any(field.type == "file" for field in dataset.fields)
    return dataset.data_visible and not dataset.refused and dataset.documents != ""


def has_any(settings: Settings, dataset: Dataset) -> bool:
    """Whether a dataset has files of a kind that is kept of it."""
    return any(
        has_some(kind, dataset)
        for kind in file_kinds(settings)
        if choice(settings, kind).has(dataset.dataset_id)
    )
