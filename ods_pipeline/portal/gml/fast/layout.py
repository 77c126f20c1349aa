"""The exact markup of a kind of feature: every tag, and what stands before it.

A layout is built from one feature that a template matches. It fits all features that the template
reads in the same way, and is compared with many features at once. Nothing here learns markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from ods_pipeline.portal.gml.fast.feature_sample import (
    ID,
    IDS,
    PropertyMarkup,
    UnsupportedMarkup,
    name_in,
    split_geometry,
)
from ods_pipeline.portal.gml.fast.tokens import Tokens
from ods_pipeline.portal.gml.geometry.coordinates import Integers, Truths
from ods_pipeline.portal.gml.geometry.plans import Plan

#: What may stand before a tag: space, a value, coordinates, or text that is not data.
BLANK, VALUE, COORDINATES, SKIPPED = range(4)
#: In place of a tag's number: the value is empty.
EMPTY = -1

_TAG = re.compile(r"<[^<>]*>")
_SPACE = " \t\n"
# What may differ between features of one layout: ids, and texts that are not blank.
_NON_BLANK = re.compile(r">[ \t\n]*[^< \t\n][^<]*")
_IDENTITY = re.compile(rf'(\s(?:[\w.-]+:id|fid)="){ID}')

GeometryTags = tuple[Plan, tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Layout:
    """The markup that some features have in common.

    Attributes:
        tags: The tags; a tag with an id as the parts before and after it.
        roles: What stands before each tag.
        identity: Number of the tag with the feature's id; -1 without.
        values: By number of a text property, the tag that its value stands before.
        shapes: By number of a geometry property, its plan and the tags that its texts stand before.
    """

    tags: tuple[tuple[bytes, ...], ...]
    roles: tuple[int, ...]
    identity: int
    values: Mapping[int, int]
    shapes: Mapping[int, GeometryTags]

    def around_id(self) -> tuple[int, int]:
        """Number of bytes before and after the feature's id in its tag."""
        if self.identity < 0:
            return 0, 0
        before, after = self.tags[self.identity]
        return len(before), len(after)

    def fits(self, tokens: Tokens, first: Integers) -> Truths:
        """Which features with as many tags have this layout; `first` are their first tags."""
        count = len(self.tags)
        least = np.array([sum(map(len, tag)) for tag in self.tags])
        literal = np.array([len(tag) == 1 for tag in self.tags])
        sizes = tokens.side_by_side(tokens.sizes, first, count)
        fitting = np.asarray(np.where(literal, sizes == least, sizes >= least).all(axis=1))
        for role in (BLANK, COORDINATES):
            mine = np.flatnonzero(np.array(self.roles) == role)
            tags = first[fitting, None] + mine
            fitting[fitting] = tokens.blank(tags, blank=role == BLANK).all(axis=1)
        spelling = b"".join(tag[0] for tag in self.tags if len(tag) == 1)
        tags = first[fitting, None] + np.flatnonzero(literal)
        fitting[fitting] = tokens.spelt(tags, spelling)
        for number in np.flatnonzero(~literal).tolist():
            fitting[fitting] = _but_for_ids(tokens, first[fitting] + number, self.tags[number])
        return fitting


def _but_for_ids(tokens: Tokens, tags: Integers, tag: tuple[bytes, ...]) -> Truths:
    """Which tags are the same as one, but for the id."""
    before, after = tag
    starts, ends = tokens.starts[tags], tokens.ends[tags]
    whole = tokens.within(starts, ends)
    fitting: Truths = pc.and_(
        pc.starts_with(whole, before.decode()), pc.ends_with(whole, after.decode())
    ).to_numpy(zero_copy_only=False)
    ids = tokens.within(starts + len(before), ends - len(after))
    # These end or change an attribute.
    fitting &= ~pc.match_substring_regex(ids, '["<>&\t\n]').to_numpy(zero_copy_only=False)
    return fitting


@dataclass(frozen=True)
class GroupMap:
    """Which groups of a template's expression capture the values of a property.

    Attributes:
        markup: The property.
        geometric: Whether it was geometry when the expression was compiled.
        groups: One group for each pattern that captures a value.
    """

    markup: PropertyMarkup
    geometric: bool
    groups: Sequence[int]


def skeleton(raw: str) -> str:
    """A feature without its texts and ids; features with the same skeleton have the same layout."""
    return _NON_BLANK.sub(">~", _IDENTITY.sub(r"\1~", raw))


