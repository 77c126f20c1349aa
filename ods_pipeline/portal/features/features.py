"""Reads and proves a dataset's features, as typed batches in longitude and latitude.

The columns are those of the records, after the feature's identifier. Nothing here sends WFS
requests, follows pages or parses GML.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import shapely

from ods_pipeline.dataset import GEOGRAPHIC, Dataset, Field
from ods_pipeline.errors import (
    AccessDenied,
    ConfigurationError,
    Miscounted,
    OdsPipelineError,
    ServiceException,
    TypeMismatch,
)
from ods_pipeline.portal.exports.export import Export
from ods_pipeline.portal.exports.sample import sample
from ods_pipeline.portal.features.columns import FeatureColumns
from ods_pipeline.portal.features.empty_fields import require_empty
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.proof import Proof, hidden, live_count
from ods_pipeline.portal.query import ALL, Query, quoted_field
from ods_pipeline.portal.wfs import Version, Wfs
from ods_pipeline.portal.wfs.layer_reader import CAPPED, LayerReader, LayerRequest
from ods_pipeline.portal.wfs.operations import Bounds
from ods_pipeline.tables.columns import typed
from ods_pipeline.tables.geometry import primary
from ods_pipeline.tables.oddities import OnBad
from ods_pipeline.tables.schema import arrow_schema, pandas_type

if TYPE_CHECKING:
    import geopandas

    from ods_pipeline.portal.gml import AxisOrder

_NUMBER = r"\s*(-?\d+(?:\.\d+)?)\s*"
# Its corners are given as latitude and longitude.
_IN_BBOX = re.compile(rf"in_bbox\s*\(([^,()]+),{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}\)", re.I)
_NO_BOX = (shapely.errors.ShapelyError, ValueError, TypeError, KeyError, RuntimeError)


def schema(dataset: Dataset, select: Sequence[str] = ()) -> pa.Schema:
    """The columns of a dataset's features.

    Args:
        dataset: The dataset, with its fields.
        select: Names of the fields to read; all without it.

    Returns:
        `gml_id`, then the fields in their order, typed as in the records. The identifier is called
        `_gml_id` if a field has that name.

    Raises:
        ConfigurationError: There is no such field.
        SchemaMismatch: A declared type is unknown, or two fields have the same name.
    """
    fields = arrow_schema(_selected(dataset, select))
    name = "gml_id"
    while name in fields.names:
        name = f"_{name}"
    return pa.schema([pa.field(name, pa.string()), *fields])


def _selected(dataset: Dataset, select: Sequence[str]) -> tuple[Field, ...]:
    unknown = sorted(set(select) - {field.name for field in dataset.fields})
    if unknown:
        raise ConfigurationError(
            f"{dataset.dataset_id} has no field {unknown[0]!r} to select",
            dataset=dataset.dataset_id,
        )
    return tuple(f for f in dataset.fields if not select or f.name in select)


@contextlib.contextmanager
def opened(
    client: Client,
    dataset: Dataset,
    *,
    version: Version = "1.1.0",
    received: Callable[[int], object] = lambda size: None,
    axis_order: AxisOrder = "auto",
    select: Sequence[str] = (),
    where: str | None = None,
    on_bad: OnBad | None = None,
) -> Iterator[Export]:
    """Request the features of a dataset, typed as declared in the catalog.

    Args:
        client: The portal's client.
        dataset: The dataset, with its fields.
        version: Version of WFS. 2.0.0 follows pages, and reads a layer that the server caps by
            bounding boxes.
        received: Called with the size of each piece that arrives, in bytes.
        axis_order: Order of coordinates if their reference system leaves it open; `auto` decides
            by the dataset's extent, and notes it.
        select: Names of the fields to read; all without it.
        where: ODSQL filter that WFS knows as well: `in_bbox(field, …)`, in version 2.0.0.
        on_bad: Takes the values of a batch that are not of their fields' types, which become null.
            Without it they are counted to the end of the features and refused.

    Yields:
        The features as an export; the other errors are raised while they are read.

    Raises:
        ConfigurationError: There is no such version or field, or WFS has no such filter.
        SchemaMismatch: The features' properties are not the declared fields.
        TypeMismatch: A value is not of its field's type.
        GmlRefused: The answer cannot be read correctly.
        Unproven: The answer is not whole.
        PortalError: A request failed.
    """
    columns, fields = schema(dataset, select), _selected(dataset, select)
    wfs = Wfs(client, version)
    # Named only if some are left out: naming all would make the URL longer.
    names = [field.name for field in fields] if select else []
    request = LayerRequest(
        dataset.dataset_id,
        names,
        extent(dataset),
        lambda: sample_extent(client, dataset),
        axis_order,
        received,
        box_of(dataset, where, version),
    )
    reader = LayerReader(wfs, request)
    url = wfs.url(dataset.dataset_id, names)
    typing = FeatureColumns(client, dataset, fields, columns, on_bad)
    with contextlib.closing(_batches(reader, typing, client, dataset, url, where)) as batches:
        yield Export("gml", url, columns, batches, reader.notes)


def _batches(
    reader: LayerReader,
    typing: FeatureColumns,
    client: Client,
    dataset: Dataset,
    url: str,
    where: str | None,
) -> Generator[pa.RecordBatch, None, None]:
    try:
        for batch in reader.batches():
            if batch.rows:
                yield typing.typed(batch)
        reader.notes.extend(typing.ended())
        filled = Query(where).narrowed(_has_geometry(dataset))
        require_empty(client, dataset, typing.empty_fields, filled.where or "")
    except OdsPipelineError as error:
        error.url = error.url or url
        raise


def box_of(dataset: Dataset, where: str | None, version: Version) -> Bounds | None:
    """West, south, east and north of a filter that is a box; None for no filter.

    Raises:
        ConfigurationError: It is another filter, or the version has no boxes.
    """
    if not where:
        return None
    box = _IN_BBOX.fullmatch(where.strip())
    # Of several geometries it is not known which the WFS compares with the box.
    named = box and [box[1].strip().strip("`")] == [field.name for field in dataset.geographic]
    if version != "2.0.0" or not box or not named:
        raise ConfigurationError(
            f"WFS {version} cannot filter features by {where!r}: it knows boxes alone, "
            "`in_bbox(field, …)` of the only geographic field, and only in version 2.0.0; the "
            "records can be filtered, so leave the dataset out of `features`",
            dataset=dataset.dataset_id,
        )
    south, west, north, east = map(float, box.groups()[1:])
    return west, south, east, north


def extent(dataset: Dataset) -> Bounds | None:
    """West, south, east and north of a dataset by the catalog; None if it has none."""
    default = dataset.metas.get("default")
    box: Any = default.get("bbox") if isinstance(default, dict) else None
    try:
        shape = box.get("geometry", box) if isinstance(box, dict) else None
        bounds = shapely.from_geojson(json.dumps(shape)).bounds if shape else ()
    except _NO_BOX:
        return None
    if len(bounds) != 4:
        return None
    west, south, east, north = map(float, bounds)
    # The bounds of an empty geometry are NaN, which fails this comparison too.
    return (west, south, east, north) if -90 <= south <= north <= 90 else None


def sample_extent(client: Client, dataset: Dataset) -> Bounds | None:
    """West, south, east and north of a hundred records of a dataset, with one request.

    Returns:
        None if no record has a geometry that can be read.

    Raises:
        PortalError: The request failed.
    """
    field = min(dataset.geographic, key=lambda item: item.type != "geo_point_2d")
    name = quoted_field(field.name)
    query = {"select": name, "where": f"{name} is not null", "limit": 100}
    texts = [json.dumps(record.get(field.name)) for record in sample(client, dataset, query)]
    try:
        shapes = shapely.from_wkb(typed(pa.array(texts, pa.string()), field).to_pylist())
    except TypeMismatch:
        return None
    west, south, east, north = map(float, shapely.total_bounds(shapes))
    return (west, south, east, north) if west <= east else None


@dataclass(frozen=True)
class FeatureProof(Proof):
    """What the number of features was compared with.

    A server that caps its answers may also cap its number of hits, so hits alone prove nothing.

    Attributes:
        rows: Number of features that arrived.
        live_count: Number of records that the portal counted afterwards; None for none.
        hits: The WFS's count for the same query; None without one.
        with_geometry: Number of records with a geometry, if only these are features.
    """

    hits: int | None = None
    with_geometry: int | None = None

    @property
    def counted(self) -> int | None:
        """The portal's count that the features were compared with."""
        counts = (self.hits, self.with_geometry, super().counted)
        return next((count for count in counts if count is not None), None)

    def __str__(self) -> str:
        """The proof as a sentence, for people and for the receipt."""
        hits = "" if self.hits is None else f" = hits {self.hits}"
        records = self.catalog_count if self.live_count is None else self.live_count
        if self.with_geometry is None:
            return f"{self.rows} features{hits} = {self.by} {records}"
        return (
            f"{self.rows} features{hits} = the {self.with_geometry} of {records} records "
            "that have a geometry"
        )


