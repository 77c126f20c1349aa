"""All features of one layer, however many answers it takes to have them.

WFS 1.1.0 gives one answer. In 2.0.0 pages are followed, and a layer that a server caps is put
together from bounding boxes. Whether that is all is proven by whoever counts the rows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from ods_pipeline.errors import (
    GmlRefused,
    PortalError,
    QuotaExhausted,
    ServiceException,
    Unproven,
)
from ods_pipeline.portal.wfs.operations import Bounds, type_name
from ods_pipeline.portal.wfs.seen import News, Seen
from ods_pipeline.portal.wfs.service import Wfs
from ods_pipeline.portal.wfs.tiles import WORLD, around, quarters

if TYPE_CHECKING:
    from ods_pipeline.portal.gml import AxisOrder, Declared, FeatureBatch

# What to do about a layer of which WFS 1.1.0 gave a part.
CAPPED = (
    "either it was edited while it was read, or the portal caps what its WFS gives, and then the "
    "layer cannot be had whole through WFS 1.1.0; read it in version 2.0.0 (`--wfs-version 2.0.0`, "
    '`version: "2.0.0"` among the `features` settings, or `version="2.0.0"` in Python), or use the '
    "dataset's records, which come by the Parquet export"
)
_MOST_REQUESTS = 1000
_DEEPEST = 20
_FRUITLESS = 30


@dataclass(frozen=True)
class Asked:
    """What is read, and how.

    Attributes:
        type_name: Feature type, or the dataset's identifier.
        properties: Names of properties; all without it.
        extent: West, south, east and north of the layer as the catalog says; None if unknown.
        look: Looks where the layer is, if the catalog does not say and an order of axes is open.
        axis_order: Order of coordinates where their reference system leaves it open.
        received: Told the size of each piece that arrives, in bytes.
    """

    type_name: str
    properties: Sequence[str] = ()
    extent: Bounds | None = None
    look: Callable[[], Bounds | None] = lambda: None
    axis_order: AxisOrder = "auto"
    received: Callable[[int], object] = lambda size: None


@dataclass(frozen=True)
class Cap:
    """What the server gives of a layer at once.

    Attributes:
        rows: Features that came.
        total: Features that it counts.
        pages: Requests that they took.
        honest: Whether answers count what they leave out.
    """

    rows: int
    total: int
    pages: int
    honest: bool


class Gathering:
    """The features of a layer, batch by batch.

    Attributes:
        notes: Decisions that were taken on the way, one sentence each.
    """

    def __init__(self, wfs: Wfs, asked: Asked) -> None:
        self._wfs, self._asked = wfs, asked
        self._seen = Seen()
        self._matched: int | None = None
        self._requests = 0
        self.notes: list[str] = []

    def batches(self) -> Iterator[FeatureBatch]:
        """All features, to be read once; geometry is longitude and latitude.

        Raises:
            Unproven: An answer is not whole, or the server caps the layer and boxes do not help.
            ServiceException: The server reports one, at the beginning or amid the features.
            GmlRefused: An answer cannot be read rightly.
        """
        rows = 0
        modern = self._wfs.version != "1.1.0"
        for batch in self._pages(None):
            rows += batch.rows
            if modern:
                self._seen.add(batch.ids)
            yield batch
        if modern:
            pages, matched = self._requests, self._matched
            if pages > 1:
                self._require_each_once(rows)
            hits = self._hits(None)
            total = matched if hits is None else hits
            if total is not None and 0 < rows < total:
                yield from self._boxes(Cap(rows, total, pages, honest=matched == total))

    def _pages(self, bbox: Bounds | None) -> Iterator[FeatureBatch]:
        body = self._wfs.features(
            self._asked.type_name, properties=self._asked.properties, bbox=bbox
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
            if bbox is None:
                self._require_an_end(rows, came, len(followed))
            body = self._wfs.page(link)

    def _answer(
        self, body: AbstractContextManager[Iterator[bytes]]
    ) -> Generator[FeatureBatch, None, tuple[str, int]]:
        """The features of one answer; gives the address of the next page and their number."""
        # Here and not above: its libraries cost a tenth of a second that records have no use for.
        from ods_pipeline.portal.gml import Collection

        self._requests += 1
        with body as chunks:
            collection = Collection(
                self._counted(chunks),
                axis_order=self._asked.axis_order,
                extent=self._asked.extent or self._asked.look,
                crs="OGC:CRS84",
                # Its counts are judged here: a server that caps may count what it holds back.
                counted=False,
            )
            yield from collection
        self._judge(collection.declared, collection.rows)
        self.notes += [note for note in collection.axis_notes if note not in self.notes]
        return collection.declared.next, collection.rows

    def _counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._asked.received(len(chunk))
            yield chunk

    def _judge(self, said: Declared, rows: int) -> None:
        """Hold an answer's counts against its features; fewer than 2.0.0 counts may be a cap."""
        self._matched = said.matched
        promised = said.matched if said.returned is None else said.returned
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
            return self._wfs.hits(self._asked.type_name, bbox=bbox)
        except ServiceException:
            return None

    def _require_an_end(self, rows: int, came: int, pages: int) -> None:
        """See that pages lead somewhere: a server may name a next one for ever."""
        matched = self._matched
        if not came or (matched is not None and rows >= matched):
            raise Unproven(
                f"the WFS's pages do not end: it names another one after {rows} features, the last "
                f"with {came}; its records can be had by the Parquet export",
                portal=self._wfs.client.slug,
            )
        # Sorting what came costs, so it is done after 4, 8, 16, … pages.
        if pages > 3 and not pages & (pages - 1):
            self._require_each_once(rows)

    def _require_each_once(self, rows: int) -> None:
        """See that pages do not overlap, which they can do although their number is right.

        One answer is of one moment, and a server may name features alike that are the same.
        """
        different = self._seen.count()
        if not self._seen.nameless and different < rows:
            raise Unproven(
                f"of the {rows} features that the WFS gives, {rows - different} came twice, so "
                "that others may be missing; it was probably edited this minute: run again",
                portal=self._wfs.client.slug,
            )

    def _boxes(self, cap: Cap) -> Iterator[FeatureBatch]:
        """The features that a capped answer left out, from boxes small enough for the cap."""
        self._require_hope(cap)
        rows, fruitless, limit = cap.rows, 0, self._requests + _MOST_REQUESTS
        extent = self._extent()
        waiting = deque((box, 1) for box in [*quarters(extent), *around(extent)])
        while rows < cap.total and waiting and fruitless <= _FRUITLESS:
            if self._requests >= limit:
                raise self._too_many(cap)
            box, depth = waiting.popleft()
            came = fresh = 0
            for batch in self._pages(box):
                if self._requests > limit:
                    raise self._too_many(cap)
                new = _only(batch, self._seen.take(batch.ids))
                came, fresh = came + batch.rows, fresh + new.rows
                yield new
            rows += fresh
            # Full boxes without news: it was an edit in the meantime, and no cap, after all.
            fruitless = 0 if fresh else fruitless + (came > 0)
            if depth < _DEEPEST and self._holds_more(box, came, cap):
                waiting.extend((part, depth + 1) for part in quarters(box))
        if rows < cap.total:
            why = "features without a geometry are in no box"
            raise self._short(cap, f"by bounding boxes {rows} came ({why})")
        self.notes.append(
            f"the WFS gives {cap.rows} of {cap.total} features at once; the rest was read by "
            "bounding boxes"
        )

    def _require_hope(self, cap: Cap) -> None:
        if self._seen.nameless or self._seen.count() < cap.rows:
            raise self._short(cap, "its features have no identifiers to tell them by")
        # A box that is full costs what the first answer did, and its number where counts are wrong.
        each = cap.pages + (not cap.honest)
        if cap.total * each > cap.rows * _MOST_REQUESTS / 4:
            raise self._too_many(cap)

    def _too_many(self, cap: Cap) -> Unproven:
        return self._short(cap, f"boxes would take more than {_MOST_REQUESTS} requests")

    def _holds_more(self, box: Bounds, came: int, cap: Cap) -> bool:
        """Whether a box has features that its answer left out."""
        if 2 * came < cap.rows:
            # The server gave more than twice that before; where its counts differ, they are wrong.
            return False
        expected = self._matched if cap.honest else self._hits(box)
        return came >= cap.rows if expected is None else came < expected

    def _extent(self) -> Bounds:
        """Where the layer lies, as its WFS says, else as the catalog does."""
        self._requests += 1
        try:
            said = self._wfs.capabilities(("FeatureTypeList",)).feature_type(
                type_name(self._asked.type_name)
            )
        except QuotaExhausted:
            raise
        except PortalError:
            said = None
        bounds = said.bounds if said else None
        # The whole world is what servers say that have not looked.
        return (None if bounds == WORLD else bounds) or self._asked.extent or WORLD

    def _short(self, cap: Cap, why: str) -> Unproven:
        return Unproven(
            f"the WFS gives {cap.rows} of {cap.total} features at once, and {why}: the layer "
            "cannot be had whole through WFS; the dataset's records can, by the Parquet export",
            portal=self._wfs.client.slug,
            url=self._wfs.url(self._asked.type_name),
        )


def _only(batch: FeatureBatch, kept: News) -> FeatureBatch:
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
