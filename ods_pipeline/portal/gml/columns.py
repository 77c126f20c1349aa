"""The properties of the features of a batch, as they fill; text or geometry, whichever comes.

What stands in an element is the reader's to say, and what a column's type should be its user's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa

from ods_pipeline.errors import GmlRefused
from ods_pipeline.portal.gml import limits
from ods_pipeline.portal.gml.geometry.coordinates import Unreadable
from ods_pipeline.portal.gml.geometry.geometry import Batch
from ods_pipeline.portal.gml.geometry.markup import blank, is_gml, local
from ods_pipeline.portal.gml.geometry.placed import Placed, joined, listed
from ods_pipeline.portal.gml.geometry.plans import Plan
from ods_pipeline.portal.gml.names import Mender
from ods_pipeline.portal.gml.texts import Texts

_NEVER_DATA = frozenset({"boundedBy", "metaDataProperty", "descriptionReference"})
_NAMED_BY_GML = frozenset({"name", "description", "identifier", "location"})
_DESCRIBED = frozenset({"LocationString", "LocationKeyWord", "Null"})


class Column:
    """A property.

    Attributes:
        name: What it is called in the table.
        geometric: Whether it has held a geometry yet.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.geometric = False
        self._values = Texts()
        self._worded = False
        # Geometries of the rows up to a number, then those that were met one by one.
        self._placed: list[Placed] = []
        self._settled = 0
        self._plans: list[Plan | None] = []
        self._texts: list[str] = []

    @property
    def textual(self) -> bool:
        """Whether it is a column of texts."""
        return not self.geometric

    def follows(self, _href: str) -> bool:
        """Whether a link stands for its value."""
        return True

    def passes(self, _element: str) -> bool:
        """Whether an element in it is passed over."""
        return False

    def put(self, row: int, text: str | None) -> None:
        """Take a text, or None for nil.

        Raises:
            Unreadable: The property holds geometries elsewhere.
        """
        if self.geometric:
            if text and not blank(text):
                raise Unreadable("holds both text and geometry")
            return
        self._values.put(row, text)

    def put_all(self, row: int, texts: pa.Array) -> None:
        """Take one text per feature, from a row on that has none yet."""
        self._values.put_all(row, texts)

    def place_all(self, row: int, placed: Placed) -> None:
        """Take one geometry per feature, from a row on that has none yet."""
        self._settle(row)
        self._placed.append(placed)
        self._settled += len(placed.codes)

    def plan_of(self, row: int) -> Plan | None:
        """The plan of the geometry of a feature that was just read."""
        plans = self._plans[row - self._settled :]
        return plans[0] if plans else None

    def place(self, row: int, plan: Plan, texts: Sequence[str]) -> None:
        """Take a geometry.

        Raises:
            Unreadable: The property has one already, or holds text elsewhere.
        """
        if not self.geometric:
            self._become_geometric()
        plans = self._plans
        missing = row - self._settled - len(plans)
        if missing > 0:
            plans.extend([None] * missing)
        elif missing < 0:
            raise Unreadable("has more than one geometry")
        plans.append(plan)
        self._texts.extend(texts)

    def _become_geometric(self) -> None:
        if self._worded or self._values.worded():
            raise Unreadable("holds both text and geometry")
        self.geometric = True
        self._values.clear()

    def texts(self, rows: int) -> pa.Array:
        """The texts of the batch that ends here; those of a feature half read stay."""
        self._worded = self._worded or self._values.worded()
        return self._values.taken(rows)

    def geometries(self, rows: int, named: Callable[[int], str]) -> Batch:
        """The geometries of the batch that ends here; those of a feature half read stay.

        Args:
            rows: Features of the batch.
            named: Names a feature by its row, also when the batch is past.
        """
        self._settle(rows)
        placed, rest = joined(self._placed).cut(rows)
        self._settled -= rows
        self._placed = [rest] if self._settled else []
        return Batch(placed, lambda row: f"{named(row)}, property {self.name!r},")

    def _settle(self, rows: int) -> None:
        """Put the geometries up to a row with those that came together."""
        number = rows - self._settled
        if number <= 0:
            return
        plans, self._plans = self._plans[:number], self._plans[number:]
        end = len(self._texts) - sum(plan.texts for plan in self._plans if plan)
        texts, self._texts = self._texts[:end], self._texts[end:]
        self._placed.append(listed([*plans, *[None] * (number - len(plans))], texts))
        self._settled = rows


class Location(Column):
    """GML's own `location`: data where it is a geometry, and nothing where it is described."""

    @property
    def textual(self) -> bool:
        """Its texts are no data."""
        return False

    def follows(self, href: str) -> bool:
        """Whether a link is followed: where a thing lies may be said by a gazetteer elsewhere."""
        return href.startswith("#")

    def passes(self, element: str) -> bool:
        """Whether an element in it is none that could be a geometry."""
        return not is_gml(element) or local(element) in _DESCRIBED

    def put(self, row: int, text: str | None) -> None:
        """Pass over a text."""

    def put_all(self, row: int, texts: pa.Array) -> None:
        """Pass over texts."""


class Columns(dict[str, Column | None]):
    """The properties met so far, by element name; None for what is no data."""

    def __init__(self, mender: Mender) -> None:
        super().__init__()
        self._mender = mender
        self._called: set[str] = set()

    def __missing__(self, name: str) -> Column | None:
        """Make a property that is met for the first time.

        Raises:
            GmlRefused: Another one has its name, or there are too many.
        """
        shown = self._mender.original(local(name))
        column = None
        if not (is_gml(name) and shown in _NEVER_DATA):
            called = f"gml_{shown}" if is_gml(name) and shown in _NAMED_BY_GML else shown
            if called in self._called:
                raise GmlRefused(f"two namespaces have a property {called!r}")
            self._called.add(called)
            if len(self) >= limits.PROPERTIES:
                raise GmlRefused(f"there are more than {limits.PROPERTIES} different properties")
            column = (Location if called == "gml_location" and is_gml(name) else Column)(called)
        self[name] = column
        return column
