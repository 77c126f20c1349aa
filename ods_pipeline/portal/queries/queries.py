"""The part of `Portal` that asks for pages: searches, records and aggregates, facets.

What is asked and how the rows are typed is decided beside it; bulk exports belong to `exports`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ods_pipeline.dataset import Dataset
from ods_pipeline.errors import NotAPortal
from ods_pipeline.portal.catalog import entries
from ods_pipeline.portal.catalog.datasets import Datasets
from ods_pipeline.portal.http.address import dataset_path, segment
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.queries import expressions, pages
from ods_pipeline.portal.query import Query, all_of, quoted_text

if TYPE_CHECKING:
    import pyarrow as pa

_DATASETS = "/catalog/datasets"


def searched(words: str, where: str | None) -> str | None:
    """The filter of the catalog for words to search for and another filter; None for neither."""
    return all_of(f"search({quoted_text(words)})" if words.strip() else None, where)


class Queries:
    """What a portal answers in pages; the methods are those of `Portal`."""

    client: Client

    @property
    def slug(self) -> str:
        """The portal's name on disk: host, with `_PORT` where a port was given."""
        return self.client.slug

    def dataset(self, dataset_id: str) -> Dataset:
        """One dataset's metadata and fields, as they are now.

        Raises:
            DatasetNotFound: The portal has no dataset of this identifier.
        """
        body = self.client.json(dataset_path(dataset_id))
        try:
            return Dataset.from_api(self.slug, body)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            url = self.client.url(dataset_path(dataset_id))
            raise NotAPortal(
                "the reply is no dataset of the Explore API v2.1", portal=self.slug, url=url
            ) from error

    def metadata(
        self,
        dataset_id: str,
        *,
        select: str | Sequence[str] | None = None,
        lang: str | None = None,
        timezone: str | None = None,
        include_links: bool = False,
        include_app_metas: bool = False,
    ) -> dict[str, Any]:
        """One dataset's page as the portal writes it.

        Args:
            dataset_id: Identifier of the dataset.
            select: Metadata to read, such as `default.title`; all without it.
            lang: Language of the metadata.
            timezone: Zone of datetimes.
            include_links: Add the addresses of its records, exports and so on, as `_links`.
            include_app_metas: Add what the portal notes of it, such as counts of downloads.

        Raises:
            DatasetNotFound: The portal has no dataset of this identifier.
            PortalError: The portal does not answer as one.
        """
        page = pages.Page(
            include_links=include_links, include_app_metas=include_app_metas
        ).parameters()
        asked = {**Query(select=select, lang=lang, timezone=timezone).parameters(), **page}
        path = dataset_path(dataset_id)
        body = self.client.json(path, asked)
        if not isinstance(body, dict):
            url = self.client.url(path)
            raise NotAPortal("the reply is no dataset", url=url, **self._of(dataset_id))
        return body

    def search(
        self,
        words: str = "",
        *,
        where: str | None = None,
        order_by: str | None = None,
        refine: Sequence[str] = (),
        exclude: Sequence[str] = (),
        limit: int | None = None,
        offset: int = 0,
        lang: str | None = None,
        timezone: str | None = None,
    ) -> Datasets:
        """The datasets that words or filters find, the best match first.

        Args:
            words: Words to search titles, descriptions and the like for.
            where: ODSQL filter on metadata.
            order_by: ODSQL order; of more than 100 datasets the API needs one, so `dataset_id`.
            refine: Facet values to keep, each `facet:value`.
            exclude: Facet values to leave out, each `facet:value`.
            limit: Number of datasets; all without it.
            offset: Number of datasets to leave out at the beginning.
            lang: Language of the metadata.
            timezone: Zone of datetimes.

        Raises:
            ConfigurationError: More than the first 10,000 are asked for; `datasets` has no limit.
            PortalError: The portal does not answer as one.
        """
        query = Query(
            searched(words, where),
            order_by=order_by or (None if words.strip() else "dataset_id"),
            refine=tuple(refine),
            exclude=tuple(exclude),
            lang=lang,
            timezone=timezone,
        )
        rows = pages.rows_of(
            self.client, _DATASETS, query, pages.Page(limit, offset), where=self._of()
        )
        return Datasets(entries.read(self.slug, rows) or [])

    def query_catalog(
        self,
        *,
        select: str | Sequence[str] | None = None,
        where: str | None = None,
        group_by: str | None = None,
        order_by: str | None = None,
        refine: Sequence[str] = (),
        exclude: Sequence[str] = (),
        limit: int | None = None,
        offset: int = 0,
        lang: str | None = None,
        timezone: str | None = None,
        include_links: bool = False,
        include_app_metas: bool = False,
    ) -> pa.Table:
        """Datasets as rows of the metadata that are selected, or aggregates of them.

        Args:
            select: Metadata or ODSQL expressions, such as `publisher, count(*) as datasets`.
            where: ODSQL filter on metadata.
            group_by: ODSQL grouping.
            order_by: ODSQL order.
            refine: Facet values to keep, each `facet:value`.
            exclude: Facet values to leave out, each `facet:value`.
            limit: Number of rows; all without it.
            offset: Number of rows to leave out at the beginning.
            lang: Language of the metadata.
            timezone: Zone of datetimes.
            include_links: Add the addresses of each dataset, as `_links`.
            include_app_metas: Add what the portal notes of each.

        Returns:
            A table with the types of the values; lists and objects are JSON text.

        Raises:
            ConfigurationError: The API does not give so many rows.
            PortalError: The portal does not answer as one.
        """
        query = Query(
            where,
            select,
            order_by,
            group_by,
            refine=tuple(refine),
            exclude=tuple(exclude),
            lang=lang,
            timezone=timezone,
        )
        page = pages.Page(limit, offset, include_links, include_app_metas)
        rows = pages.rows_of(self.client, _DATASETS, query, page, where=self._of())
        from ods_pipeline.portal.queries import tabular

        return tabular.table_of(rows, expressions.columns(query, {}))

    def query(
        self,
        dataset_id: str,
        *,
        select: str | Sequence[str] | None = None,
        where: str | None = None,
        group_by: str | None = None,
        order_by: str | None = None,
        refine: Sequence[str] = (),
        exclude: Sequence[str] = (),
        limit: int | None = None,
        offset: int = 0,
        lang: str | None = None,
        timezone: str | None = None,
        include_links: bool = False,
        include_app_metas: bool = False,
    ) -> pa.Table:
        """Some records of a dataset, or aggregates of them, as the portal computes them.

        Args:
            dataset_id: Identifier of the dataset.
            select: Fields or ODSQL expressions, such as `count(*) as stations`.
            where: ODSQL filter.
            group_by: ODSQL grouping; up to 20,000 groups come in one request.
            order_by: ODSQL order; more than 100 records need one.
            refine: Facet values to keep, each `facet:value`.
            exclude: Facet values to leave out, each `facet:value`.
            limit: Number of rows; all without it.
            offset: Number of rows to leave out at the beginning.
            lang: Language of texts that depend on one, such as names of months.
            timezone: Time zone of date functions; moments in the result stay UTC.
            include_links: Add the addresses of each record, as `_links`.
            include_app_metas: Add what the portal notes of each record.

        Returns:
            Fields with the types and metadata of `records`; expressions with the types that ODSQL
            gives them, else those of their values.

        Raises:
            ConfigurationError: The API does not give so many rows: see `records`.
            Contradicted: Fewer records came than the portal counts.
            TypeMismatch: A value is not of its field's declared type.
            PortalError: The portal does not answer.

        Examples:
            >>> portal.query("public-art", select="count(*)", group_by="type")  # doctest: +SKIP
        """
        query = Query(
            where,
            select,
            order_by,
            group_by,
            refine=tuple(refine),
            exclude=tuple(exclude),
            lang=lang,
            timezone=timezone,
        )
        page = pages.Page(limit, offset, include_links, include_app_metas)
        page.require_possible(query)
        dataset = self.dataset(dataset_id)
        path, where_ = dataset_path(dataset_id, "/records"), self._of(dataset_id)
        rows = pages.rows_of(self.client, path, query, page, where=where_)
        known = expressions.columns(query, {field.name: field for field in dataset.fields})
        from ods_pipeline.portal.exports.export import dialect
        from ods_pipeline.portal.queries import tabular

        return tabular.table_of(rows, known, dialect(self.client, dataset))

    def record(
        self,
        dataset_id: str,
        record_id: str,
        *,
        select: str | Sequence[str] | None = None,
        lang: str | None = None,
        timezone: str | None = None,
    ) -> pa.Table:
        """One record, by the identifier that `query(…, include_app_metas=True)` gives as `_id`.

        Args:
            dataset_id: Identifier of the dataset.
            record_id: Identifier of the record; without a unique id in the dataset a digest of its
                values, which changes with them.
            select: Fields or ODSQL expressions.
            lang: Language of texts that depend on one.
            timezone: Time zone of date functions.

        Returns:
            A table of one row, typed as by `query`.

        Raises:
            ConfigurationError: An identifier is empty, or would lead to another path.
            DatasetNotFound: There is no such dataset, or no such record.
            PortalError: The portal does not answer.
        """
        path = dataset_path(dataset_id, f"/records/{segment('record', record_id)}")
        dataset = self.dataset(dataset_id)
        query = Query(select=select, lang=lang, timezone=timezone)
        asked = {name: value for name, value in query.parameters().items() if value is not None}
        body = self.client.json(path, asked)
        known = expressions.columns(query, {field.name: field for field in dataset.fields})
        if not isinstance(body, dict):
            url = self.client.url(path)
            raise NotAPortal("the reply is no record", url=url, **self._of(dataset_id))
        from ods_pipeline.portal.exports.export import dialect
        from ods_pipeline.portal.queries import tabular

        return tabular.table_of([body], known, dialect(self.client, dataset))

    def facets(
        self,
        dataset_id: str = "",
        *,
        facet: Sequence[str] = (),
        where: str | None = None,
        refine: Sequence[str] = (),
        exclude: Sequence[str] = (),
        lang: str | None = None,
        timezone: str | None = None,
    ) -> pa.Table:
        """The values of a dataset's facets, or the catalog's, with their counts.

        Args:
            dataset_id: Identifier of the dataset; the catalog's facets without it.
            facet: Names of facets, or `facet(name="x", limit=500)`; those that are declared without
                it. A portal gives 100 values of each without a limit.
            where: ODSQL filter.
            refine: Facet values to keep, each `facet:value`.
            exclude: Facet values to leave out, each `facet:value`.
            lang: Language of texts.
            timezone: Time zone of dates.

        Returns:
            One row for each value: facet, value, name, count, state, parent.

        Raises:
            PortalError: The portal does not answer.
        """
        query = Query(
            where, refine=tuple(refine), exclude=tuple(exclude), lang=lang, timezone=timezone
        )
        path = dataset_path(dataset_id, "/facets") if dataset_id else "/catalog/facets"
        from ods_pipeline.portal.queries.facets import table_of_facets

        return table_of_facets(self.client, path, query, facet)

    def _of(self, dataset_id: str = "") -> dict[str, str]:
        return {"portal": self.slug, **({"dataset": dataset_id} if dataset_id else {})}
