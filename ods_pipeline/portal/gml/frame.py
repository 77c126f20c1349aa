"""Reads a GML document as a GeoDataFrame, with a geometry column for every geometry property.

The document can be read repeatedly, so links in it are followed, and an ambiguous order of axes is
decided after all coordinates. The rules for typed values are in `tables`. Nothing here reads from
a portal.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa

from ods_pipeline.dataset import GEOGRAPHIC, Field
from ods_pipeline.errors import (
    ConfigurationError,
    DataError,
    OdsPipelineError,
    ServiceException,
    Unproven,
)
from ods_pipeline.portal.gml.collection import Collection, FeatureBatch, MixedSystems
from ods_pipeline.portal.gml.columns import as_lists
from ods_pipeline.portal.gml.containers import Declared
from ods_pipeline.portal.gml.geometry.axes import AxisOrder, AxisOrderResolver
from ods_pipeline.portal.gml.geometry.srs import CRS84
from ods_pipeline.portal.gml.handlers import Linked, UnresolvedLink
from ods_pipeline.portal.gml.links import linked
from ods_pipeline.tables.columns import typed
from ods_pipeline.tables.schema import arrow_type

if TYPE_CHECKING:
    import geopandas

_CHUNK = 1 << 20
_ODS_TYPES = [
    (pa.types.is_string, "text"),
    (pa.types.is_integer, "int"),
    (pa.types.is_floating, "double"),
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_date, "date"),
    (pa.types.is_timestamp, "datetime"),
    (pa.types.is_binary, "geo_shape"),
]

Source = str | os.PathLike[str] | bytes | BinaryIO


def read_gml(
    source: Source,
    *,
    schema: Iterable[Field] | pa.Schema | None = None,
    feature_type: str = "",
    axis_order: AxisOrder = "auto",
    partial: bool = False,
) -> geopandas.GeoDataFrame:
    """Read a GML document (GML 2, 3.1.1 or 3.2) completely, or not at all.

    Args:
        source: A path, the bytes, or a binary file.
        schema: A dataset's fields, or an Arrow schema, with the types of the properties. Without
            it, and for properties that it does not name, values stay text as in the document.
        feature_type: The only type to read, if the document holds several.
        axis_order: The order of axes if the srsName leaves it open (`EPSG:4326`, or none). `auto`
            decides by where the coordinates can lie. If that decides nothing, the longitude comes
            first, except in documents of MapServer with a short srsName.
        partial: Whether a page of a longer answer is read, one that says that more features match
            than it returns. It must still hold as many as it says that it returns.

    Returns:
        Every geometry property as a geometry column, x or longitude first, in its CRS; in
        OGC:CRS84 if the geometries of a property have several. The active geometry is `geo_shape`,
        else the first one with polygons, else the first. `gml_id` is there if features have ids.
        `attrs["notes"]` has a sentence for each order of axes that was decided.

    Raises:
        ServiceException: The document is or holds an exception report.
        Unproven: It is cut off, or holds fewer or more features than it says.
        GmlRefused: It holds something that cannot be read correctly.
        TypeMismatch: A value is not of the schema's type.
        ConfigurationError: An argument is not valid.
    """
    fields = _fields_of(schema)
    with _errors_name(source), _opened(source) as opened:
        read = _Document(opened, feature_type, axis_order, partial=partial)
        frame = _framed(read.batches(), fields)
    frame.attrs["notes"] = read.notes
    return frame


@contextmanager
def _errors_name(source: Source) -> Iterator[None]:
    """Put the file's name into errors."""
    try:
        yield
    except (DataError, ServiceException) as error:
        if isinstance(source, str | os.PathLike):
            error.url = error.url or os.fsdecode(source)
        raise


