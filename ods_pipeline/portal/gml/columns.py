"""Collects the values of each property of the features of a batch, as text or geometry.

Nothing here reads elements, or knows declared types.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ods_pipeline.errors import GmlRefused
from ods_pipeline.portal.gml import limits
from ods_pipeline.portal.gml.geometry.batch import GeometryBatch
from ods_pipeline.portal.gml.geometry.markup import blank, is_gml, local
from ods_pipeline.portal.gml.geometry.plans import Plan, UnparsedGeometries, concatenated, from_list
from ods_pipeline.portal.gml.names import NameEscaper
from ods_pipeline.tables.curves import Unreadable

Text = str | list[str | None] | None

_LISTS = pa.list_(pa.string())
_NEVER_DATA = frozenset({"boundedBy", "metaDataProperty", "descriptionReference"})
_PREFIXED = frozenset({"name", "description", "identifier", "location"})
_DESCRIPTIONS = frozenset({"LocationString", "LocationKeyWord", "Null"})


class Texts:
    """The texts of the features of a batch; one feature may be unfinished."""

    def __init__(self) -> None:
        self._arrays: list[pa.Array] = []
        # Number of rows in the arrays; later rows are in the list.
        self._in_arrays = 0
        self._values: list[Text] = []
        self._repeated = False

    def put(self, row: int, text: str | None) -> None:
        """Add a text, or None for nil; a second one in a row makes a list."""
        values = self._values
        missing = row - self._in_arrays - len(values)
        if missing == 0:
            values.append(text)
        elif missing > 0:
            values.extend([None] * missing)
            values.append(text)
        else:
            self._repeated = True
            before = values[row - self._in_arrays]
            values[-1] = [*before, text] if isinstance(before, list) else [before, text]

    def put_all(self, row: int, texts: pa.Array) -> None:
        """Add one text per row, from a row without a text on."""
        self._move_to_arrays(row)
        self._arrays.append(texts)
        self._in_arrays += len(texts)

    def at(self, row: int) -> Text:
        """The text of a row; None after the last one."""
        if row >= self._in_arrays:
            values = self._values[row - self._in_arrays :]
            return values[0] if values else None
        for array in self._arrays:
            if row < len(array):
                text: Text = array[row].as_py()
                return text
            row -= len(array)
        return None

    def take(self, rows: int) -> pa.Array:
        """Remove the first rows, and return their texts."""
        if rows > self._in_arrays:
            self._move_to_arrays(rows)
        parts = [as_lists(part) for part in self._arrays] if self._repeated else self._arrays
        whole = pa.concat_arrays(parts or [pa.array([], _LISTS if self._repeated else pa.string())])
        self._in_arrays -= rows
        self._arrays = [whole[rows:]] if self._in_arrays else []
        return whole[:rows]

    def any_non_blank(self) -> bool:
        """Whether any text is more than space."""
        return any(map(_non_blank, self._values)) or any(map(_any_non_blank, self._arrays))

    def clear(self) -> None:
        """Remove all texts."""
        self._arrays.clear()
        self._values.clear()
        self._in_arrays = 0

    def _move_to_arrays(self, rows: int) -> None:
        """Make an array of the rows before this one that are in the list."""
        number = rows - self._in_arrays
        if number <= 0:
            return
        values, self._values = self._values[:number], self._values[number:]
        values += [None] * (number - len(values))
        if any(isinstance(value, list) for value in values):
            lists = [[value] if isinstance(value, str) else value for value in values]
            self._arrays.append(pa.array(lists, _LISTS))
        else:
            self._arrays.append(pa.array(values, pa.string()))
        self._in_arrays = rows


def as_lists(texts: pa.Array) -> pa.Array:
    """Texts as lists of one text each; lists stay as they are."""
    if pa.types.is_list(texts.type):
        return texts
    absent = texts.is_null()
    offsets = pa.array(np.arange(len(texts) + 1, dtype=np.int32))
    return pa.ListArray.from_arrays(offsets, texts, type=_LISTS, mask=absent)


def _any_non_blank(texts: pa.Array) -> bool:
    if pa.types.is_list(texts.type):
        texts = texts.flatten()
    return bool(pc.any(pc.not_equal(pc.ascii_trim_whitespace(texts), "")).as_py())


def _non_blank(value: Text) -> bool:
    if isinstance(value, list):
        return any(map(_non_blank, value))
    return value is not None and not blank(value)


def feature_label(identity: Text, before: int) -> str:
    """Names a feature in messages, by its id or by the number of features before it."""
    return f"feature {identity!r}" if identity else f"feature number {before + 1}"


class Column:
    """A property.

    Attributes:
        name: Its name in the table.
        geometric: Whether it has held a geometry so far.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.geometric = False
        self._values = Texts()
        self._had_text = False
        # Geometries of the first rows, their number, and then those that were read one by one.
        self._parts: list[UnparsedGeometries] = []
        self._in_parts = 0
        self._plans: list[Plan | None] = []
        self._texts: list[str] = []

    @property
    def textual(self) -> bool:
        """Whether it is a column of texts."""
        return not self.geometric

    def follows_link(self, _href: str) -> bool:
        """Whether a link is followed to the value."""
        return True

    def skips(self, _element: str) -> bool:
        """Whether an element in it is skipped."""
        return False

    def put_text(self, row: int, text: str | None) -> None:
        """Add a text, or None for nil; refused if the property holds geometries elsewhere."""
        if self.geometric:
            if text and not blank(text):
                raise Unreadable("holds both text and geometry")
            return
        self._values.put(row, text)

    def put_texts(self, row: int, texts: pa.Array) -> None:
        """Add one text per feature, from a row without a text on."""
        self._values.put_all(row, texts)

    def put_geometries(self, row: int, geometries: UnparsedGeometries) -> None:
        """Add one geometry per feature, from a row without one on."""
        self._move_to_parts(row)
        self._parts.append(geometries)
        self._in_parts += len(geometries.codes)

    def plan_of(self, row: int) -> Plan | None:
        """The plan of the geometry of a feature that was just read."""
        plans = self._plans[row - self._in_parts :]
        return plans[0] if plans else None

    def put_geometry(self, row: int, plan: Plan, texts: Sequence[str]) -> None:
        """Add a geometry; refused if the row has one, or the property holds text elsewhere."""
        if not self.geometric:
            self._become_geometric()
        plans = self._plans
        missing = row - self._in_parts - len(plans)
        if missing > 0:
            plans.extend([None] * missing)
        elif missing < 0:
            raise Unreadable("has more than one geometry")
        plans.append(plan)
        self._texts.extend(texts)

    def _become_geometric(self) -> None:
        if self._had_text or self._values.any_non_blank():
            raise Unreadable("holds both text and geometry")
        self.geometric = True
        self._values.clear()

    def texts(self, rows: int) -> pa.Array:
        """Remove and return the texts of a batch; those of an unfinished feature stay."""
        self._had_text = self._had_text or self._values.any_non_blank()
        return self._values.take(rows)

    def geometries(self, rows: int, label: Callable[[int], str]) -> GeometryBatch:
        """Remove and return the geometries of a batch; those of an unfinished feature stay."""
        self._move_to_parts(rows)
        geometries, rest = concatenated(self._parts).cut(rows)
        self._in_parts -= rows
        self._parts = [rest] if self._in_parts else []
        return GeometryBatch(geometries, lambda row: f"{label(row)}, property {self.name!r},")

    def _move_to_parts(self, rows: int) -> None:
        """Move the geometries before a row that were read one by one to the others."""
        number = rows - self._in_parts
        if number <= 0:
            return
        plans, self._plans = self._plans[:number], self._plans[number:]
        end = len(self._texts) - sum(plan.texts for plan in self._plans if plan)
        texts, self._texts = self._texts[:end], self._texts[end:]
        self._parts.append(from_list([*plans, *[None] * (number - len(plans))], texts))
        self._in_parts = rows


