"""A block of features, read by their forms: which is whose, and their values column by column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ods_pipeline.portal.gml import limits
from ods_pipeline.portal.gml.fast.layout import NOTHING, VALUE, Form
from ods_pipeline.portal.gml.fast.layout_builder import Slots
from ods_pipeline.portal.gml.fast.references import resolved
from ods_pipeline.portal.gml.fast.template import Template
from ods_pipeline.portal.gml.fast.tokens import Integers, Tokens
from ods_pipeline.portal.gml.geometry.placed import Placed
from ods_pipeline.portal.gml.geometry.ragged import sizes, spread
from ods_pipeline.portal.gml.reader import Reader

_FORMS = 32  # that are looked for in a block at once; features of others are looked at singly
_CROWD = 16  # features that are worth it
_FEW = 4  # features that the parser reads as quickly

_ABSENT = NOTHING - 1

# By row: texts that held references.
Mended = dict[int, list[tuple[int, str]]]


class Block:
    """Some features of a document, to be read by a template where it knows them.

    Args:
        tokens: Their tags.
        template: What is known of them.
    """

    def __init__(self, tokens: Tokens, template: Template) -> None:
        self._tokens = tokens
        self._slots = template.slots
        self._identified = template.identified
        self._forms = template.forms
        self._template = template
        self._codes = np.full(tokens.features, -1)
        self._escaped = tokens.escaped()

    def current(self, template: Template) -> bool:
        """Whether a template is what the block was looked at with."""
        return self._forms is template.forms

    def recognise(self, start: int) -> None:
        """Look for the forms that many features have, from one feature on."""
        tokens, codes = self._tokens, self._codes
        counts, left = np.diff(tokens.first), np.ones(tokens.features, bool)
        left[:start] = False
        for _ in range(_FORMS):
            sizes_left = np.bincount(counts[left], minlength=1)
            count = int(sizes_left.argmax())
            if sizes_left[count] < _CROWD:
                return
            alike = np.flatnonzero(left & (counts == count))
            number = self._template.form_of(tokens.raw(int(alike[0])))
            left[alike[0]] = False
            if number is not None:
                mine = alike[self._forms[number].fits(tokens, tokens.first[alike])]
                codes[mine], left[mine] = number, False

    def read(self, start: int, reader: Reader) -> int:
        """Read features into the reader's columns for as long as they are known.

        Returns:
            How many were read.
        """
        most = limits.CROWDED // (len(self._slots) + 1) - reader.rows
        end = self._known_until(start, min(self._tokens.features, start + max(0, most)))
        end, mended = self._mended(start, end)
        if end - start < min(_FEW, self._tokens.features - start):
            return 0
        _Rows(self._tokens, self._forms, start, self._codes[start:end]).put(
            self._slots, mended, reader, identified=self._identified
        )
        return end - start

    def _known_until(self, start: int, end: int) -> int:
        """Up to which feature all have a form; those that are still open are looked at."""
        for feature in (np.flatnonzero(self._codes[start:end] < 0) + start).tolist():
            number = self._template.form_of(self._tokens.raw(feature))
            if number is None:
                return int(feature)
            self._codes[feature] = number
        return end

    def _mended(self, start: int, end: int) -> tuple[int, Mended]:
        """Texts with their references resolved, up to a feature where one is not XML's own."""
        first, mended = self._tokens.first, Mended()
        bounds = np.searchsorted(self._escaped, first[[start, end]])
        for tag in self._escaped[slice(*bounds)].tolist():
            feature = int(np.searchsorted(first, tag, "right")) - 1
            form = self._forms[self._codes[feature]]
            number = tag - int(first[feature])
            if form.roles[number] != VALUE:
                return feature, _before(feature - start, mended)
            (place,) = (place for place, value in form.values.items() if value == number)
            try:
                said = resolved(self._tokens.texts(np.array([tag]))[0].as_py())
            except ValueError:
                return feature, _before(feature - start, mended)
            mended.setdefault(place, []).append((feature - start, said))
        return end, mended


class _Rows:
    """Features side by side whose forms are known."""

    def __init__(self, tokens: Tokens, forms: Sequence[Form], start: int, codes: Integers) -> None:
        used, self._codes = np.unique(codes, return_inverse=True)
        self._forms = [forms[number] for number in used.tolist()]
        self._tokens = tokens
        self._first = tokens.first[start : start + len(codes)]

    def put(
        self, slots: Sequence[Slots], mended: Mended, reader: Reader, *, identified: bool
    ) -> None:
        """Put them into the columns."""
        start = reader.rows
        for place, each in enumerate(slots):
            column = each.item.column
            if column is None:
                continue
            if each.geometric:
                column.place_all(start, self._shapes(place))
            elif each.groups:
                column.put_all(start, self._values(place, mended.get(place, [])))
        if identified:
            reader.ids.put_all(start, self._ids())
        reader.rows += len(self._first)
        reader.features += len(self._first)

    def _each(self, numbers: Iterator[int]) -> Integers:
        """A number for each feature, from one for each form."""
        return np.array(list(numbers), np.int64)[self._codes]

    def _ids(self) -> pa.Array:
        tags = self._first + self._each(form.identity for form in self._forms)
        before, after = (self._each(form.around()[side] for form in self._forms) for side in (0, 1))
        starts, ends = self._tokens.starts[tags] + before, self._tokens.ends[tags] - after
        return self._tokens.within(starts, ends)

    def _values(self, place: int, mended: list[tuple[int, str]]) -> pa.Array:
        numbers = self._each(form.values.get(place, _ABSENT) for form in self._forms)
        absent = numbers == _ABSENT
        tags = np.where(numbers < 0, NOTHING, self._first + numbers)
        values = self._tokens.texts(tags, absent if absent.any() else None)
        if not mended:
            return values
        mask = np.zeros(len(values), bool)
        mask[[row for row, _ in mended]] = True
        said = pa.array([text for _, text in mended], pa.string())
        return pc.replace_with_mask(values, pa.array(mask), said)

    def _shapes(self, place: int) -> Placed:
        found = [form.shapes.get(place) for form in self._forms]
        plans = tuple(dict.fromkeys(shape[0] for shape in found if shape))
        codes = self._each(plans.index(shape[0]) if shape else -1 for shape in found)
        parts = [shape[1] if shape else () for shape in found]
        tags = spread(self._codes, parts) + np.repeat(self._first, sizes(self._codes, parts))
        return Placed(codes, plans, self._tokens.texts(tags))


def _before(row: int, mended: Mended) -> Mended:
    """What was mended in the rows before one."""
    return {place: [each for each in rows if each[0] < row] for place, rows in mended.items()}
