"""The properties of the features of a batch, as they fill; text or geometry, whichever comes.

What stands in an element is the reader's to say, and what a column's type should be its user's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import pyarrow as pa

from ods_pipeline.errors import GmlRefused
from ods_pipeline.portal.gml import limits
from ods_pipeline.portal.gml.coordinates import Unreadable
from ods_pipeline.portal.gml.geometry import Batch
from ods_pipeline.portal.gml.markup import blank, is_gml, local
from ods_pipeline.portal.gml.names import Mender
from ods_pipeline.portal.gml.plans import Plan

_NEVER_DATA = frozenset({"boundedBy", "metaDataProperty", "descriptionReference"})
_NAMED_BY_GML = frozenset({"name", "description", "identifier", "location"})
_DESCRIBED = frozenset({"LocationString", "LocationKeyWord", "Null"})

Text = str | list[str | None] | None


class Column:
    """A property.

    Attributes:
        name: What it is called in the table.
        geometric: Whether it has held a geometry yet.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.geometric = False
        self.values: list[Text] = []
        self._plans: list[Plan | None] = []
        self._texts: list[str] = []
        self._repeated = False
        self._worded = False

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
        values = self.values
        missing = row - len(values)
        if missing == 0:
            values.append(text)
        elif missing > 0:
            values.extend([None] * missing)
            values.append(text)
        else:
            self._repeated = True
            before = values[row]
            values[row] = [*before, text] if isinstance(before, list) else [before, text]

    def put_all(self, row: int, texts: Sequence[str | None]) -> None:
        """Take one text per feature, from a row on that has none yet."""
        self.values.extend([None] * (row - len(self.values)))
        self.values.extend(texts)

    def place_all(self, row: int, plans: Sequence[Plan | None], texts: Iterable[str]) -> None:
        """Take one geometry per feature, from a row on that has none yet."""
        self._plans.extend([None] * (row - len(self._plans)))
        self._plans.extend(plans)
        self._texts.extend(texts)

    def plan_of(self, row: int) -> Plan | None:
        """The plan of a feature's geometry."""
        return self._plans[row] if row < len(self._plans) else None

    def place(self, row: int, plan: Plan, texts: Sequence[str]) -> None:
        """Take a geometry.

        Raises:
            Unreadable: The property has one already, or holds text elsewhere.
        """
        if not self.geometric:
            self._become_geometric()
        plans = self._plans
        missing = row - len(plans)
        if missing > 0:
            plans.extend([None] * missing)
        elif missing < 0:
            raise Unreadable("has more than one geometry")
        plans.append(plan)
        self._texts.extend(texts)

    def _become_geometric(self) -> None:
        if self._worded or any(map(_worded, self.values)):
            raise Unreadable("holds both text and geometry")
        self.geometric = True
        self.values.clear()

    def texts(self, rows: int) -> pa.Array:
        """The texts of the batch that ends here; those of a feature half read stay."""
        values, self.values = self.values[:rows], self.values[rows:]
        values += [None] * (rows - len(values))
        self._worded = self._worded or any(map(_worded, values))
        if not self._repeated:
            return pa.array(values, pa.string())
        lists = [value if value is None or isinstance(value, list) else [value] for value in values]
        return pa.array(lists, pa.list_(pa.string()))

    def geometries(self, rows: int, where: Callable[[int], str]) -> Batch:
        """The geometries of the batch that ends here; those of a feature half read stay."""
        plans, self._plans = self._plans[:rows], self._plans[rows:]
        plans += [None] * (rows - len(plans))
        end = len(self._texts) - sum(plan.texts for plan in self._plans if plan)
        texts, self._texts = self._texts[:end], self._texts[end:]
        return Batch(plans, texts, lambda row: f"{where(row)}, property {self.name!r},")


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

    def put_all(self, row: int, texts: Sequence[str | None]) -> None:
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


def _worded(value: Text) -> bool:
    if isinstance(value, list):
        return any(map(_worded, value))
    return value is not None and not blank(value)
