"""A GML document as a GeoDataFrame: every geometry property a geometry column, nothing guessed.

The whole document is at hand here, so that links in it are followed, and ambiguous orders of axes
are decided with all coordinates seen. Reading it is `collection`'s work.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
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
from ods_pipeline.portal.gml.batches import Declared, FeatureBatch
from ods_pipeline.portal.gml.collection import Collection, MixedSystems
from ods_pipeline.portal.gml.geometry.axes import AxisOrder, Judge
from ods_pipeline.portal.gml.geometry.srs import CRS84
from ods_pipeline.portal.gml.handlers import Linked, LinkMet
from ods_pipeline.portal.gml.links import linked
from ods_pipeline.portal.gml.properties import fields_of, typed_columns

if TYPE_CHECKING:
    import geopandas

_CHUNK = 1 << 20
Source = str | os.PathLike[str] | bytes | BinaryIO


def read_gml(
    source: Source,
    *,
    schema: Iterable[Field] | pa.Schema | None = None,
    feature_type: str = "",
    axis_order: AxisOrder = "auto",
) -> geopandas.GeoDataFrame:
    """Read a GML document (GML 2, 3.1.1 or 3.2) whole, or not at all.

    Args:
        source: A path, the bytes, or a binary file.
        schema: A dataset's fields, or an Arrow schema, to type the properties by; without it they
            stay text, as they are in the document. Properties that it does not name stay text.
        feature_type: The only type to read, where the document holds several.
        axis_order: The order of axes where the srsName leaves it open (`EPSG:4326`, or none):
            `auto` goes by where the coordinates can lie, and where that tells nothing takes
            longitude first, save in what MapServer wrote under a short srsName.

    Returns:
        Every geometry property as a geometry column, x or longitude first, in its CRS; in
        OGC:CRS84 where one property's geometries have several. `geo_shape`, else the first one
        with polygons, else the first, is the active one. `gml_id` when features have ids.
        `attrs["notes"]` has a sentence for each order of axes that was decided.

    Raises:
        ServiceException: The document is or holds an exception report.
        Unproven: It is cut off, or holds fewer or more features than it says.
        GmlRefused: It holds anything that cannot be read rightly.
        TypeMismatch: A value is not of the schema's type.
        ConfigurationError: An argument is none that can be read, or read by.
    """
    fields = fields_of(schema)
    with _named(source), _opened(source) as opened:
        read = _Document(opened, feature_type, axis_order)
        frame = _framed(read.batches(), fields)
    frame.attrs["notes"] = read.notes
    return frame


@contextmanager
def _named(source: Source) -> Iterator[None]:
    """Let refusals say which file they are about."""
    try:
        yield
    except (DataError, ServiceException) as error:
        if isinstance(source, str | os.PathLike):
            error.url = error.url or os.fsdecode(source)
        raise


@contextmanager
def _opened(source: Source) -> Iterator[Callable[[], Iterator[bytes]]]:
    """A way to read the source from its beginning, as often as need be."""
    if not isinstance(source, str | os.PathLike):
        data = _data(source)
        yield lambda: _chunks(io.BytesIO(data))
        return
    path = os.fsdecode(source)
    if "\0" in path:
        raise ConfigurationError("read_gml takes a path, and in a path there is no NUL")
    if not os.path.exists(path) or os.path.isfile(path) or os.path.isdir(path):
        yield lambda: _chunks_of(path)
        return
    with tempfile.TemporaryFile() as kept:
        yield _Once(_chunks_of(path), kept).chunks


class _Once:
    """What can be read once alone, such as a pipe, kept in a file as it is read."""

    def __init__(self, chunks: Iterator[bytes], kept: IO[bytes]) -> None:
        self._chunks = chunks
        self._kept = kept

    def chunks(self) -> Iterator[bytes]:
        position = 0
        while True:
            self._kept.seek(position)
            chunk = self._kept.read(_CHUNK)
            if not chunk:
                chunk = next(self._chunks, b"")
                self._kept.write(chunk)
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
    """A document that can be read again where the first reading shows what it takes."""

    def __init__(
        self, opened: Callable[[], Iterator[bytes]], feature_type: str, axis_order: AxisOrder
    ) -> None:
        self._opened = opened
        self._type = feature_type
        self._judge = Judge(axis_order, whole=True)
        self._linked: Linked | None = None
        self._crs = ""

    @property
    def notes(self) -> list[str]:
        return list(self._judge.notes)

    def batches(self) -> list[FeatureBatch]:
        try:
            batches = self._batches()
        except LinkMet:
            if self._linked is not None:
                raise
            self._linked = linked(self._opened)
            return self.batches()
        except MixedSystems:
            self._crs = CRS84
            return self.batches()
        return self._batches() if self._judge.revise() else batches

    def _batches(self) -> list[FeatureBatch]:
        collection = Collection(
            self._opened(),
            feature_type=self._type,
            crs=self._crs,
            judge=self._judge,
            linked=self._linked,
        )
        batches = list(collection)
        _whole(collection.declared, collection.rows)
        return batches


def _whole(said: Declared, rows: int) -> None:
    """A document at hand is the whole layer, or a page that says so.

    Raises:
        Unproven: More features match than are in it.
    """
    if said.matched is not None and said.matched > (said.returned or 0) and said.matched > rows:
        if said.next:
            return
        raise Unproven(
            f"the document says that {said.matched} features match, and holds {rows}: "
            "it is not whole"
        )


def _framed(batches: list[FeatureBatch], fields: list[Field]) -> geopandas.GeoDataFrame:
    import geopandas
    import pandas as pd

    columns: dict[str, Any] = typed_columns(batches, fields)
    geometric = _geometric(batches, fields)
    ids = pa.chunked_array([batch.ids for batch in batches], pa.string())
    if ids.null_count < len(ids):
        columns = {_id_name({*columns, *geometric}): ids, **columns}
    table = pa.table(columns) if columns else None
    rows = sum(batch.rows for batch in batches)
    frame = table.to_pandas() if table is not None else pd.DataFrame(index=range(rows))
    for name, (wkb, crs) in geometric.items():
        values = wkb.to_numpy(zero_copy_only=False)
        frame[name] = geopandas.GeoSeries.from_wkb(values, index=frame.index, crs=crs or None)
    active = _active(batches, geometric)
    return geopandas.GeoDataFrame(frame, geometry=active)


def _geometric(
    batches: list[FeatureBatch], fields: list[Field]
) -> dict[str, tuple[pa.ChunkedArray, str]]:
    names = [name for batch in batches for name in batch.geometries]
    names += [field.name for field in fields if field.type in GEOGRAPHIC]
    found: dict[str, tuple[pa.ChunkedArray, str]] = {}
    for name in dict.fromkeys(names):
        parts = [batch.geometries.get(name) for batch in batches]
        arrays = [
            part.wkb if part else pa.nulls(batch.rows, pa.binary())
            for part, batch in zip(parts, batches, strict=True)
        ]
        crs = next((part.crs for part in parts if part and part.crs), "")
        found[name] = (pa.chunked_array(arrays, pa.binary()), crs)
    return found


def _id_name(taken: set[str]) -> str:
    return "_gml_id" if "gml_id" in taken else "gml_id"


def _active(batches: list[FeatureBatch], geometric: dict[str, Any]) -> str | None:
    """The geometry that readers see first: a shape before a point."""
    if "geo_shape" in geometric:
        return "geo_shape"
    for batch in batches:
        for name, found in batch.geometries.items():
            kinds = {value[1] + 256 * value[2] for value in found.wkb.to_pylist() if value}
            if {kind % 1000 for kind in kinds} & {3, 6}:
                return name
    return next(iter(geometric), None)