class Location(Column):
    """GML's own `location`: data if it is a geometry, ignored if it is a description."""

    @property
    def textual(self) -> bool:
        """Its texts are not data."""
        return False

    def follows_link(self, href: str) -> bool:
        """Whether a link is followed: one to another document may be to a gazetteer."""
        return href.startswith("#")

    def skips(self, element: str) -> bool:
        """Whether an element in it cannot be a geometry."""
        return not is_gml(element) or local(element) in _DESCRIPTIONS

    def put_text(self, row: int, text: str | None) -> None:
        """Ignore a text."""

    def put_texts(self, row: int, texts: pa.Array) -> None:
        """Ignore texts."""


class Columns(dict[str, Column | None]):
    """The properties met so far, by element name; None for elements that are not data."""

    def __init__(self, escaper: NameEscaper) -> None:
        super().__init__()
        self._escaper = escaper
        self._names: set[str] = set()

    def __missing__(self, name: str) -> Column | None:
        """Make a property, unless its name is used already or there are too many."""
        local_name = self._escaper.original(local(name))
        column = None
        if not (is_gml(name) and local_name in _NEVER_DATA):
            column_name = (
                f"gml_{local_name}" if is_gml(name) and local_name in _PREFIXED else local_name
            )
            if column_name in self._names:
                raise GmlRefused(f"two namespaces have a property {column_name!r}")
            self._names.add(column_name)
            if len(self) >= limits.PROPERTIES:
                raise GmlRefused(f"there are more than {limits.PROPERTIES} different properties")
            column = (Location if column_name == "gml_location" and is_gml(name) else Column)(
                column_name
            )
        self[name] = column
        return column
