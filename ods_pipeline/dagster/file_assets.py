"""The assets that are files: attachments, files of records, and exports of the catalog.

They are off until a block of YAML names datasets or formats. What is kept and how is decided in
`sync`; here it is done for the partitions of a run, and reported.
"""

import hashlib
from typing import Any

import dagster as dg

from ods_pipeline.dagster.automation import refresh_on_change
from ods_pipeline.dagster.events import for_each_partition, interrupted, materialized
from ods_pipeline.dagster.file_metadata import Kept
from ods_pipeline.dagster.file_partitions import (
    SOURCE,
    choice,
    file_kinds,
    partitions_of_kind,
    partitions_of_source,
)
from ods_pipeline.dagster.resources import errors_as_failures, lake_of, portal_of
from ods_pipeline.dagster.settings import Settings
from ods_pipeline.lake.lake import receipt
from ods_pipeline.sync.kept_folders import (
    CATALOG_EXPORT,
    FileKind,
    KeptFolder,
    keep_catalog_exports,
    keep_dataset_files,
)

_LOGGED = 200
_DESCRIBED: dict[FileKind, str] = {
    "attachments": "Documents beside the records and exports that publishers made otherwise, as "
    "files; only changed ones are fetched again, and what the portal withdraws stays.",
    "files": "Files that records point to, such as photographs; only changed ones are fetched "
    "again, and what no record points to any more stays.",
}


def file_assets(settings: Settings) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """The assets that are switched on: none without a word of them in the attributes."""
    kinds = file_kinds(settings)
    exported = settings.attributes.catalog_export.formats
    return [
        *([_source_spec(settings)] if kinds else []),
        *(_kept_asset(settings, kind) for kind in kinds),
        *([_catalog_exports(settings)] if exported else []),
    ]


def _source_spec(settings: Settings) -> dg.AssetSpec:
    return dg.AssetSpec(
        settings.key(SOURCE),
        partitions_def=partitions_of_source(settings),
        group_name=settings.group,
        kinds={"opendatasoft"},
        description=f"The datasets of {settings.address.base} of which files are kept, by the "
        "version of what it declares of them and their attachments.",
    )


def _kept_asset(settings: Settings, kind: FileKind) -> dg.AssetsDefinition:
    limits = choice(settings, kind).limits()

    @dg.asset(
        key=settings.key(kind),
        # The datasets of one kind are among those of any.
        deps=[dg.AssetDep(settings.key(SOURCE), partition_mapping=dg.IdentityPartitionMapping())],
        partitions_def=partitions_of_kind(settings, kind),
        backfill_policy=dg.BackfillPolicy.multi_run(settings.attributes.datasets_per_run),
        group_name=settings.group,
        kinds={"file"},
        required_resource_keys={settings.resource("portal"), settings.resource("lake")},
        pool=settings.portal_pool,
        code_version=_code_version(limits),
        automation_condition=refresh_on_change(),
        description=_DESCRIBED[kind],
    )
    def kept(context: dg.AssetExecutionContext) -> Any:
        with errors_as_failures():
            portal, lake = portal_of(context, settings), lake_of(context, settings)

            def keep(name: str) -> Kept:
                folder = lake.files(kind, name)
                found = keep_dataset_files(portal, name, kind, folder, limits)
                _require_all(context, found)
                return Kept(found, settings.page(name))

            done, failed = for_each_partition(context.partition_keys, keep)
        if failed:
            raise interrupted(context, done, failed)
        yield from materialized(context, done)

    return kept


def _catalog_exports(settings: Settings) -> dg.AssetsDefinition:
    formats = tuple(dict.fromkeys(settings.attributes.catalog_export.formats))

    @dg.asset(
        key=settings.key(CATALOG_EXPORT),
        deps=[settings.key("catalog")],
        group_name=settings.group,
        kinds={"file"},
        required_resource_keys={settings.resource("portal"), settings.resource("lake")},
        pool=settings.portal_pool,
        code_version=_code_version(formats),
        automation_condition=refresh_on_change(),
        description=f"The catalog of {settings.address.base} as the portal exports it: "
        f"{', '.join(formats)}. It is fetched again when the landed catalog is another.",
    )
    def catalog_export(context: dg.AssetExecutionContext) -> Any:
        with errors_as_failures():
            portal, lake = portal_of(context, settings), lake_of(context, settings)
            landed = receipt(lake.catalog)
            version = landed.content_hash if landed else ""
            found = keep_catalog_exports(portal, formats, lake.files("catalog"), version)
            _require_all(context, found)
        made = Kept(found)
        return dg.MaterializeResult(
            metadata=made.metadata(), data_version=dg.DataVersion(made.version)
        )

    return catalog_export


def _require_all(context: dg.AssetExecutionContext, found: KeptFolder) -> None:
    """Fail where files are missing, with a line in the log for each of them.

    Raises:
        FilesMissing: Some failed.
        QuotaExhausted: Some are put off.
    """
    for sentence in found.failed[:_LOGGED]:
        context.log.error(sentence)
    if found.problem:
        raise found.problem


def _code_version(chosen: object) -> str:
    """Another one where the user asks for other files, so that they are looked at."""
    return f"1.{hashlib.sha256(repr(chosen).encode()).hexdigest()[:8]}"
