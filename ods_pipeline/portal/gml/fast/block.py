"""Reads blocks of features whose layouts are known, column by column.

Nothing here learns markup, or calls the XML parser.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ods_pipeline.portal.gml import limits
from ods_pipeline.portal.gml.fast.layout import EMPTY, VALUE, GroupMap, Layout
from ods_pipeline.portal.gml.fast.template import Template
from ods_pipeline.portal.gml.fast.tokens import Tokens
from ods_pipeline.portal.gml.geometry.coordinates import Integers
from ods_pipeline.portal.gml.geometry.plans import UnparsedGeometries, sizes, spread
from ods_pipeline.portal.gml.reader import Reader

_MOST_LAYOUTS = 32  # looked for in a block at once; features of others are looked up one by one
_WORTHWHILE = 16  # features that make looking for a layout worthwhile
_FEW = 4  # features that the parser reads as quickly

_ABSENT = EMPTY - 1

_REFERENCE = re.compile(r"&(?:amp|lt|gt|quot|apos|#(\d{1,7})|#x([0-9A-Fa-f]{1,6}));|&")
_CHARACTERS = {"&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'", "&amp;": "&"}

# By number of a property: rows whose text held references, and the text without them.
Resolved = dict[int, list[tuple[int, str]]]


class Block:
    """Some features of a document, to be read as far as a template matches them."""

    def __init__(self, tokens: Tokens, template: Template) -> None:
        self._tokens = tokens
        self._properties = template.properties
        self._identified = template.identified
        self._layouts = template.layouts
        self._template = template
        self._codes = np.full(tokens.features, -1)
        self._with_ampersand = tokens.with_ampersand()

    def current(self, template: Template) -> bool:
        """Whether the template still has the layouts that this block was compared with."""
        return self._layouts is template.layouts

    def recognise(self, start: int) -> None:
        """Find the layouts that many features have, from one feature on."""
        tokens, codes = self._tokens, self._codes
        counts, left = np.diff(tokens.first), np.ones(tokens.features, bool)
        left[:start] = False
        for _ in range(_MOST_LAYOUTS):
            by_count = np.bincount(counts[left], minlength=1)
            count = int(by_count.argmax())
            if by_count[count] < _WORTHWHILE:
                return
            alike = np.flatnonzero(left & (counts == count))
            number = self._template.layout_of(tokens.raw(int(alike[0])))
            left[alike[0]] = False
            if number is not None:
                mine = alike[self._layouts[number].fits(tokens, tokens.first[alike])]
                codes[mine], left[mine] = number, False

    def read(self, start: int, reader: Reader) -> int:
        """Read features up to the first without a layout; returns how many."""
        most = limits.CROWDED // (len(self._properties) + 1) - reader.rows
        end = self._known_until(start, min(self._tokens.features, start + max(0, most)))
        end, resolved = self._resolved(start, end)
        if end - start < min(_FEW, self._tokens.features - start):
            return 0
        rows = _Rows(self._tokens, self._layouts, start, self._codes[start:end])
        rows.put(self._properties, resolved, reader, identified=self._identified)
        return end - start

    def _known_until(self, start: int, end: int) -> int:
        """The first feature without a layout; those not recognised yet are looked up."""
        for feature in (np.flatnonzero(self._codes[start:end] < 0) + start).tolist():
            number = self._template.layout_of(self._tokens.raw(feature))
            if number is None:
                return int(feature)
            self._codes[feature] = number
        return end

    def _resolved(self, start: int, end: int) -> tuple[int, Resolved]:
        """Texts without references, up to a feature with one that is not XML's own."""
        first, resolved = self._tokens.first, Resolved()
        bounds = np.searchsorted(self._with_ampersand, first[[start, end]])
        for tag in self._with_ampersand[slice(*bounds)].tolist():
            feature = int(np.searchsorted(first, tag, "right")) - 1
            layout = self._layouts[self._codes[feature]]
            number = tag - int(first[feature])
            text = None
            if layout.roles[number] == VALUE:
                text = without_references(self._tokens.texts(np.array([tag]))[0].as_py())
            if text is None:
                row = feature - start
                return feature, {n: [e for e in each if e[0] < row] for n, each in resolved.items()}
            (key,) = (key for key, value in layout.values.items() if value == number)
            resolved.setdefault(key, []).append((feature - start, text))
        return end, resolved


