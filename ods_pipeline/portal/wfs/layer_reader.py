"""Reads all features of one layer, with as many requests as that takes.

WFS 1.1.0 takes one. In 2.0.0, pages are followed, and a layer that the server caps is read by
bounding boxes. Nothing here types features, or proves their number against the records.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ods_pipeline.errors import (
    GmlRefused,
    PortalError,
    QuotaExhausted,
    ServiceException,
    Unproven,
)
from ods_pipeline.portal.wfs.operations import Bounds, type_name
from ods_pipeline.portal.wfs.service import Wfs

if TYPE_CHECKING:
    from ods_pipeline.portal.gml import AxisOrder, Declared, FeatureBatch

Hashes = np.ndarray[Any, np.dtype[np.int64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

WORLD: Bounds = (-180.0, -90.0, 180.0, 90.0)

# What to do about a layer of which WFS 1.1.0 gave a part.
CAPPED = (
    "either it was edited while it was read, or the portal caps what its WFS gives, and then the "
    "layer cannot be read completely through WFS 1.1.0; read it in version 2.0.0 (`--wfs-version "
    '2.0.0`, `version: "2.0.0"` among the `features` settings, or `version="2.0.0"` in Python), or '
    "use the dataset's records, which come by the Parquet export"
)
_MOST_REQUESTS = 1000
_MOST_SPLITS = 20
_MOST_FRUITLESS = 30


@dataclass(frozen=True)
class LayerRequest:
    """Which layer is read, and how.

    Attributes:
        type_name: Feature type, or the dataset's identifier.
        properties: Names of the properties to read; all without it.
        extent: West, south, east and north of the layer by the catalog; None if unknown.
        find_extent: Finds the extent, if the catalog has none and an order of axes is open.
        axis_order: Order of coordinates if their reference system leaves it open.
        received: Called with the size of each piece that arrives, in bytes.
        within: West, south, east and north of the features to read; all without it.
    """

    type_name: str
    properties: Sequence[str] = ()
    extent: Bounds | None = None
    find_extent: Callable[[], Bounds | None] = lambda: None
    axis_order: AxisOrder = "auto"
    received: Callable[[int], object] = lambda size: None
    within: Bounds | None = None


@dataclass(frozen=True)
class Cap:
    """How many features of a layer the server gives at once.

    Attributes:
        rows: Number of features that it gave.
        total: Number of features that it counts.
        pages: Number of requests for them.
        counts_all: Whether its answers count the features that they leave out.
    """

    rows: int
    total: int
    pages: int
    counts_all: bool


class LayerReader:
    """The features of a layer, batch by batch.

    Attributes:
        notes: Decisions about the layer, one sentence each.
    """

    def __init__(self, wfs: Wfs, request: LayerRequest) -> None:
        self._wfs, self._request = wfs, request
        self._seen = SeenFeatures()
        self._matched: int | None = None
        self._requests = 0
        self.notes: list[str] = []

    def batches(self) -> Iterator[FeatureBatch]:
        """All features, with geometry in longitude and latitude; can be read once.

        Raises:
            Unproven: An answer is not whole, or the server caps the layer and boxes do not help.
            ServiceException: The server reports one, before, between or after the features.
            GmlRefused: An answer cannot be read correctly.
        """
        rows = 0
        modern = self._wfs.version != "1.1.0"
        within = self._request.within
        for batch in self._pages(within):
            rows += batch.rows
            if modern:
                self._seen.add(batch.ids)
            yield batch
        if modern:
            pages, matched = self._requests, self._matched
            if pages > 1:
                self._require_each_once(rows)
            hits = self._hits(within)
            total = matched if hits is None else hits
            if total is not None and 0 < rows < total:
                yield from self._boxes(Cap(rows, total, pages, counts_all=matched == total))

    def _pages(self, bbox: Bounds | None) -> Iterator[FeatureBatch]:
        body = self._wfs.features(
            self._request.type_name, properties=self._request.properties, bbox=bbox
        )
        followed: set[str] = set()
        rows = 0
        while True:
            link, came = yield from self._answer(body)
            rows += came
            if not link or self._wfs.version == "1.1.0":
                return
            if link in followed:
                raise GmlRefused("the WFS's pages lead in a circle", portal=self._wfs.client.slug)
            followed.add(link)
            if bbox == self._request.within:
                self._require_progress(rows, came, len(followed))
            body = self._wfs.page(link)

    def _answer(
        self, body: AbstractContextManager[Iterator[bytes]]
    ) -> Generator[FeatureBatch, None, tuple[str, int]]:
        """The features of one answer; returns the address of the next page and their number."""
        # Imported here, because its libraries take a tenth of a second that records do not need.
        from ods_pipeline.portal.gml import Collection

        self._requests += 1
        with body as chunks:
            collection = Collection(
                self._received(chunks),
                axis_order=self._request.axis_order,
                extent=self._request.extent or self._request.find_extent,
                crs="OGC:CRS84",
                # Checked here instead: a server that caps may count what it leaves out.
                counted=False,
                # Bad values of their fields, like those of other exports.
                poles=False,
            )
            yield from collection
        self._check_counts(collection.declared, collection.rows)
        self.notes += [note for note in collection.axis_notes if note not in self.notes]
        return collection.declared.next, collection.rows

    def _received(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._request.received(len(chunk))
            yield chunk

    def _check_counts(self, declared: Declared, rows: int) -> None:
        """Check an answer's counts against its features; in 2.0.0, fewer may be due to a cap."""
        self._matched = declared.matched
        promised = declared.matched if declared.returned is None else declared.returned
        if promised is None or promised == rows:
            return
        if self._wfs.version == "1.1.0" or promised < rows:
            raise Unproven(
                f"the WFS says that its answer holds {promised} features, and {rows} are in it; "
                + (CAPPED if promised > rows else "it was probably edited this minute: run again"),
                portal=self._wfs.client.slug,
            )

    def _hits(self, bbox: Bounds | None) -> int | None:
        self._requests += 1
        try:
            return self._wfs.hits(self._request.type_name, bbox=bbox)
        except ServiceException:
            return None

    def _require_progress(self, rows: int, came: int, pages: int) -> None:
        """Check that pages bring features: a server may name a next page for ever."""
        matched = self._matched
        if not came or (matched is not None and rows >= matched):
            raise Unproven(
                f"the WFS's pages do not end: it names another one after {rows} features, the last "
                f"with {came}; its records can be read by the Parquet export",
                portal=self._wfs.client.slug,
            )
        # This sorts all identifiers, so it is done after 4, 8, 16, … pages only.
        if pages > 3 and not pages & (pages - 1):
            self._require_each_once(rows)

    def _require_each_once(self, rows: int) -> None:
        """Check that pages do not overlap, which they can although the total is right.

        A single answer is not checked: there, a server may give features the same identifier.
        """
        different = self._seen.count()
        if not self._seen.missing_ids and different < rows:
            raise Unproven(
                f"of the {rows} features that the WFS gives, {rows - different} came twice, so "
                "that others may be missing; it was probably edited this minute: run again",
                portal=self._wfs.client.slug,
            )

    def _boxes(self, cap: Cap) -> Iterator[FeatureBatch]:
        """The features that a capped answer left out, from boxes that are small enough."""
        self._require_boxes_can_help(cap)
        rows, fruitless, limit = cap.rows, 0, self._requests + _MOST_REQUESTS
        within = self._request.within
        extent = within or self._extent()
        outside = [] if within else around(extent)
        waiting = deque((box, 1) for box in [*quarters(extent), *outside])
        while rows < cap.total and waiting and fruitless <= _MOST_FRUITLESS:
            if self._requests >= limit:
                raise self._too_many(cap)
            box, depth = waiting.popleft()
            came = fresh = 0
            for batch in self._pages(box):
                if self._requests > limit:
                    raise self._too_many(cap)
                new = _only(batch, self._seen.add_new(batch.ids))
                came, fresh = came + batch.rows, fresh + new.rows
                yield new
            rows += fresh
            # If full boxes bring nothing new, there is no cap: the layer was edited meanwhile.
            fruitless = 0 if fresh else fruitless + (came > 0)
            if depth < _MOST_SPLITS and self._holds_more(box, came, cap):
                waiting.extend((part, depth + 1) for part in quarters(box))
        if rows < cap.total:
            why = "features without a geometry are in no box"
            raise self._short(cap, f"by bounding boxes {rows} came ({why})")
        self.notes.append(
            f"the WFS gives {cap.rows} of {cap.total} features at once; the rest was read by "
            "bounding boxes"
        )

    def _require_boxes_can_help(self, cap: Cap) -> None:
        if self._seen.missing_ids or self._seen.count() < cap.rows:
            raise self._short(cap, "its features have no identifiers to compare")
        # A full box costs as much as the first answer, and one more request if counts are wrong.
        each = cap.pages + (not cap.counts_all)
        if cap.total * each > cap.rows * _MOST_REQUESTS / 4:
            raise self._too_many(cap)

    def _too_many(self, cap: Cap) -> Unproven:
        return self._short(cap, f"boxes would take more than {_MOST_REQUESTS} requests")

    def _holds_more(self, box: Bounds, came: int, cap: Cap) -> bool:
        """Whether a box has features that its answer left out."""
        if 2 * came < cap.rows:
            # The server gave more than twice as many before; if its count differs, that is wrong.
            return False
        expected = self._matched if cap.counts_all else self._hits(box)
        return came >= cap.rows if expected is None else came < expected

    def _extent(self) -> Bounds:
        """The extent of the layer by its WFS, else by the catalog."""
        self._requests += 1
        try:
            layer = self._wfs.capabilities(("FeatureTypeList",)).feature_type(
                type_name(self._request.type_name)
            )
        except QuotaExhausted:
            raise
        except PortalError:
            layer = None
        bounds = layer.bounds if layer else None
        # Servers that do not know the extent declare the whole world.
        return (None if bounds == WORLD else bounds) or self._request.extent or WORLD

    def _short(self, cap: Cap, why: str) -> Unproven:
        return Unproven(
            f"the WFS gives {cap.rows} of {cap.total} features at once, and {why}: the layer "
            "cannot be read completely through WFS; the records can, by the Parquet export",
            portal=self._wfs.client.slug,
            url=self._wfs.url(self._request.type_name),
        )


