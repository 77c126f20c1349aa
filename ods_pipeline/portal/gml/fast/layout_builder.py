"""A form made of one feature: what the template's expression took from where."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ods_pipeline.portal.gml.fast.layout import ASIDE, BLANK, NOTHING, PLACE, VALUE, Form
from ods_pipeline.portal.gml.fast.learning import ID, IDS, Item, named, taken_apart
from ods_pipeline.portal.gml.geometry.plans import Plan

_TAG = re.compile(r"<[^<>]*>")
_SPACE = " \t\n"
# What makes no difference to the form: texts that say something, and ids.
_SAID = re.compile(r">[ \t\n]*[^< \t\n][^<]*")
_IDENTITY = re.compile(rf'(\s(?:[\w.-]+:id|fid)="){ID}')

Shape = tuple[Plan, tuple[int, ...]]


class Formless(ValueError):
    """A feature that cannot be told by its tags alone."""


@dataclass(frozen=True)
class Slots:
    """Where the values of a property stand among the expression's groups.

    Attributes:
        item: The property.
        geometric: Whether it was geometry when the expression was made.
        groups: Of a text, one group for each of its forms.
        direct: Of a geometry, the groups of the kinds that are spelt out, each with its plan.
        others: Of a geometry, the groups for all other kinds.
    """

    item: Item
    geometric: bool
    groups: tuple[int, ...] = ()
    direct: tuple[tuple[Plan, tuple[int, ...]], ...] = ()
    others: tuple[int, ...] = ()


def skeleton(raw: str) -> str:
    """A feature without its texts and ids: features of one skeleton have one form."""
    return _SAID.sub(">~", _IDENTITY.sub(r"\1~", raw))


class Forming:
    """One feature, on its way to a form."""

    def __init__(self, found: re.Match[str], items: Sequence[Item], depth: int) -> None:
        """Look at a feature.

        Args:
            found: What the template's expression makes of it.
            items: The properties that the template knows.
            depth: How many elements stand around them.
        """
        self._found = found
        self._raw = found[0]
        self._spans = [tag.span() for tag in _TAG.finditer(self._raw)]
        self._at = {start: number for number, (start, _) in enumerate(self._spans)}
        self._roles = [BLANK] * len(self._spans)
        self._open: dict[int, tuple[bytes, ...]] = {}
        self._look_inside({item.name for item in items if item.column is None}, depth)

    def form(self, slots: Sequence[Slots], *, identified: bool) -> Form:
        """Its form.

        Args:
            slots: What the expression's groups stand for.
            identified: Whether the first one is the feature's id.

        Raises:
            Formless: It has none.
        """
        identity = self._identity() if identified else -1
        values = {place: self._value(each) for place, each in enumerate(slots)}
        shapes = {place: self._shape(each) for place, each in enumerate(slots)}
        numbers = range(len(self._spans))
        if any(self._roles[each] == BLANK and self._says(each) for each in numbers):
            raise Formless
        tags = tuple(self._open.get(each) or (self._tag(each).encode(),) for each in numbers)
        if any(len(tag) == 1 and IDS.search(tag[0].decode()) for tag in tags):
            raise Formless
        return Form(
            tags,
            tuple(self._roles),
            identity,
            {place: number for place, number in values.items() if number is not None},
            {place: shape for place, shape in shapes.items() if shape is not None},
        )

    def _tag(self, number: int) -> str:
        start, end = self._spans[number]
        return self._raw[start:end]

    def _begin(self, number: int) -> int:
        """Where the text before a tag begins."""
        return self._spans[number - 1][1] if number else 0

    def _says(self, number: int) -> bool:
        """Whether there is more than space before a tag."""
        return bool(self._raw[self._begin(number) : self._spans[number][0]].strip(_SPACE))

    def _look_inside(self, asides: set[str], depth: int) -> None:
        for first, last in self._elements(depth):
            aside = named(self._tag(first)) in asides
            for number in range(first + 1, last + 1):
                if aside and self._says(number):
                    self._roles[number] = ASIDE
                if number < last:
                    self._open_id(number)

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

    def _open_id(self, number: int) -> None:
        tag = self._tag(number)
        ids = list(IDS.finditer(tag))
        if len(ids) > 1:
            raise Formless
        for found in ids:
            self._open[number] = tag[: found.start(2)].encode(), tag[found.end(2) :].encode()

    def _identity(self) -> int:
        start = self._found.start(1)
        number = next(n for n, (_, end) in enumerate(self._spans) if end > start)
        self._open_id(number)
        return number

    def _value(self, slots: Slots) -> int | None:
        for group in slots.groups:
            start, end = self._found.span(group + 1)
            if start < 0:
                continue
            if start == end and self._raw[start - 2] == "/":
                return NOTHING
            return self._take(end, VALUE)
        return None

    def _shape(self, slots: Slots) -> Shape | None:
        for plan, groups in slots.direct:
            if self._found.start(groups[0] + 1) >= 0:
                return plan, tuple(self._take(self._found.end(g + 1), PLACE) for g in groups)
        for group in slots.others:
            start, end = self._found.span(group + 1)
            if start >= 0:
                return self._other(slots.item, start, end)
        return None

    def _other(self, item: Item, start: int, end: int) -> Shape:
        """A geometry of a kind that is not spelt out."""
        kind, _ = taken_apart(self._raw[start:end])
        plan = item.kinds.get(kind)
        inside = [n for n in self._at.values() if start <= self._begin(n) < end]
        said = [number for number in inside if self._says(number)]
        if plan is None or len(said) != plan.texts:
            raise Formless
        return plan, tuple(self._take(self._spans[number][0], PLACE) for number in said)

    def _take(self, end: int, role: int) -> int:
        """The tag that begins where a value ends."""
        number = self._at[end]
        self._roles[number] = role
        return number
