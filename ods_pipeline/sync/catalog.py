"""The portal's catalog: read completely, doubted where it shrank, landed as a table.

The requests and the parsing belong to `portal`, loading the table to `warehouse`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ods_pipeline.dataset import Dataset
from ods_pipeline.errors import (
    AccessDenied,
    DatasetNotFound,
    NotAPortal,
    OdsPipelineError,
    Unproven,
)
from ods_pipeline.lake.lake import Lake
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.portal.catalog.catalog import completed, identity
from ods_pipeline.portal.catalog.dialects import better_error
from ods_pipeline.portal.portal import Portal
from ods_pipeline.sync.plan import Planned
from ods_pipeline.sync.rules import DEFAULT

# So few datasets may go at once without being doubted.
_FEW = 5


def catalog_of(portal: Portal, lake: Lake) -> list[Dataset]:
    """The datasets of a portal, all of them.

    An export of the catalog may leave datasets out. Where it lists as many as last time it is
    taken as complete. Else the catalog's own count is asked for, and if the export has fewer the
    datasets are read page by page.

    Args:
        portal: The portal.
        lake: What was landed from it. Where the portal does not speak Explore API v2.1, one landed
            dataset is asked for, to say what it does speak.

    Raises:
        PortalError: There is no catalog to read.
    """
    before = lake.catalog_receipt()
    try:
        datasets = portal.datasets()
        sound = sum(not dataset.refused for dataset in datasets)
        return datasets if before and sound == before.rows else completed(portal.client, datasets)
    except NotAPortal as error:
        other = better_error(portal.client, error, lake.receipts("records"))
        if other is error:
            raise
        raise other from error


def publish_catalog(lake: Lake, slug: str, datasets: Sequence[Dataset], url: str = "") -> Receipt:
    """Bring the lake's catalog up to date; an equal one is left alone.

    Check before whether it can be believed, with `require_most` and `with_missing`.

    Raises:
        LakeError: The data folder cannot be written.
    """
    # Runs that begin at once would overtake each other in a bucket, and all but one would fail.
    with lake.lock("lake", "catalog"):
        return _published(lake, slug, datasets, url)


def _published(lake: Lake, slug: str, datasets: Sequence[Dataset], url: str) -> Receipt:
    before, digest = lake.catalog_receipt(), identity(datasets)
    if before and before.metadata_hash == digest:
        return before
    from ods_pipeline.lake.writer import PartitionWriter
    from ods_pipeline.portal.catalog.table import as_table

    table = as_table(datasets).combine_chunks()
    catalog = Receipt(
        slug, "catalog", title=f"Catalog of {slug}", source_url=url, metadata_hash=digest
    )
    with PartitionWriter(lake, lake.catalog, table.schema) as writer:
        for batch in table.to_batches():
            writer.write(batch)
        # A catalog that was landed without this digest gets it, and is published once more.
        same = before and before.content_hash == writer.content_hash()
        if before and same and before.metadata_hash:
            return before
        return writer.publish(catalog)


def require_most(slug: str, before: int, now: int) -> None:
    """Refuse a catalog that lost most of its datasets overnight.

    A login that has ended may show fewer datasets instead of an error.

    Args:
        slug: The portal.
        before: How many datasets it listed when it was landed last.
        now: How many it lists.

    Raises:
        Unproven: So many datasets do not go without a mistake somewhere.
    """
    if DEFAULT.shrunk(before, now) and (before - now >= _FEW or not now):
        raise Unproven(
            f"the catalog of {slug} lists {now} datasets where it listed {before}: nothing was "
            "touched; check the credentials, and if it is right run `ods-pipeline sync --accept`",
            portal=slug,
        )


def gone(portal: Portal, dataset_id: str) -> bool:
    """Whether a portal has no such dataset, or hides it; one request.

    Raises:
        PortalError: The portal does not answer.
    """
    try:
        portal.dataset(dataset_id)
    except (AccessDenied, DatasetNotFound):
        return True
    return False


def with_missing(portal: Portal, steps: Iterable[Planned]) -> list[Planned]:
    """The steps, those marked that the catalog leaves out although the portal has the dataset.

    Each dataset that is newly withdrawn is asked for by name once, for records and features
    together. If the portal has it, or does not answer, the catalog came incomplete.

    Args:
        portal: The portal.
        steps: The plan.
    """
    errors: dict[str, OdsPipelineError | None] = {}
    marked = []
    for step in steps:
        if step.newly_withdrawn and step.dataset_id not in errors:
            errors[step.dataset_id] = _missing(portal, step.dataset_id)
        missing = errors.get(step.dataset_id) if step.newly_withdrawn else None
        marked.append(replace(step, missing=missing) if missing else step)
    return marked


def _missing(portal: Portal, dataset_id: str) -> OdsPipelineError | None:
    try:
        if gone(portal, dataset_id):
            return None
    except OdsPipelineError as error:
        return error
    return Unproven(
        "the catalog leaves it out, but the portal has it: the catalog came incomplete, and what "
        "is landed stays; run again",
        dataset=dataset_id,
    )
