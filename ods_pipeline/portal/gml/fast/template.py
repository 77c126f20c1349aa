"""The markup of one feature, learned from features that the XML parser has read.

Features of a layer differ in little but their values. A template is a regular expression for one
whole feature: every tag literally as it was met, ids and texts open, each property optional.
Features that it matches are read without the parser (`bypass` says why that is sound); those that
it does not match are left to it, and teach the template. How one feature is taken to pieces is
`lesson`'s work.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

from ods_pipeline.portal.gml import limits
from ods_pipeline.portal.gml.fast.lesson import SPACE, Item, Lesson, Unlearnable, taken_apart
from ods_pipeline.portal.gml.plans import Plan
from ods_pipeline.portal.gml.reader import Reader

_MOST_KINDS = 4096
_ENTITY = re.compile(r"&(?:amp|lt|gt|quot|apos|#(\d{1,7})|#x([0-9A-Fa-f]{1,6}));|&")
# The ampersand last: what it makes is no reference any more.
_ENTITIES = {"&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'", "&amp;": "&"}

Row = Sequence[str | None]
Placed = tuple[Plan, list[str]]


@dataclass(frozen=True)
class _Slots:
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


class Template:
    """What is known of a layer's features in one place of a document."""

    def __init__(self) -> None:
        self._head: tuple[str, bool] = ("", False)
        self._tail = ""
        self._items: list[Item] = []
        self._match: Callable[[str, int], re.Match[str] | None] = re.compile(r"(?!)").match
        self._slots: list[_Slots] = []
        self._open: frozenset[int] = frozenset()

    def learn(self, raw: str, reader: Reader) -> bool:
        """Take in a feature that was just read.

        Args:
            raw: Its markup, with the member around it where it has one of its own.
            reader: Who read it.

        Returns:
            Whether the expression has changed.

        Raises:
            Unlearnable: There is something in it that templates do not know.
        """
        lesson = Lesson(raw, reader)
        if self._tail and (self._head, self._tail) != (lesson.head, lesson.tail):
            raise Unlearnable
        changed = _merged(self._items, lesson.items)
        if changed or not self._tail:
            self._head, self._tail = lesson.head, lesson.tail
            self._compile()
        return changed

    def _compile(self) -> None:
        head, identified = self._head
        parts, group = [head], int(identified)
        self._slots = []
        for item in self._items:
            if item.column is None:
                parts.append(SPACE + next(iter(item.forms)))
                continue
            forms = [*item.direct, *item.forms]
            slots, group = _slots(item, group)
            self._slots.append(slots)
            parts.append(f"(?:{SPACE}(?:{'|'.join(forms)}))?+")
        self._open = frozenset(chain.from_iterable(slots.groups for slots in self._slots))
        self._match = re.compile("".join(parts) + self._tail).match

    @property
    def holds(self) -> bool:
        """Whether properties are still what they were: text or geometry."""
        return all(slots.geometric == slots.item.geometric for slots in self._slots)

    def read(self, text: str, position: int, reader: Reader) -> int:
        """Read features into the reader's columns for as long as they match.

        Returns:
            Where the first one that does not match begins.
        """
        match, rows = self._match, list[Row]()
        shapes = [slots for slots in self._slots if slots.geometric]
        others = [group for slots in shapes for group in slots.others]
        kept: list[dict[int, Placed]] = [{} for _ in shapes]
        escaped = text.find("&", position) >= 0
        most = limits.CROWDED // (len(self._slots) + 1) - reader.rows
        while len(rows) < most and (found := match(text, position)):
            row: Row = found.groups()
            if escaped and "&" in found[0]:
                unescaped = self._unescaped(row)
                if unescaped is None:
                    break
                row = unescaped
            if any(row[group] is not None for group in others):
                placed = _others(row, shapes)
                if placed is None:
                    break
                for place, one in zip(kept, placed, strict=True):
                    if one is not None:
                        place[len(rows)] = one
            rows.append(row)
            position = found.end()
        if rows:
            self._commit(rows, kept, reader)
        return position

    def _unescaped(self, row: Row) -> Row | None:
        """Values with their references resolved; None where one is not XML's own, or misplaced."""
        values = list(row)
        try:
            for group, value in enumerate(row):
                if value is not None and "&" in value:
                    if group not in self._open:
                        return None
                    values[group] = _resolved(value)
        except ValueError:
            return None
        return values

    def _commit(self, rows: list[Row], kept: list[dict[int, Placed]], reader: Reader) -> None:
        start, count = reader.rows, len(rows)
        columns: list[Sequence[str | None]] = list(zip(*rows, strict=True))
        reader.ids.extend(columns[0] if self._head[1] else [None] * count)
        others = iter(kept)
        for slots in self._slots:
            column = slots.item.column
            if column is None:
                continue
            if slots.geometric:
                plans, texts = _placed(slots, columns, next(others), count)
                column.place_all(start, plans, texts)
            elif slots.groups:
                column.put_all(start, _first(columns, slots.groups))
        reader.rows += count
        reader.features += count


