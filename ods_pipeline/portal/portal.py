"""`Portal`: the one object that Python users hold. It puts the modules beside it together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Unpack

from ods_pipeline.dataset import Dataset
from ods_pipeline.errors import NotAPortal, NothingToLand
from ods_pipeline.markup import card, plain
from ods_pipeline.portal.catalog import catalog
from ods_pipeline.portal.catalog.datasets import Datasets
from ods_pipeline.portal.http.address import dataset_path, segment
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.http.signing import Credentials
from ods_pipeline.portal.progress import watched
from ods_pipeline.portal.proof import prove, prove_by_catalog
from ods_pipeline.portal.queries.queries import Queries
from ods_pipeline.portal.query import Query
from ods_pipeline.state.database import shared

if TYPE_CHECKING:
    import geopandas
    import pyarrow as pa

    from ods_pipeline.portal.exports.export import Format
    from ods_pipeline.portal.exports.parameters import CatalogParameters, ExportParameters
    from ods_pipeline.portal.exports.record_stream import RecordStream
    from ods_pipeline.portal.files.remote_file import RemoteFile
    from ods_pipeline.portal.gml import AxisOrder
    from ods_pipeline.portal.wfs import Method, Version, Wfs


class Portal(Queries):
    """An Opendatasoft portal, read through its Explore API v2.1 and its WFS.

    Where a portal has no v2.1 but v2.0, that is read. Nothing is asked before a method needs it.
    Every result is proven complete or raised about.

    Examples:
        >>> portal = Portal("data.economie.gouv.fr")  # doctest: +SKIP
        >>> portal.catalog().num_rows  # doctest: +SKIP
    """

    def __init__(
        self,
        address: str,
        credentials: Credentials | None = None,
        *,
        lang: str = "en",
        connect_timeout: float = 10,
        read_timeout: float = 120,
        max_wait: float = 60,
        attempts: int = 4,
        pause: float = 1,
        progress: bool = True,
        now: Callable[[], float] = time.time,
        state: str = "",
    ) -> None:
        """Prepare to read a portal; nothing is sent yet.

        Args:
            address: Domain or base URL.
            credentials: `ApiKey` or `OAuth2`, shown to this portal with each request.
            lang: Language of the metadata asked for.
            connect_timeout: Seconds for a connection.
            read_timeout: Seconds of silence before giving up; never a bound on a whole transfer.
            max_wait: Seconds to wait at most for a spent quota to be full again.
            attempts: How often a request is sent at most.
            pause: Seconds to wait before the second attempt, about; twice as many before each next.
            progress: Whether long reads show how much has come, in a notebook or on a terminal.
            now: The clock for quotas, in seconds since 1970.
            state: `postgresql://…` where several hosts share the quota; without it this one's do.

        Raises:
            ConfigurationError: An address is unusable, or credentials would be sent unprotected.
        """
        self.client = Client(
            address,
            credentials,
            lang=lang,
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            max_wait=max_wait,
            attempts=attempts,
            pause=pause,
            now=now,
            state=shared(state),
        )
        self.progress = progress

    def __repr__(self) -> str:
        """The address, never a credential."""
        return f"Portal({self.client.address.base!r})"

    def _repr_html_(self) -> str:
        return card(f"Portal {self.client.address.base}")

    def datasets(self, where: str | None = None) -> Datasets:
        """All datasets of the catalog, in one request.

        Args:
            where: ODSQL filter on metadata.

        Raises:
            PortalError: The portal does not answer as one.
        """
        return Datasets(catalog.datasets(self.client, where))

    def catalog(self, where: str | None = None) -> pa.Table:
        """The catalog, one row per dataset; columns as in `portal.catalog.table.SCHEMA`."""
        from ods_pipeline.portal.catalog.table import as_table

        return as_table(self.datasets(where))

    def attachments(self, dataset_id: str) -> list[RemoteFile]:
        """The documents beside a dataset's records, alternative exports among them.

        Raises:
            DatasetNotFound: The portal has no dataset of this identifier.
            PortalError: The portal does not answer.
        """
        from ods_pipeline.portal.files.attachments import attachments

        return attachments(self.client, dataset_id)

    def record_files(self, dataset_id: str) -> list[RemoteFile]:
        """The files that a dataset's records point to, by fields of type `file`; each once.

        Raises:
            DatasetNotFound: The portal has no dataset of this identifier.
            Unproven: Not all of its records came.
            PortalError: The portal does not answer.
        """
        from ods_pipeline.portal.files.record_files import record_files

        return record_files(self.client, self.dataset(dataset_id))

    def formats(self, dataset_id: str = "") -> list[str]:
        """The formats that the portal exports a dataset in, or its catalog without an identifier.

        Raises:
            PortalError: The portal does not answer.
        """
        path = dataset_path(dataset_id, "/exports") if dataset_id else "/catalog/exports"
        body = self.client.json(path)
        links = body.get("links") if isinstance(body, dict) else None
        if not isinstance(links, list):
            url = self.client.url(path)
            raise NotAPortal("the reply is no list of exports", url=url, **self._of(dataset_id))
        found = [str(link.get("rel")) for link in links if isinstance(link, dict)]
        return [name for name in found if name not in {"self", "dataset", "datasets", "catalog"}]

    def records(
        self,
        dataset_id: str,
        format: Format = "parquet",
        *,
        where: str | None = None,
        select: str | Sequence[str] | None = None,
        order_by: str | None = None,
        group_by: str | None = None,
        limit: int | None = None,
        refine: Sequence[str] = (),
        exclude: Sequence[str] = (),
    ) -> pa.Table:
        """The records of a dataset, typed by the catalog's declarations and counted.

        Geometries are WKB in longitude and latitude and say so in the terms of GeoArrow, so that
        `GeoDataFrame.from_arrow` and DuckDB take them for what they are.

        Args:
            dataset_id: Identifier of the dataset.
            format: Export that the rows come through; the table is the same. A dataset whose
                Parquet export joins lists inseparably is read as CSV.
            where: ODSQL filter.
            select: Fields or ODSQL expressions.
            order_by: ODSQL order.
            group_by: ODSQL grouping.
            limit: Number of records; all without it.
            refine: Facet values to keep, each `facet:value`.
            exclude: Facet values to leave out, each `facet:value`.

        Raises:
            TypeMismatch: A value is not of its field's declared type.
            Unproven: The rows are not all that the portal counts, or it counts none: see
                `portal.proof`.
            PortalError: The portal does not give them.
        """
        with self.record_batches(
            dataset_id,
            format,
            where=where,
            select=select,
            order_by=order_by,
            group_by=group_by,
            limit=limit,
            refine=refine,
            exclude=exclude,
        ) as stream:
            return stream.read_all()

    def record_batches(
        self,
        dataset_id: str,
        format: Format = "parquet",
        *,
        where: str | None = None,
        select: str | Sequence[str] | None = None,
        order_by: str | None = None,
        group_by: str | None = None,
        limit: int | None = None,
        refine: Sequence[str] = (),
        exclude: Sequence[str] = (),
    ) -> RecordStream:
        """The same as a stream in bounded memory; the proof comes with its end.

        Args:
            dataset_id: Identifier of the dataset.
            format: Export that the rows come through.
            where: ODSQL filter.
            select: Fields or ODSQL expressions.
            order_by: ODSQL order.
            group_by: ODSQL grouping.
            limit: Number of records; all without it.
            refine: Facet values to keep, each `facet:value`.
            exclude: Facet values to leave out, each `facet:value`.

        Returns:
            An iterator of batches that a `with` block closes. Nothing is requested before it is
            used, so errors come with the first batch; the last read raises if the rows are not all.
        """
        from ods_pipeline.portal.exports.record_stream import RecordStream

        query = Query(where, select, order_by, group_by, limit, tuple(refine), tuple(exclude))
        return RecordStream(dataset_id, lambda: self._opened(dataset_id, format, query))

    @contextmanager
    def _opened(
        self, dataset_id: str, format: Format, query: Query
    ) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
        import pyarrow as pa

        from ods_pipeline.portal.exports import export as exports
        from ods_pipeline.tables.schema import with_geoarrow

        dataset = self.dataset(dataset_id)
        with (
            self._watched(dataset) as received,
            exports.open_export(self.client, dataset, format, query, on_bytes=received) as export,
        ):
            schema = with_geoarrow(export.schema)
            proven = self._proven(export.batches, dataset, query)
            yield (
                schema,
                (pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in proven),
            )

    def _watched(self, dataset: Dataset) -> AbstractContextManager[Callable[[int], object]]:
        return watched(plain(dataset.dataset_id), wanted=self.progress)

    def _proven(
        self, batches: Iterator[pa.RecordBatch], dataset: Dataset, query: Query
    ) -> Iterator[pa.RecordBatch]:
        rows = 0
        for batch in batches:
            rows += batch.num_rows
            yield batch
        if prove(self.client, dataset, rows, query) is None:
            prove_by_catalog(self.dataset(dataset.dataset_id), rows, query)

    def features(
        self,
        dataset_id: str,
        version: Version = "1.1.0",
        *,
        select: Sequence[str] = (),
        axis_order: AxisOrder = "auto",
    ) -> geopandas.GeoDataFrame:
        """The features of a geographic dataset through WFS, typed as its records and counted.

        Args:
            dataset_id: Identifier of the dataset.
            version: Version of WFS to ask for; 2.0.0 also reads layers that the server caps.
            select: Names of the fields to read; all without it.
            axis_order: Order of coordinates where the features leave it open.

        Returns:
            Longitudes and latitudes (OGC:CRS84), every geometry a column. `attrs` holds the proof,
            and notes about what was decided on the way.

        Raises:
            NothingToLand: The dataset has no geographic field.
            DataError: The features cannot be trusted, or are not all.
            PortalError: The portal does not give them.
        """
        import pyarrow as pa

        from ods_pipeline.portal.features import features

        dataset = self.dataset(dataset_id)
        if not dataset.geographic:
            message = f"{dataset_id} has no geographic field, so WFS has no layer of it"
            raise NothingToLand(message, portal=self.slug, dataset=dataset_id)
        with (
            self._watched(dataset) as received,
            features.opened(
                self.client,
                dataset,
                version=version,
                select=select,
                axis_order=axis_order,
                received=received,
            ) as export,
        ):
            table = pa.Table.from_batches(export.batches, export.schema)
        rows = table.num_rows
        proof = features.prove(self.client, dataset, rows, version) or prove_by_catalog(
            self.dataset(dataset_id), rows
        )
        layer = features.frame(table, dataset.fields)
        layer.attrs = {"proof": str(proof), "notes": list(export.notes)}
        return layer

    def wfs(self, version: Version = "1.1.0", *, method: Method = "GET") -> Wfs:
        """The portal's WFS itself: its operations, and features as GML.

        Args:
            version: Version of WFS to ask for.
            method: `GET`, or `POST` for XML bodies (1.1.0 alone).
        """
        from ods_pipeline.portal.wfs import Wfs

        return Wfs(self.client, version, method=method)

    def export(
        self, dataset_id: str, format: str, **parameters: Unpack[ExportParameters]
    ) -> AbstractContextManager[Iterator[bytes]]:
        """Any export of a dataset as the portal writes it, byte for byte.

        Args:
            dataset_id: Identifier of the dataset.
            format: Any format that the portal offers, such as `geojson`, `jsonl` or `shp`; see
                `formats`.
            **parameters: Any parameter of the API: see `ExportParameters`.

        Returns:
            A context manager over the body's chunks.
        """
        path = dataset_path(dataset_id, f"/exports/{segment('format', format)}")
        return self.client.stream(path, dict(parameters))

    def catalog_export(
        self, format: str, **parameters: Unpack[CatalogParameters]
    ) -> AbstractContextManager[Iterator[bytes]]:
        """Any export of the catalog as the portal writes it, byte for byte.

        Args:
            format: Any format that the portal offers, such as `dcat_ap_de`, `rdf` or `xlsx`; see
                `formats`.
            **parameters: Any parameter of the API: see `CatalogParameters`.

        Returns:
            A context manager over the body's chunks.
        """
        path = f"/catalog/exports/{segment('format', format)}"
        return self.client.stream(path, dict(parameters))
