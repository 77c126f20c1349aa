"""The parameters of exports as the API names them, for exports that are handed over as they are.

The exports that are read here ask for what they need themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict


class CatalogParameters(TypedDict, total=False):
    """What an export of the catalog can be asked for.

    Attributes:
        select: Metadata, such as `dataset_id, title`.
        where: ODSQL filter on metadata.
        order_by: ODSQL order.
        group_by: ODSQL grouping.
        limit: Number of datasets; -1 for all.
        offset: Datasets to leave out at the beginning.
        refine: Facet values to keep, each `facet:value`.
        exclude: Facet values to leave out, each `facet:value`.
        lang: Language of texts, such as `fr`.
        timezone: Zone of datetimes, such as `Europe/Paris`.
        delimiter: Text between cells (CSV): `;`, `,`, `|` or a tab.
        list_separator: Text between values of a list (CSV).
        quote_all: Quotes around every text (CSV).
        with_bom: A byte order mark at the beginning (CSV).
        include_exports: Formats of exports to link to, such as `csv,json` (DCAT).
        use_labels_in_exports: Whether the links lead to exports with labels (DCAT).
    """

    select: str
    where: str
    order_by: str
    group_by: str
    limit: int
    offset: int
    refine: Sequence[str]
    exclude: Sequence[str]
    lang: str
    timezone: str
    delimiter: Literal[";", ",", "\t", "|"]
    list_separator: str
    quote_all: bool
    with_bom: bool
    include_exports: str
    use_labels_in_exports: bool


class ExportParameters(TypedDict, total=False):
    """What an export of a dataset can be asked for; an offset it has none.

    Attributes:
        select: Fields or ODSQL expressions.
        where: ODSQL filter.
        order_by: ODSQL order.
        group_by: ODSQL grouping.
        limit: Number of records; -1 for all.
        refine: Facet values to keep, each `facet:value`.
        exclude: Facet values to leave out, each `facet:value`.
        lang: Language of texts, such as `fr`.
        timezone: Zone of datetimes, such as `Europe/Paris`.
        use_labels: Labels of fields instead of their names.
        compressed: The export as a gzip file.
        epsg: Reference system of geometries, by its EPSG code.
        delimiter: Text between cells (CSV): `;`, `,`, `|` or a tab.
        list_separator: Text between values of a list (CSV).
        quote_all: Quotes around every text (CSV).
        with_bom: A byte order mark at the beginning (CSV).
        parquet_compression: Compression of column chunks (Parquet).
        name_field: Field that names each waypoint (GPX).
        description_field_list: Fields that describe it, with commas between (GPX).
        use_extension: All other fields as extensions (GPX).
    """

    select: str
    where: str
    order_by: str
    group_by: str
    limit: int
    refine: Sequence[str]
    exclude: Sequence[str]
    lang: str
    timezone: str
    use_labels: bool
    compressed: bool
    epsg: int
    delimiter: Literal[";", ",", "\t", "|"]
    list_separator: str
    quote_all: bool
    with_bom: bool
    parquet_compression: Literal["snappy", "zstd"]
    name_field: str
    description_field_list: str
    use_extension: bool
