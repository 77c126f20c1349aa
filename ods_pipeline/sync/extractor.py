"""How a dataset's rows are fetched: records through an export, features through WFS.

What differs between the two is decided here, so that planning and landing treat them alike.
Reading either format belongs to `portal`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ods_pipeline.dataset import Dataset
from ods_pipeline.errors import AccessDenied, DataError, NothingToLand
from ods_pipeline.lake.lake import PartitionKind
from ods_pipeline.portal import proof
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.proof import Proof
from ods_pipeline.portal.query import ALL, Query

if TYPE_CHECKING:
    import pyarrow as pa

    from ods_pipeline.portal.exports.export import Export, Format
    from ods_pipeline.portal.gml import AxisOrder
    from ods_pipeline.portal.wfs import Version
    from ods_pipeline.tables.oddities import OnBad


@dataclass(frozen=True)
class Extractor:
    """Fetches the rows of a dataset, of one kind and in one format.

    Attributes:
        kind: `records` or `features`; the folder of the partitions, and what the table is called.
        format: Export that records are read from first.
        version: Version of WFS that features are read with.
        axis_order: Order of the features' coordinates where their reference system leaves it open.
    """

    kind: PartitionKind = "records"
    format: Format = "parquet"
    version: Version = "1.1.0"
    axis_order: AxisOrder = "auto"

    @property
    def reads(self) -> str:
        """The format that is asked for: `parquet`, `csv` or `gml`."""
        return self.format if self.kind == "records" else "gml"

    @property
    def way(self) -> str:
        """How rows are fetched, in one text: what another way would make of them is open."""
        return self.reads if self.kind == "records" else f"gml {self.version} {self.axis_order}"

    @property
    def requests(self) -> int:
        """How many requests landing a dataset takes, if nothing goes wrong."""
        return 3 if self.kind == "records" else 5

    def load(self) -> None:
        """Import what fetches the rows, which takes a while, and is not to be done by threads."""
        if self.kind == "records":
            from ods_pipeline.portal.exports import export  # noqa: F401
        else:
            from ods_pipeline.portal.features import features  # noqa: F401

    def applies_to(self, dataset: Dataset) -> bool:
        """Whether a dataset can be fetched so: WFS has only the geographic ones."""
        return self.kind == "records" or bool(dataset.geographic)

    def schema(self, dataset: Dataset) -> pa.Schema:
        """The columns of a dataset's partition.

        Raises:
            SchemaMismatch: Two fields have the same name.
        """
        if self.kind == "records":
            from ods_pipeline.tables.schema import arrow_schema

            return arrow_schema(dataset.fields)
        from ods_pipeline.portal.features import features

        return features.schema(dataset)

    def opened(
        self,
        client: Client,
        dataset: Dataset,
        staging_dir: Path,
        on_bytes: Callable[[int], object],
        on_bad: OnBad | None = None,
        query: Query = ALL,
    ) -> AbstractContextManager[Export]:
        """Request the rows of a dataset; see `portal.exports` and `portal.features`."""
        if self.kind == "records":
            from ods_pipeline.portal.exports.export import open_export

            return open_export(
                client,
                dataset,
                self.format,
                query,
                staging_dir=staging_dir,
                on_bytes=on_bytes,
                on_bad=on_bad,
            )
        from ods_pipeline.portal.features import features

        return features.opened(
            client,
            dataset,
            version=self.version,
            received=on_bytes,
            axis_order=self.axis_order,
            select=query.fields,
            where=query.where,
            on_bad=on_bad,
        )

    def prove(self, client: Client, dataset: Dataset, rows: int, query: Query) -> Proof | None:
        """Compare the rows that arrived with what the portal counts at this moment.

        Returns:
            None where it does not count for this caller.

        Raises:
            Unproven: The numbers differ.
        """
        if self.kind == "records":
            return proof.prove(client, dataset, rows, query)
        from ods_pipeline.portal.features import features

        return features.prove(client, dataset, rows, self.version, query)

    def require(self, dataset: Dataset) -> None:
        """Refuse a dataset that cannot be landed.

        Raises:
            AccessDenied: Its records are not visible.
            DataError: Its description in the catalog is unusable.
            NothingToLand: It has no records, or no layer in WFS.
        """
        name = dataset.dataset_id
        where = {"portal": dataset.portal, "dataset": name}
        if dataset.refused:
            raise DataError(dataset.refused, **where)
        if not dataset.has_records:
            raise NothingToLand(f"{name} holds no records to land", **where)
        if not dataset.data_visible or not dataset.fields:
            raise AccessDenied(
                f"{name} is restricted: its metadata are public, its records are not; "
                "ask the portal for access",
                **where,
            )
        if not self.applies_to(dataset):
            raise NothingToLand(
                f"{name} has no geographic field, so WFS has no layer of it", **where
            )


RECORDS, FEATURES = Extractor(), Extractor("features")
