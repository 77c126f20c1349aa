"""The catalog as a landed table, one row per dataset, and the doubt about one that shrank.

How a catalog is read is `portal.catalog`'s knowledge, loading the table the warehouse's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ods_pipeline.dataset import Dataset
from ods_pipeline.errors import (
    AccessDenied,
    DatasetNotFound,
    NotAPortal,
    OdsPipelineError,
    Unproven,
)
from ods_pipeline.lake.lake import Lake, receipt
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.lake.writer import PartitionWriter
from ods_pipeline.portal.catalog.catalog import as_table, completed, identity
from ods_pipeline.portal.catalog.dialects import explained
from ods_pipeline.portal.portal import Portal
from ods_pipeline.sync.plan import Planned
from ods_pipeline.sync.rules import DEFAULT

# Fewer datasets than these may go at once without anybody being asked.
_FEW = 5


def catalog_of(portal: Portal, landed: Iterable[str], before: int) -> list[Dataset]:
    """The datasets of a portal; one that speaks no Explore API v2.1 is told by what it does speak.

    Args:
        portal: The portal.
        landed: Datasets that were landed from it, one of which may be asked for.
        before: How many datasets it listed last time; as many again need no second look.

    Raises:
        PortalError: There is no catalog to read.
    """
    try:
        datasets = portal.datasets()
        sound = sum(not dataset.refused for dataset in datasets)
        return datasets if sound == before else completed(portal.client, datasets)
    except NotAPortal as error:
        other = explained(portal.client, error, landed)
        if other is error:
            raise
        raise other from error


def publish_catalog(lake: Lake, slug: str, datasets: Sequence[Dataset], url: str = "") -> Receipt:
    """Bring the lake's catalog up to date; a catalog that says the same is left alone.

    Whether it is to be believed is asked before, see `require_most` and `missing`.

    Raises:
        LakeError: The data folder cannot be written.
    """
    before, digest = receipt(lake.catalog), identity(datasets)
    if before and before.metadata_hash == digest:
        return before
    table = as_table(datasets).combine_chunks()
    known = Receipt(
        slug, "catalog", title=f"Catalog of {slug}", source_url=url, metadata_hash=digest
    )
    with PartitionWriter(lake, lake.catalog, table.schema) as writer:
        for batch in table.to_batches():
            writer.write(batch)
        # Of one landed without its identity the table is not made for nothing once more.
        same = before and before.content_hash == writer.content_hash()
        if before and same and before.metadata_hash:
            return before
        return writer.publish(known)


def require_most(slug: str, before: int, now: int) -> None:
    """Doubt a catalog that lost most of its datasets overnight, or what we are shown of it.

    A login that serves no more may show fewer datasets instead of an error.

    Args:
        slug: The portal.
        before: How many datasets it listed when it was landed last.
        now: How many it lists.

    Raises:
        Unproven: That many do not go without anybody being asked.
    """
    if DEFAULT.shrunk(before, now) and (before - now >= _FEW or not now):
        raise Unproven(
            f"the catalog of {slug} lists {now} datasets where it listed {before}: nothing was "
            "touched; check the credentials, and run `ods-pipeline sync --accept` if that is how "
            "it is meant",
            portal=slug,
        )


def gone(portal: Portal, dataset_id: str) -> bool:
    """Whether a portal has no such dataset, or not for us; one request.

    Raises:
        PortalError: The portal does not say.
    """
    try:
        portal.dataset(dataset_id)
    except (AccessDenied, DatasetNotFound):
        return True
    return False


def require_gone(portal: Portal, dataset_id: str) -> None:
    """Ask for a dataset by name before believing a catalog that leaves it out.

    Raises:
        Unproven: The portal has it.
        PortalError: The portal does not say.
    """
    if gone(portal, dataset_id):
        return
    raise Unproven(
        "the catalog leaves it out, but the portal has it: the catalog came incomplete, and what "
        "is landed stays; run again",
        dataset=dataset_id,
    )


def missing(portal: Portal, steps: Iterable[Planned]) -> dict[str, OdsPipelineError]:
    """The datasets that the catalog leaves out and the portal has, or does not deny to have.

    Each is asked for once, however many lanes it comes by.

    Args:
        portal: The portal.
        steps: What is to become of the datasets; only those newly withdrawn are asked for.
    """
    found: dict[str, OdsPipelineError] = {}
    for name in dict.fromkeys(step.dataset_id for step in steps if step.newly_withdrawn):
        try:
            require_gone(portal, name)
        except OdsPipelineError as error:
            found[name] = error
    return found
