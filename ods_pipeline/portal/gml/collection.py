"""Reads a feature collection as batches of Arrow arrays, in memory that does not grow with it.

Nothing here requests the bytes, types the properties or makes data frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from ods_pipeline.errors import ConfigurationError, GmlRefused
from ods_pipeline.portal.gml import decoding, limits
from ods_pipeline.portal.gml.columns import feature_label
from ods_pipeline.portal.gml.containers import Declared
from ods_pipeline.portal.gml.fast.fast_reader import FastReader
from ods_pipeline.portal.gml.geometry.axes import AxisOrder, AxisOrderResolver, ExtentSource
from ods_pipeline.portal.gml.geometry.batch import GeometryBatch
from ods_pipeline.portal.gml.geometry.srs import CRS84
from ods_pipeline.portal.gml.handlers import Linked
from ods_pipeline.portal.gml.parsing import DocumentParser
from ods_pipeline.portal.gml.reader import Reader


@dataclass(frozen=True)
class Geometries:
    """One geometry property of a batch.

    Attributes:
        wkb: Little-endian ISO WKB, x or longitude first; null if the property is absent, nil or
            empty.
        crs: Such as `EPSG:2154` or `OGC:CRS84`; empty if unknown.
    """

    wkb: pa.Array
    crs: str


@dataclass(frozen=True)
class FeatureBatch:
    """Some features, column by column.

    Attributes:
        ids: `gml:id` or `fid`; null for a feature with neither.
        texts: By local name; `string`, or `list<string>` from the first batch in which a feature
            repeats the element. Null means absent or nil, empty text an empty element. GML's own
            name, description and identifier are `gml_name`, `gml_description`, `gml_identifier`.
        geometries: By local name. A property is text until its first geometry.
        rows: Number of features.
    """

    ids: pa.Array
    texts: Mapping[str, pa.Array]
    geometries: Mapping[str, Geometries]
    rows: int


class MixedSystems(GmlRefused):
    """The geometries of a property have more than one CRS, and none was requested."""


class Collection:
    """A feature collection, or a single feature, as batches.

    Attributes:
        rows: Number of features so far.
    """

    def __init__(
        self,
        chunks: Iterable[bytes],
        *,
        axis_order: AxisOrder = "auto",
        extent: ExtentSource = None,
        crs: str = "",
        feature_type: str = "",
        counted: bool = True,
        partial: bool = False,
        poles: bool = True,
        resolver: AxisOrderResolver | None = None,
        linked: Linked | None = None,
    ) -> None:
        """Prepare to read.

        Args:
            chunks: The document's bytes, in pieces of any size.
            axis_order: The order of axes for ambiguous forms of srsName; `auto` decides by the
                first batch's coordinates.
            extent: West, south, east and north of the layer in degrees, if known; it decides most
                ambiguous orders.
            crs: `OGC:CRS84` to transform all geometry to it; empty to keep the document's CRS.
            feature_type: The only type to read, if the document holds several.
            counted: Whether the document's counts are checked against its features.
            partial: Whether collections within the document may be pages of longer ones.
            poles: Whether latitudes beyond the poles are refused; without it they are kept, for a
                caller who judges each value, unless they may be longitudes.
            resolver: Decides the order of axes; replaces the arguments `axis_order` and `extent`.
            linked: Geometry that links in the document point to.

        Raises:
            ConfigurationError: An argument is not valid.
        """
        if crs not in ("", CRS84):
            raise ConfigurationError(f"crs is {CRS84!r} or empty, not {crs!r}")
        self.rows = 0
        self._chunks = chunks
        self._resolver = resolver or AxisOrderResolver(axis_order, extent)
        self._crs, self._poles = crs, poles
        self._systems: dict[str, str] = {}
        self._reader = Reader(feature_type, linked or {}, counted=counted, partial=partial)

    @property
    def declared(self) -> Declared:
        """What the document declares; complete after iteration."""
        return self._reader.declared

    @property
    def features(self) -> int:
        """Number of features in the document so far, those of other types included."""
        return self._reader.features

    @property
    def axis_notes(self) -> tuple[str, ...]:
        """Decisions about ambiguous orders of axes, one sentence each."""
        return tuple(self._resolver.notes)

    def __iter__(self) -> Iterator[FeatureBatch]:
        """The features; can be iterated once.

        Raises:
            ServiceException: The document is or holds an exception report.
            Unproven: It is cut off, or holds fewer or more features than it says.
            GmlRefused: It holds something that cannot be read correctly.
        """
        reader = self._reader
        fast_reader = FastReader(DocumentParser(reader))
        size = 0
        for piece in self._pieces():
            fast_reader.feed(piece)
            size += len(piece)
            cells = reader.rows * len(reader.columns)
            if reader.rows >= limits.ROWS or size >= limits.BYTES or cells >= limits.CELLS:
                size = 0
                yield from self._batches()
        fast_reader.finish()
        yield from self._batches()

    def _pieces(self) -> Iterator[bytes]:
        """The document's blocks, smaller ones if features have very many properties."""
        for block in decoding.blocks(self._chunks):
            start = 0
            while start < len(block):
                columns = len(self._reader.columns) + 1
                end = start + limits.CELLS // columns * limits.SMALLEST
                yield block[start:end]
                start = end

    def _batches(self) -> Iterator[FeatureBatch]:
        """The features read so far; with many properties, a block makes several batches."""
        while self._reader.rows:
            yield self._batch()

    def _batch(self) -> FeatureBatch:
        reader = self._reader
        rows = min(reader.rows, max(1, limits.CELLS // max(1, len(reader.columns))))
        columns = [column for column in reader.columns.values() if column]
        ids, before = reader.ids.take(rows), reader.earlier_rows
        read = {
            column.name: column.geometries(
                rows, lambda row: feature_label(ids[row].as_py(), before + row)
            )
            for column in columns
            if column.geometric
        }
        for batch in read.values():
            batch.observe(self._resolver)
        self._resolver.mapserver = reader.mapserver
        self._resolver.decide()
        result = FeatureBatch(
            ids=ids,
            texts={column.name: column.texts(rows) for column in columns if column.textual},
            geometries={name: self._geometries(name, batch) for name, batch in read.items()},
            rows=rows,
        )
        self.rows += rows
        reader.begin_batch(rows)
        return result

    def _geometries(self, name: str, batch: GeometryBatch) -> Geometries:
        if self._crs:
            return Geometries(batch.to_wkb(self._resolver, self._crs, poles=self._poles), self._crs)
        systems = {system.crs for system in batch.systems()}
        if name in self._systems:
            systems.add(self._systems[name])
        if systems == {CRS84, "EPSG:4326"}:
            systems = {CRS84}
        if len(systems) > 1:
            names = ", ".join(sorted(crs or "none" for crs in systems))
            raise MixedSystems(
                f"the property {name!r} has geometry in several CRSs ({names}): ask for crs={CRS84}"
            )
        for crs in systems:
            self._systems[name] = crs
        return Geometries(batch.to_wkb(self._resolver, ""), self._systems.get(name, ""))


def hits_in(chunks: Iterable[bytes], *, feature_type: str = "") -> int | None:
    """The number of features that a reply to `resultType=hits` declares; None without one.

    Raises:
        ServiceException: The reply is an exception report.
        Unproven: It is cut off.
        GmlRefused: It is not a feature collection.
    """
    collection = Collection(chunks, feature_type=feature_type, counted=False)
    for _ in collection:
        pass
    return collection.declared.matched