class LayoutBuilder:
    """Builds the layout of one feature."""

    def __init__(
        self, match: re.Match[str], properties: Sequence[PropertyMarkup], depth: int
    ) -> None:
        """Split the feature that a template's expression has matched."""
        self._match = match
        self._raw = match[0]
        self._spans = [tag.span() for tag in _TAG.finditer(self._raw)]
        self._roles = [BLANK] * len(self._spans)
        self._with_id: dict[int, tuple[bytes, ...]] = {}
        self._scan({each.name for each in properties if each.column is None}, depth)

    def layout(self, properties: Sequence[GroupMap], *, identified: bool) -> Layout:
        """The feature's layout, by the groups of the expression."""
        identity = self._identity() if identified else -1
        values: dict[int, int] = {}
        shapes: dict[int, GeometryTags] = {}
        for number, groups in enumerate(properties):
            span = self._span(groups)
            if span and groups.geometric:
                shapes[number] = self._shape(groups.markup, *span)
            elif span:
                values[number] = self._value(*span)
        numbers = range(len(self._spans))
        if any(self._roles[each] == BLANK and self._has_text(each) for each in numbers):
            raise UnsupportedMarkup
        tags = tuple(self._with_id.get(each) or (self._tag(each).encode(),) for each in numbers)
        if any(len(tag) == 1 and IDS.search(tag[0].decode()) for tag in tags):
            raise UnsupportedMarkup
        return Layout(tags, tuple(self._roles), identity, values, shapes)

    def _tag(self, number: int) -> str:
        start, end = self._spans[number]
        return self._raw[start:end]

    def _begin(self, number: int) -> int:
        """Where the text before a tag begins."""
        return self._spans[number - 1][1] if number else 0

    def _has_text(self, number: int) -> bool:
        """Whether there is more than space before a tag."""
        return bool(self._raw[self._begin(number) : self._spans[number][0]].strip(_SPACE))

    def _scan(self, skipped: set[str], depth: int) -> None:
        """Mark texts that are not data, and tags with an id."""
        for first, last in self._elements(depth):
            skip = name_in(self._tag(first)) in skipped
            for number in range(first + 1, last + 1):
                if skip and self._has_text(number):
                    self._roles[number] = SKIPPED
                if number < last:
                    self._split_at_id(number)

    def _elements(self, depth: int) -> Iterator[tuple[int, int]]:
        """The first and the last tag of each property."""
        level = first = 0
        for number in range(depth, len(self._spans) - depth):
            tag = self._tag(number)
            first = number if level == 0 else first
            if tag[-2] != "/":
                level += -1 if tag[1] == "/" else 1
            if level == 0:
                yield first, number

    def _split_at_id(self, number: int) -> None:
        tag = self._tag(number)
        ids = list(IDS.finditer(tag))
        if len(ids) > 1:
            raise UnsupportedMarkup
        for match in ids:
            self._with_id[number] = tag[: match.start(2)].encode(), tag[match.end(2) :].encode()

    def _identity(self) -> int:
        start = self._match.start(1)
        number = next(n for n, (_, end) in enumerate(self._spans) if end > start)
        self._split_at_id(number)
        return number

    def _span(self, groups: GroupMap) -> tuple[int, int] | None:
        """Where the feature has the value of a property."""
        spans = (self._match.span(group + 1) for group in groups.groups)
        return next((span for span in spans if span[0] >= 0), None)

    def _value(self, start: int, end: int) -> int:
        """The tag that a value stands before."""
        if start == end and self._raw[start - 2] == "/":
            return EMPTY
        number = next(n for n, (begin, _) in enumerate(self._spans) if begin == end)
        self._roles[number] = VALUE
        return number

    def _shape(self, markup: PropertyMarkup, start: int, end: int) -> GeometryTags:
        """The plan of a geometry, and the tags that its texts stand before."""
        kind, _ = split_geometry(self._raw[start:end])
        plan = markup.plans.get(kind)
        inside = [n for n, (begin, _) in enumerate(self._spans) if start <= begin <= end]
        with_text = tuple(filter(self._has_text, inside))
        if plan is None or len(with_text) != plan.texts:
            raise UnsupportedMarkup
        for number in with_text:
            self._roles[number] = COORDINATES
        return plan, with_text