def _slots(item: Item, group: int) -> tuple[_Slots, int]:
    """The groups that a property takes, from a number on, and the next number."""
    direct: list[tuple[Plan, tuple[int, ...]]] = []
    for plan in item.direct.values():
        direct.append((plan, tuple(range(group, group + plan.texts))))
        group += plan.texts
    taken = tuple(range(group, group + sum(item.forms.values())))
    after = group + len(taken)
    if item.geometric:
        return _Slots(item, True, (), tuple(direct), taken), after
    return _Slots(item, False, taken), after


def _others(row: Row, shapes: list[_Slots]) -> list[Placed | None] | None:
    """The geometries of a feature whose kind is not spelt out; None if one is not known at all."""
    placed: list[Placed | None] = []
    for slots in shapes:
        body = next((row[group] for group in slots.others if row[group] is not None), None)
        if body is None:
            placed.append(None)
            continue
        kind, said = taken_apart(body)
        plan = slots.item.kinds.get(kind)
        if plan is None:
            return None
        placed.append((plan, said))
    return placed


def _placed(
    slots: _Slots, columns: list[Sequence[str | None]], kept: dict[int, Placed], count: int
) -> tuple[list[Plan | None], list[str]]:
    """One plan per feature, and the texts of all."""
    if len(slots.direct) == 1 and not kept and slots.direct[0][0].texts == 1:
        plan, (group,) = slots.direct[0]
        values = [value for value in columns[group] if value is not None]
        if len(values) == count:
            return [plan] * count, values
    plans: list[Plan | None] = [None] * count
    texts: list[list[str]] = [[] for _ in range(count)]
    for plan, groups in slots.direct:
        for row, said in enumerate(zip(*(columns[group] for group in groups), strict=True)):
            if said[0] is not None:
                plans[row], texts[row] = plan, [text or "" for text in said]
    for row, (plan, known) in kept.items():
        plans[row], texts[row] = plan, known
    return plans, list(chain.from_iterable(texts))


def _first(columns: list[Sequence[str | None]], groups: tuple[int, ...]) -> Sequence[str | None]:
    values = columns[groups[0]]
    for group in groups[1:]:
        pairs = zip(values, columns[group], strict=True)
        values = [other if value is None else value for value, other in pairs]
    return values


def _resolved(value: str) -> str:
    """A text with its references resolved.

    Raises:
        ValueError: One is none of XML's own.
    """
    if value.count("&") != sum(map(value.count, _ENTITIES)):
        return _ENTITY.sub(_character, value)
    for reference, character in _ENTITIES.items():
        value = value.replace(reference, character)
    return value


def _character(found: re.Match[str]) -> str:
    decimal, hexadecimal = found.groups()
    if decimal or hexadecimal:
        code = int(decimal) if decimal else int(hexadecimal, 16)
        if code < 32 or 0xD800 <= code < 0xE000 or code in (0xFFFE, 0xFFFF):
            raise ValueError(found[0])
        return chr(code)
    if found[0] not in _ENTITIES:
        raise ValueError(found[0])
    return _ENTITIES[found[0]]


def _merged(known: list[Item], met: list[Item]) -> bool:
    """Put the properties of a feature among those known, in their order.

    Raises:
        Unlearnable: The order contradicts what is known, elements differ that are no data, or a
            name and a property are not each other's alone, as prefixes allow.
    """
    if not _one_to_one([*known, *met]):
        raise Unlearnable
    places = {item.name: place for place, item in enumerate(known)}
    order = [places[item.name] for item in met if item.name in places]
    fixed = [(item.name, item.forms) for item in known if item.column is None]
    aside = [(item.name, item.forms) for item in met if item.column is None]
    if order != sorted(order) or (known and fixed != aside):
        raise Unlearnable
    changed, place = False, 0
    for item in met:
        if item.name in places:
            old = next(each for each in known if each.name == item.name)
            changed = old.widen(item, _MOST_KINDS) or changed
            place = known.index(old) + 1
        else:
            known.insert(place, item)
            changed, place = True, place + 1
    return changed


def _one_to_one(items: list[Item]) -> bool:
    """Whether each name stands for one property, and each property has one name."""
    pairs = {(item.name, id(item.column)) for item in items if item.column is not None}
    return len(pairs) == len({name for name, _ in pairs}) == len({column for _, column in pairs})