def _only(batch: FeatureBatch, kept: Mask) -> FeatureBatch:
    if kept.all():
        return batch
    mask = pa.array(kept)
    return replace(
        batch,
        ids=batch.ids.filter(mask),
        texts={name: column.filter(mask) for name, column in batch.texts.items()},
        geometries={
            name: replace(shapes, wkb=shapes.wkb.filter(mask))
            for name, shapes in batch.geometries.items()
        },
        rows=int(kept.sum()),
    )


def quarters(box: Bounds) -> list[Bounds]:
    """The quarters of a box, which share their borders; none if it is too small to divide."""
    west, south, east, north = box
    across, up = (west + east) / 2, (south + north) / 2
    if not (west < across < east or south < up < north):
        return []
    parts = [
        (west, south, across, up),
        (across, south, east, up),
        (west, up, across, north),
        (across, up, east, north),
    ]
    return list(dict.fromkeys(parts))


def around(box: Bounds) -> list[Bounds]:
    """The rest of the world, as at most four boxes that share their borders with this one."""
    west, south, east, north = box
    parts = [
        (WORLD[0], WORLD[1], west, WORLD[3]),
        (east, WORLD[1], WORLD[2], WORLD[3]),
        (west, WORLD[1], east, south),
        (west, north, east, WORLD[3]),
    ]
    return [part for part in parts if part[0] < part[2] and part[1] < part[3]]


