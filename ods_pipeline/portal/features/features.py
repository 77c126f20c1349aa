"""A dataset's features: its layer in the portal's WFS, as typed batches in longitude and latitude.

The columns are those of the records, with the feature's identifier before them. Requests and
capped layers are the `wfs` folder's work, reading GML is the `gml` folder's.
"""

from __future__ import annotations

import contextlib
import json
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
from ods_pipeline.portal.features.columns import FeatureColumns
from ods_pipeline.portal.features.empty_fields import require_empty
from ods_pipeline.portal.http.address import dataset_path
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.proof import Proof, live_count
from ods_pipeline.portal.query import Query, quoted_field
from ods_pipeline.portal.wfs import Version, Wfs
from ods_pipeline.portal.wfs.gather import CAPPED, Asked, Gathering
from ods_pipeline.portal.wfs.operations import Bounds
from ods_pipeline.tables.geometry import primary, wkb
from ods_pipeline.tables.pandas_types import lossless
from ods_pipeline.tables.schema import arrow_schema

if TYPE_CHECKING:
    import geopandas

    from ods_pipeline.portal.gml import AxisOrder

_NO_BOX = (shapely.errors.ShapelyError, ValueError, TypeError, KeyError, RuntimeError)


def schema(dataset: Dataset, select: Sequence[str] = ()) -> pa.Schema:
    """The columns of a dataset's features.

    Args:
        dataset: The dataset, with its fields.
        select: Names of the fields to read; all without it.

    Returns:
        `gml_id`, then the fields in their order, typed as in the records. The identifier is called
        `_gml_id` where a field has that name.

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
) -> Iterator[Export]:
    """Ask for the features of a dataset, typed by the catalog's declarations.

    Args:
        client: The conversation with the portal.
        dataset: The dataset, with its fields.
        version: Version of WFS. 2.0.0 follows pages, and reads a layer that the server caps by
            bounding boxes.
        received: Told the size of each piece that arrives, in bytes.
        axis_order: Order of coordinates where their reference system leaves it open; `auto`
            decides by the dataset's extent, and notes it.
        select: Names of the fields to read; all without it.

    Yields:
        The features as an export; reading them raises the rest.

    Raises:
        ConfigurationError: There is no such version or field.
        SchemaMismatch: The features' properties are not the declared fields.
        TypeMismatch: A value is not of its field's type.
        GmlRefused: The answer cannot be read rightly.
        Unproven: The answer is not whole.
        PortalError: The portal did not answer as it should.
    """
    columns, fields = schema(dataset, select), _selected(dataset, select)
    wfs = Wfs(client, version)
    # Asked for by name only where some are left out: a list of all would be a longer URL.
    names = [field.name for field in fields] if select else []
    asked = Asked(
        dataset.dataset_id,
        names,
        extent(dataset),
        lambda: whereabouts(client, dataset),
        axis_order,
        received,
    )
    gathering = Gathering(wfs, asked)
    url = wfs.url(dataset.dataset_id, names)
    typing = FeatureColumns(client, dataset, fields, columns)
    with contextlib.closing(_batches(gathering, typing, client, dataset, url)) as batches:
        yield Export("gml", url, columns, batches, gathering.notes)


def _batches(
    gathering: Gathering, typing: FeatureColumns, client: Client, dataset: Dataset, url: str
) -> Generator[pa.RecordBatch, None, None]:
    try:
        for batch in gathering.batches():
            if batch.rows:
                yield typing.typed(batch)
        require_empty(client, dataset, typing.unfilled, _has_geometry(dataset))
    except OdsPipelineError as error:
        error.url = error.url or url
        raise


def extent(dataset: Dataset) -> Bounds | None:
    """West, south, east and north of a dataset as the catalog says it; None where it does not."""
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
    # An empty geometry has bounds that are no numbers, which fail this too.
    return (west, south, east, north) if -90 <= south <= north <= 90 else None


def whereabouts(client: Client, dataset: Dataset) -> Bounds | None:
    """West, south, east and north of a hundred of a dataset's records; one request.

    Returns:
        None where no record has a geometry that can be read.

    Raises:
        PortalError: The portal does not answer.
    """
    field = min(dataset.geographic, key=lambda item: item.type != "geo_point_2d")
    name = quoted_field(field.name)
    query = {"select": name, "where": f"{name} is not null", "limit": 100}
    path = dataset_path(dataset.dataset_id, "/records")
    body = client.json(path, query)
    texts = [json.dumps(record.get(field.name)) for record in body.get("results", ())]
    try:
        shapes = shapely.from_wkb(wkb(pa.array(texts, pa.string()), field).to_pylist())
    except TypeMismatch:
        return None
    west, south, east, north = map(float, shapely.total_bounds(shapes))
    return (west, south, east, north) if west <= east else None


@dataclass(frozen=True)
class FeatureProof(Proof):
    """What features were compared with.

    A server that caps its answers may cap its number of hits as well, so hits alone prove nothing.

    Attributes:
        rows: Features that arrived.
        live_count: Records that the portal counted afterwards.
        hits: Number that the WFS gives of the same query; None where it gives none.
        placed: Records with a geometry, where it is these that the features are.
    """

    hits: int | None = None
    placed: int | None = None

    def __str__(self) -> str:
        """For people, and for the receipt."""
        hits = "" if self.hits is None else f" = hits {self.hits}"
        if self.placed is None:
            return f"{self.rows} features{hits} = live count {self.live_count}"
        return (
            f"{self.rows} features{hits} = the {self.placed} of {self.live_count} records "
            "that have a geometry"
        )


def prove(client: Client, dataset: Dataset, rows: int, version: Version = "1.1.0") -> FeatureProof:
    """Compare the features that arrived with what the portal counts at this moment.

    Raises:
        AccessDenied: None came of a dataset that has records: they are restricted.
        Miscounted: The numbers differ.
    """
    where = {"portal": client.slug, "dataset": dataset.dataset_id}
    hits = _hits(client, dataset, version)
    if hits is not None and rows != hits:
        told = f"{rows} features came where the WFS counts {hits}"
        told = f"{told}; {_advice(rows, hits, version)}"
        raise Miscounted(told, rows=rows, counted=hits, **where)
    records = live_count(client, dataset.dataset_id)
    if rows == records == 0 and dataset.records_count:
        raise AccessDenied(
            f"the portal's WFS shows 0 of the {dataset.records_count} records that its catalog "
            "counts; they are restricted or being republished",
            **where,
        )
    if rows == records:
        return FeatureProof(rows, records, hits)
    placed = live_count(client, dataset.dataset_id, Query(where=_has_geometry(dataset)))
    if rows == placed:
        return FeatureProof(rows, records, hits, placed)
    told = f"{rows} features came where the portal counts {records} records, {placed} with geometry"
    told = f"{told}; {_advice(rows, records, version)}"
    raise Miscounted(told, rows=rows, counted=records, **where)


def _hits(client: Client, dataset: Dataset, version: Version) -> int | None:
    try:
        return Wfs(client, version).hits(dataset.dataset_id)
    except ServiceException:
        return None


def _has_geometry(dataset: Dataset) -> str:
    return " or ".join(f"{quoted_field(field.name)} is not null" for field in dataset.geographic)


def _advice(rows: int, counted: int, version: Version) -> str:
    capped = version == "1.1.0" and rows < counted
    return CAPPED if capped else "nothing was kept of them"


def frame(table: pa.Table, fields: Sequence[Field]) -> geopandas.GeoDataFrame:
    """Features as GeoPandas gives a landed partition: every geometry a column with its CRS.

    Args:
        table: Columns as `schema` says.
        fields: The dataset's fields.
    """
    import geopandas

    present = [field for field in fields if field.name in table.schema.names]
    shapes = [field.name for field in present if field.type in GEOGRAPHIC]
    made = table.to_pandas(types_mapper=lossless)
    for name in shapes:
        made[name] = geopandas.GeoSeries.from_wkb(table[name].to_pandas(), crs="OGC:CRS84")
    return geopandas.GeoDataFrame(made, geometry=primary(present) or None)