def prove(
    client: Client,
    dataset: Dataset,
    rows: int,
    version: Version = "1.1.0",
    query: Query = ALL,
) -> FeatureProof | None:
    """Compare the number of features that arrived with what the portal counts now.

    Returns:
        None where the portal does not count its records for this caller.

    Raises:
        AccessDenied: None arrived although the dataset has records: they are restricted.
        Miscounted: The numbers differ.
    """
    where = {"portal": client.slug, "dataset": dataset.dataset_id}
    hits = _hits(client, dataset, version, query.where)
    if hits is not None and rows != hits:
        raise Miscounted(
            f"{rows} features came where the WFS counts {hits}; {_advice(rows, hits, version)}",
            rows=rows,
            counted=hits,
            **where,
        )
    records = live_count(client, dataset.dataset_id, query)
    if records is None:
        return None
    if rows == records == 0 and hidden(client, dataset, query):
        raise AccessDenied(
            f"the portal's WFS shows 0 of the {dataset.records_count} records that its catalog "
            "counts; they are restricted or being republished",
            **where,
        )
    if rows == records:
        return FeatureProof(rows, records, None, hits)
    filled = query.narrowed(_has_geometry(dataset))
    with_geometry = live_count(client, dataset.dataset_id, filled)
    if rows == with_geometry:
        return FeatureProof(rows, records, None, hits, with_geometry)
    raise Miscounted(
        f"{rows} features came where the portal counts {records} records, {with_geometry} with "
        f"geometry; {_advice(rows, records, version)}",
        rows=rows,
        counted=records,
        **where,
    )


def _hits(client: Client, dataset: Dataset, version: Version, where: str | None) -> int | None:
    box = box_of(dataset, where, version)
    try:
        return Wfs(client, version).hits(dataset.dataset_id, bbox=box)
    except ServiceException:
        return None


def _has_geometry(dataset: Dataset) -> str:
    return " or ".join(f"{quoted_field(field.name)} is not null" for field in dataset.geographic)


def _advice(rows: int, counted: int, version: Version) -> str:
    capped = version == "1.1.0" and rows < counted
    return CAPPED if capped else "nothing was kept of them"


def frame(table: pa.Table, fields: Sequence[Field]) -> geopandas.GeoDataFrame:
    """Features as a GeoDataFrame, with every geometry as a column with its CRS.

    Args:
        table: Columns as in `schema`.
        fields: The dataset's fields.
    """
    import geopandas

    present = [field for field in fields if field.name in table.schema.names]
    shapes = [field.name for field in present if field.type in GEOGRAPHIC]
    made = table.to_pandas(types_mapper=pandas_type)
    for name in shapes:
        made[name] = geopandas.GeoSeries.from_wkb(table[name].to_pandas(), crs="OGC:CRS84")
    return geopandas.GeoDataFrame(made, geometry=primary(present) or None)