class SeenFeatures:
    """The identifiers of the features that came, in eight bytes each; sixteen while sorting.

    Only hashes are kept. Two features with the same hash look like one that came twice, which leads
    to a refusal and never to a duplicate.

    Attributes:
        missing_ids: Whether a feature had no identifier.
    """

    def __init__(self) -> None:
        self.missing_ids = False
        self._sorted: Hashes = np.empty(0, np.int64)
        self._unsorted: list[Hashes] = []

    def add(self, identifiers: pa.Array) -> None:
        """Add the features of a batch."""
        self._unsorted.append(self._hashes(identifiers))

    def count(self) -> int:
        """Number of different features."""
        hashes = self._all()
        return len(hashes) and 1 + int(np.count_nonzero(hashes[1:] != hashes[:-1]))

    def add_new(self, identifiers: pa.Array) -> Mask:
        """Add a batch; which of its features had not come before."""
        known, hashes = self._all(), self._hashes(identifiers)
        values, first = np.unique(hashes, return_index=True)
        positions = np.searchsorted(known, values)
        nearest = known[np.minimum(positions, len(known) - 1)] if len(known) else ~values
        fresh = nearest != values
        self._sorted = np.insert(known, positions[fresh], values[fresh])
        new: Mask = np.zeros(len(hashes), np.bool_)
        new[first[fresh]] = True
        return new

    def _hashes(self, identifiers: pa.Array) -> Hashes:
        self.missing_ids = self.missing_ids or identifiers.null_count > 0
        return np.fromiter(map(hash, identifiers.to_pylist()), np.int64, len(identifiers))

    def _all(self) -> Hashes:
        if self._unsorted:
            self._sorted = np.concatenate([self._sorted, *self._unsorted])
            self._unsorted.clear()
            self._sorted.sort()
        return self._sorted
