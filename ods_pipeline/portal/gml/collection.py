"""A feature collection read batch by batch, in memory that does not grow with it.

Bytes come in from anywhere, features go out as Arrow arrays. Making data frames of them, typing
them and asking for the bytes are others' work.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ods_pipeline.errors import ConfigurationError, GmlRefused
from ods_pipeline.portal.gml import decoding, limits
from ods_pipeline.portal.gml.batches import Declared, FeatureBatch, Geometries
from ods_pipeline.portal.gml.fast.fast_reader import Bypass
from ods_pipeline.portal.gml.geometry.axes import AxisOrder, Judge, Whereabouts
from ods_pipeline.portal.gml.geometry.geometry import Batch
from ods_pipeline.portal.gml.geometry.srs import CRS84
from ods_pipeline.portal.gml.handlers import Linked
from ods_pipeline.portal.gml.parsing import Parsing
from ods_pipeline.portal.gml.reader import Reader
from ods_pipeline.portal.gml.texts import called


class MixedSystems(GmlRefused):
    """A property whose geometries have more than one CRS, where none was asked for."""


class Collection:
    """A feature collection (or a lone feature) read batch by batch in flat memory.

    Attributes:
        rows: Features given so far.
    """

    def __init__(
        self,
        chunks: Iterable[bytes],
        *,
        axis_order: AxisOrder = "auto",
        extent: Whereabouts = None,
        crs: str = "",
        feature_type: str = "",
        counted: bool = True,
        judge: Judge | None = None,
        linked: Linked | None = None,
    ) -> None:
        """Prepare to read.

        Args:
            chunks: The document's bytes, in pieces of any size.
            axis_order: The order of axes of ambiguous forms of srsName; `auto` lets the first
                batch's coordinates decide.
            extent: West, south, east and north of the layer in degrees, where known: it settles
                most ambiguous orders.
            crs: `OGC:CRS84` to bring all geometry to it; empty to keep the document's.
            feature_type: The only type to read, where the document holds several.
            counted: Whether the document's counts are held against its features.
            judge: Who decides the order of axes instead, where it was decided before.
            linked: Geometry that links in the document point to.

        Raises:
            ConfigurationError: An argument is none of those that there are.
        """
        if crs not in ("", CRS84):
            raise ConfigurationError(f"crs is {CRS84!r} or empty, not {crs!r}")
        self.rows = 0
        self._chunks = chunks
        self._judge = judge or Judge(axis_order, extent)
        self._crs = crs
        self._systems: dict[str, str] = {}
        self._reader = Reader(feature_type, linked or {}, counted=counted)

    @property
    def declared(self) -> Declared:
        """What the document says of itself; complete once iteration has ended."""
        return self._reader.declared

    @property
    def axis_notes(self) -> tuple[str, ...]:
        """Decisions about ambiguous orders of axes, one sentence each."""
        return tuple(self._judge.notes)

    def __iter__(self) -> Iterator[FeatureBatch]:
        """The features, once.

        Raises:
            ServiceException: The document is or holds an exception report.
            Unproven: It does not end properly, or holds fewer or more features than it says.
            GmlRefused: It holds anything that cannot be read rightly.
        """
        reader = self._reader
        bypass = Bypass(Parsing(reader))
        size = 0
        for piece in self._pieces():
            bypass.feed(piece)
            size += len(piece)
            cells = reader.rows * len(reader.columns)
            if reader.rows >= limits.ROWS or size >= limits.BYTES or cells >= limits.CELLS:
                size = 0
                yield from self._batches()
        bypass.finish()
        yield from self._batches()

    def _pieces(self) -> Iterator[bytes]:
        """The document's blocks, smaller ones where features have very many properties."""
        for block in decoding.blocks(self._chunks):
            start = 0
            while start < len(block):
                columns = len(self._reader.columns) + 1
                end = start + limits.CELLS // columns * limits.SMALLEST
                yield block[start:end]
                start = end

    def _batches(self) -> Iterator[FeatureBatch]:
        """The features read so far; of many properties a block may hold too many for one batch."""
        while self._reader.rows:
            yield self._batch()

    def _batch(self) -> FeatureBatch:
        reader = self._reader
        rows = min(reader.rows, max(1, limits.CELLS // max(1, len(reader.columns))))
        columns = [column for column in reader.columns.values() if column]
        ids, before = reader.ids.taken(rows), reader.before
        read = {
            column.name: column.geometries(rows, lambda row: called(ids[row].as_py(), before + row))
            for column in columns
            if column.geometric
        }
        for batch in read.values():
            batch.observe(self._judge)
        self._judge.mapserver = reader.mapserver
        self._judge.settle()
        made = FeatureBatch(
            ids=ids,
            texts={column.name: column.texts(rows) for column in columns if column.textual},
            geometries={name: self._geometries(name, batch) for name, batch in read.items()},
            rows=rows,
        )
        self.rows += rows
        reader.begin_batch(rows)
        return made

    def _geometries(self, name: str, batch: Batch) -> Geometries:
        if self._crs:
            return Geometries(batch.written(self._judge, self._crs), self._crs)
        found = {system.crs for system in batch.systems()}
        if name in self._systems:
            found.add(self._systems[name])
        if found == {CRS84, "EPSG:4326"}:
            found = {CRS84}
        if len(found) > 1:
            shown = ", ".join(sorted(crs or "none" for crs in found))
            raise MixedSystems(
                f"the property {name!r} has geometry in several CRSs ({shown}): ask for crs={CRS84}"
            )
        for crs in found:
            self._systems[name] = crs
        return Geometries(batch.written(self._judge, ""), self._systems.get(name, ""))


def hits_in(chunks: Iterable[bytes], *, feature_type: str = "") -> int | None:
    """The number of features that a reply to `resultType=hits` declares; None without one.

    Raises:
        ServiceException: The reply is an exception report.
        Unproven: It does not end properly.
        GmlRefused: It is no feature collection.
    """
    collection = Collection(chunks, feature_type=feature_type, counted=False)
    for _ in collection:
        pass
    return collection.declared.matched