@contextmanager
def _opened(source: Source) -> Iterator[Callable[[], Iterator[bytes]]]:
    """A function that reads the source from its beginning, any number of times."""
    if not isinstance(source, str | os.PathLike):
        data = _data(source)
        yield lambda: _chunks(io.BytesIO(data))
        return
    path = os.fsdecode(source)
    if "\0" in path:
        raise ConfigurationError("read_gml takes a path, and a path cannot contain NUL")
    if not os.path.exists(path) or os.path.isfile(path) or os.path.isdir(path):
        yield lambda: _chunks_of(path)
        return
    with tempfile.TemporaryFile() as kept:
        rest = _chunks_of(path)
        yield lambda: _replayed(rest, kept)


def _replayed(rest: Iterator[bytes], kept: IO[bytes]) -> Iterator[bytes]:
    """Bytes that can be read only once, such as a pipe's, kept in a file while they are read."""
    position = 0
    while True:
        kept.seek(position)
        chunk = kept.read(_CHUNK)
        if not chunk:
            chunk = next(rest, b"")
            kept.write(chunk)
        if not chunk:
            return
        position += len(chunk)
        yield chunk


def _data(source: bytes | BinaryIO) -> bytes:
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if not callable(getattr(source, "read", None)):
        raise ConfigurationError("read_gml takes a path, bytes or a binary file")
    first = source.read()
    if not isinstance(first, bytes):
        raise ConfigurationError("read_gml takes binary files: open it with mode 'rb'")
    return first


def _chunks_of(path: str) -> Iterator[bytes]:
    try:
        with open(path, "rb") as file:
            yield from _chunks(file)
    except OSError as error:
        raise OdsPipelineError(f"{path} cannot be read: {error.strerror}") from error


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk


class _Document:
    """A document, read again if the first reading shows that other options are needed."""

    def __init__(
        self,
        opened: Callable[[], Iterator[bytes]],
        feature_type: str,
        axis_order: AxisOrder,
        *,
        partial: bool,
    ) -> None:
        self._opened = opened
        self._type = feature_type
        self._partial = partial
        self._resolver = AxisOrderResolver(axis_order, whole=True)
        self._linked: Linked | None = None
        self._crs = ""

    @property
    def notes(self) -> list[str]:
        return list(self._resolver.notes)

    def batches(self) -> list[FeatureBatch]:
        try:
            batches = self._batches()
        except UnresolvedLink:
            if self._linked is not None:
                raise
            self._linked = linked(self._opened)
            return self.batches()
        except MixedSystems:
            self._crs = CRS84
            return self.batches()
        return self._batches() if self._resolver.revise() else batches

    def _batches(self) -> list[FeatureBatch]:
        collection = Collection(
            self._opened(),
            feature_type=self._type,
            crs=self._crs,
            resolver=self._resolver,
            linked=self._linked,
            partial=self._partial,
        )
        batches = list(collection)
        # Where the document says how many features it holds, these were counted already.
        if not self._partial or collection.declared.returned is None:
            _require_whole(collection.declared, collection.features)
        return batches


def _require_whole(declared: Declared, rows: int) -> None:
    """Refuse a document that is only a part of the layer, and does not name the next page."""
    if (
        declared.matched is not None
        and declared.matched > (declared.returned or 0)
        and declared.matched > rows
    ):
        if declared.next:
            return
        raise Unproven(
            f"the document says that {declared.matched} features match, and holds {rows}: "
            "it is not whole"
            + ("" if declared.returned is None else "; read such a page with partial=True")
        )


def _fields_of(schema: Iterable[Field] | pa.Schema | None) -> list[Field]:
    if schema is None:
        return []
    if not isinstance(schema, pa.Schema):
        fields = list(schema) if isinstance(schema, Iterable) else [schema]
        for field in fields:
            if not isinstance(field, Field):
                raise ConfigurationError(
                    f"schema is a dataset's fields or an Arrow schema, and {field!r} is neither"
                )
        return fields
    return [_field(field) for field in schema]


