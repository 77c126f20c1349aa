"""The markup of one feature, learned from features that the XML parser has read.

Features of a layer differ in little but their values. A template is a regular expression for one
whole feature: every tag literally as it was met, ids and texts open, each property optional.
What it matches has a `form`, by which whole blocks of features are recognised. How one feature is
taken to pieces is `lesson`'s work, why it is sound to read without the parser `bypass` says.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ods_pipeline.portal.gml.fast.layout import Form
from ods_pipeline.portal.gml.fast.layout_builder import Forming, Formless, Slots, skeleton
from ods_pipeline.portal.gml.fast.learning import SPACE, Item, Lesson, Unlearnable
from ods_pipeline.portal.gml.geometry.plans import Plan
from ods_pipeline.portal.gml.reader import Reader

_MOST_KINDS = 4096


class Template:
    """What is known of a layer's features in one place of a document.

    Attributes:
        slots: The properties, and where their values stand.
        identified: Whether features have ids.
        forms: The forms that features had since the expression was made.
    """

    def __init__(self) -> None:
        self.slots: list[Slots] = []
        self.identified = False
        self.forms: list[Form] = []
        self._head = self._tail = ""
        self._depth = 0
        self._items: list[Item] = []
        self._match: Callable[[str], re.Match[str] | None] = re.compile(r"(?!)").fullmatch
        self._known: dict[str, int] = {}

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
        head, identified = lesson.head
        if self._tail and (self._head, self.identified, self._tail) != (
            head,
            identified,
            lesson.tail,
        ):
            raise Unlearnable
        changed = _merged(self._items, lesson.items)
        if changed or not self._tail:
            self._head, self.identified, self._tail = head, identified, lesson.tail
            self._depth = lesson.depth
            self._compile()
        return changed

    def _compile(self) -> None:
        parts, group = [self._head], int(self.identified)
        # New lists: whoever looks at the forms of before has numbers of before.
        self.slots, self.forms, self._known = [], [], {}
        for item in self._items:
            if item.column is None:
                parts.append(SPACE + next(iter(item.forms)))
                continue
            forms = [*item.direct, *item.forms]
            slots, group = _slots(item, group)
            self.slots.append(slots)
            parts.append(f"(?:{SPACE}(?:{'|'.join(forms)}))?+")
        self._match = re.compile("".join(parts) + self._tail).fullmatch

    @property
    def holds(self) -> bool:
        """Whether properties are still what they were: text or geometry."""
        return all(slots.geometric == slots.item.geometric for slots in self.slots)

    def form_of(self, raw: bytes) -> int | None:
        """The number of a feature's form; None where the feature is not known."""
        text = raw.decode()
        key = skeleton(text)
        if key not in self._known:
            found = self._match(text)
            if found is None or len(self.forms) >= _MOST_KINDS:
                return None
            try:
                forming = Forming(found, self._items, self._depth)
                form = forming.form(self.slots, identified=self.identified)
            except Formless:
                return None
            self._known[key] = len(self.forms)
            self.forms.append(form)
        return self._known[key]


def _slots(item: Item, group: int) -> tuple[Slots, int]:
    """The groups that a property takes, from a number on, and the next number."""
    direct: list[tuple[Plan, tuple[int, ...]]] = []
    for plan in item.direct.values():
        direct.append((plan, tuple(range(group, group + plan.texts))))
        group += plan.texts
    taken = tuple(range(group, group + sum(item.forms.values())))
    after = group + len(taken)
    if item.geometric:
        return Slots(item, True, (), tuple(direct), taken), after
    return Slots(item, False, taken), after


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