def without_references(text: str) -> str | None:
    """A text with its references replaced; None if one is not XML's own."""
    try:
        return _REFERENCE.sub(_character, text)
    except ValueError:
        return None


def _character(match: re.Match[str]) -> str:
    decimal, hexadecimal = match.groups()
    if decimal or hexadecimal:
        code = int(decimal) if decimal else int(hexadecimal, 16)
        if code < 32 or 0xD800 <= code < 0xE000 or code in (0xFFFE, 0xFFFF):
            raise ValueError(match[0])
        return chr(code)
    if match[0] not in _CHARACTERS:
        raise ValueError(match[0])
    return _CHARACTERS[match[0]]


class _Rows:
    """Consecutive features whose layouts are known."""

    def __init__(
        self, tokens: Tokens, layouts: Sequence[Layout], start: int, codes: Integers
    ) -> None:
        used, self._codes = np.unique(codes, return_inverse=True)
        self._layouts = [layouts[number] for number in used.tolist()]
        self._tokens = tokens
        self._first = tokens.first[start : start + len(codes)]

    def put(
        self,
        properties: Sequence[GroupMap],
        resolved: Resolved,
        reader: Reader,
        *,
        identified: bool,
    ) -> None:
        """Append them to the reader's columns."""
        start = reader.rows
        for number, each in enumerate(properties):
            column = each.markup.column
            if column is None:
                continue
            if each.geometric:
                column.put_geometries(start, self._shapes(number))
            elif each.groups:
                column.put_texts(start, self._values(number, resolved.get(number, [])))
        if identified:
            reader.ids.put_all(start, self._ids())
        reader.rows += len(self._first)
        reader.features += len(self._first)

    def _per_feature(self, numbers: Iterator[int]) -> Integers:
        """A number for each feature, from one for each layout."""
        return np.array(list(numbers), np.int64)[self._codes]

    def _ids(self) -> pa.Array:
        tags = self._first + self._per_feature(layout.identity for layout in self._layouts)
        before, after = (
            self._per_feature(layout.around_id()[side] for layout in self._layouts)
            for side in (0, 1)
        )
        starts, ends = self._tokens.starts[tags] + before, self._tokens.ends[tags] - after
        return self._tokens.within(starts, ends)

    def _values(self, number: int, resolved: list[tuple[int, str]]) -> pa.Array:
        numbers = self._per_feature(layout.values.get(number, _ABSENT) for layout in self._layouts)
        absent = numbers == _ABSENT
        tags = np.where(numbers < 0, EMPTY, self._first + numbers)
        values = self._tokens.texts(tags, absent if absent.any() else None)
        if not resolved:
            return values
        mask = np.zeros(len(values), bool)
        mask[[row for row, _ in resolved]] = True
        texts = pa.array([text for _, text in resolved], pa.string())
        return pc.replace_with_mask(values, pa.array(mask), texts)

    def _shapes(self, number: int) -> UnparsedGeometries:
        shapes = [layout.shapes.get(number) for layout in self._layouts]
        plans = tuple(dict.fromkeys(shape[0] for shape in shapes if shape))
        codes = self._per_feature(plans.index(shape[0]) if shape else -1 for shape in shapes)
        parts = [shape[1] if shape else () for shape in shapes]
        tags = spread(self._codes, parts) + np.repeat(self._first, sizes(self._codes, parts))
        return UnparsedGeometries(codes, plans, self._tokens.texts(tags))