def _field(field: pa.Field) -> Field:
    described = field.metadata or {}
    kind = described.get(b"ods_type", b"").decode()
    if pa.types.is_list(field.type):
        return Field(field.name, kind or "text", annotations={"multivalued": True})
    kind = kind or next((name for fits, name in _ODS_TYPES if fits(field.type)), "")
    if not kind:
        raise ConfigurationError(f"the schema's field {field.name!r} has the type {field.type}")
    return Field(field.name, kind)


def _typed_columns(
    batches: list[FeatureBatch], fields: Iterable[Field]
) -> dict[str, pa.ChunkedArray]:
    """The properties that are not geometry: the schema's in its order, then others as text."""
    declared = {field.name: field for field in fields}
    geometric = {name for batch in batches for name in batch.geometries}
    geometric |= {field.name for field in declared.values() if field.type in GEOGRAPHIC}
    met = [name for batch in batches for name in batch.texts]
    names = [name for name in dict.fromkeys([*declared, *met]) if name not in geometric]
    return {name: _column(name, batches, declared) for name in names}


def _column(
    name: str, batches: list[FeatureBatch], declared: Mapping[str, Field]
) -> pa.ChunkedArray:
    texts = [batch.texts.get(name, pa.nulls(batch.rows, pa.string())) for batch in batches]
    if name not in declared:
        return _same_type(texts)
    field, row = declared[name], 1
    arrays: list[pa.Array] = []
    for text in texts:
        arrays.append(typed(text, field, row))
        row += len(text)
    return pa.chunked_array(arrays, arrow_type(field))


def _same_type(texts: list[pa.Array]) -> pa.ChunkedArray:
    """Texts of several batches; if one of them has lists, all are lists."""
    if any(pa.types.is_list(text.type) for text in texts):
        return pa.chunked_array([as_lists(text) for text in texts])
    return pa.chunked_array(texts, pa.string())


def _framed(batches: list[FeatureBatch], fields: list[Field]) -> geopandas.GeoDataFrame:
    import geopandas
    import pandas as pd

    columns: dict[str, Any] = _typed_columns(batches, fields)
    geometric = _geometric(batches, fields)
    ids = pa.chunked_array([batch.ids for batch in batches], pa.string())
    if ids.null_count < len(ids):
        name = "_gml_id" if "gml_id" in {*columns, *geometric} else "gml_id"
        columns = {name: ids, **columns}
    table = pa.table(columns) if columns else None
    rows = sum(batch.rows for batch in batches)
    frame = table.to_pandas() if table is not None else pd.DataFrame(index=range(rows))
    for name, (wkb, crs) in geometric.items():
        values = wkb.to_numpy(zero_copy_only=False)
        frame[name] = geopandas.GeoSeries.from_wkb(values, index=frame.index, crs=crs or None)
    return geopandas.GeoDataFrame(frame, geometry=_active(batches, geometric))


def _geometric(
    batches: list[FeatureBatch], fields: list[Field]
) -> dict[str, tuple[pa.ChunkedArray, str]]:
    names = [name for batch in batches for name in batch.geometries]
    names += [field.name for field in fields if field.type in GEOGRAPHIC]
    columns: dict[str, tuple[pa.ChunkedArray, str]] = {}
    for name in dict.fromkeys(names):
        parts = [batch.geometries.get(name) for batch in batches]
        arrays = [
            part.wkb if part else pa.nulls(batch.rows, pa.binary())
            for part, batch in zip(parts, batches, strict=True)
        ]
        crs = next((part.crs for part in parts if part and part.crs), "")
        columns[name] = (pa.chunked_array(arrays, pa.binary()), crs)
    return columns


def _active(batches: list[FeatureBatch], geometric: dict[str, Any]) -> str | None:
    """The geometry that GeoPandas uses by default: a shape rather than a point."""
    if "geo_shape" in geometric:
        return "geo_shape"
    for batch in batches:
        for name, geometries in batch.geometries.items():
            kinds = {value[1] + 256 * value[2] for value in geometries.wkb.to_pylist() if value}
            if {kind % 1000 for kind in kinds} & {3, 6}:
                return name
    return next(iter(geometric), None)
