"""One feature taken to pieces: its markup beside what the parser read from it.

What is out of the ordinary is not learned, which costs speed and nothing else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ods_pipeline.portal.gml.columns import Column
from ods_pipeline.portal.gml.geometry.plans import Plan
from ods_pipeline.portal.gml.reader import Reader

#: Expressions for what may stand between tags, in a text, and in one that is not blank. They give
#: nothing back: what follows begins with what they exclude, and looking for it anew at every
#: character of a long ring takes ten times as long as reading it.
SPACE = "[ \\t\\n]*+"
_TEXT = "[^<]*+"
_BARE = "[^<&]*+"
_SAID = "([ \\t\\n]*+[^< \\t\\n][^<]*+)"
ID = '[^"<>&\\t\\n]*+'

_TOKENS = re.compile(r"<[^<>]*>|[^<]+")
_NAME = re.compile(r"</?([^\s/>]+)")
IDS = re.compile(r'(\s(?:[\w.-]+:id|fid)=")([^"<>&]*)')
# A text is searched too, where it tells nothing: then a feature is not learned from.
_TELLING = re.compile(r"[:\s](?:nil|href)\s*=")
# Splits a geometry at its texts, so that what is left is its markup.
_TEXTS = re.compile(r">([ \t\n]*[^< \t\n][^<]*)")
_GEOMETRY_ID = re.compile(rf'(\s[\w.-]+:id="){ID}')

_SPELT_OUT = 2  # kinds of geometry per property
_MOST_TEXTS = 4  # in a kind that is spelt out


class Unlearnable(ValueError):
    """A feature whose markup is out of the ordinary."""


@dataclass
class Item:
    """A property as features write it.

    Attributes:
        name: Its element's name, as in the document.
        column: Where its values go; None for what is no data.
        forms: Expressions for it, and whether a value is taken from each.
        direct: Of a geometry, expressions for the most common kinds, one group for each text.
        kinds: Of a geometry, the plan for each kind of markup.
    """

    name: str
    column: Column | None
    forms: dict[str, bool] = field(default_factory=dict)
    direct: dict[str, Plan] = field(default_factory=dict)
    kinds: dict[str, Plan] = field(default_factory=dict)

    @property
    def geometric(self) -> bool:
        """Whether the property is geometry, as far as is known."""
        return self.column is not None and self.column.geometric

    def widen(self, other: Item, most: int) -> bool:
        """Add another feature's forms; whether expressions have changed."""
        new = not other.forms.keys() <= self.forms.keys()
        self.forms.update(other.forms)
        for expression, plan in other.direct.items():
            if len(self.direct) < _SPELT_OUT and expression not in self.direct:
                self.direct[expression] = plan
                new = True
        if len(self.kinds) < most:
            self.kinds.update(other.kinds)
        return new


def taken_apart(body: str) -> tuple[str, list[str]]:
    """A geometry's markup, with a mark for each text and id, and its texts."""
    if ':id="' in body:
        body = _GEOMETRY_ID.sub(r"\1~", body)
    parts = _TEXTS.split(body)
    return ">~".join(parts[::2]), parts[1::2]


class Lesson:
    """What a feature teaches.

    Attributes:
        head: Expression for all before the properties, and whether it takes an id.
        tail: Expression for all after them.
        depth: How many elements stand around them.
        items: The properties, each in the one form that it has here.
    """

    def __init__(self, raw: str, reader: Reader) -> None:
        """Take a feature to pieces.

        Raises:
            Unlearnable: There is something in it that is not learned.
        """
        tokens = _TOKENS.findall(raw)
        if "".join(tokens) != raw or any(map(_odd, tokens)):
            raise Unlearnable
        self._tokens = [token for token in tokens if token.strip(" \t\n")]
        self._reader = reader
        self._row = reader.rows - 1
        self.depth = depth = 2 if reader.wrapped else 1
        opening, closing = self._tokens[:depth], self._tokens[-depth:]
        if len(self._tokens) < 2 * depth or not _mirrored(opening, closing):
            raise Unlearnable
        self.head = self._opening(opening)
        self.tail = "".join(SPACE + re.escape(token) for token in closing)
        self.items = self._properties(_children(self._tokens[depth:-depth]))

    def _opening(self, tags: list[str]) -> tuple[str, bool]:
        identity = self._reader.ids.at(self._row)
        met = [found[2] for tag in tags for found in IDS.finditer(tag)]
        if met != ([] if identity is None else [identity]):
            raise Unlearnable
        return "".join(SPACE + _open_id(tag, f"({ID})") for tag in tags), identity is not None

    def _properties(self, elements: list[list[str]]) -> list[Item]:
        columns = self._reader.trail
        names = [named(element[0]) for element in elements]
        if len(columns) != len(elements) or len(set(names)) < len(names):
            raise Unlearnable
        # Two prefixes may stand for one namespace: then two names are one property.
        data = [id(column) for column in columns if column is not None]
        if len(set(data)) < len(data):
            raise Unlearnable
        return [
            self._item(name, element, column)
            for name, element, column in zip(names, elements, columns, strict=True)
        ]

    def _item(self, name: str, element: list[str], column: Column | None) -> Item:
        item = Item(name, column)
        if column is None:
            item.forms[SPACE.join(_open_id(t, ID) if t[0] == "<" else _BARE for t in element)] = (
                False
            )
            return item
        start, end = re.escape(element[0]), re.escape(element[-1])
        if _TELLING.search("".join(element)):
            if len(element) > 1 or "href" in element[0]:
                raise Unlearnable
            item.forms[start] = False
        elif column.geometric:
            self._teach_geometry(item, element, column.plan_of(self._row))
        elif len(element) == 1:
            item.forms[f"{start}()"] = True
        elif len(element) == 2 + (element[1][0] != "<"):
            item.forms[f"{start}({_TEXT}){end}"] = True
        elif _is_date(element):
            parts = (_open_id(t, ID) if t[0] == "<" else f"({_TEXT})" for t in element)
            item.forms[SPACE.join(parts)] = True
        else:
            raise Unlearnable
        return item

    def _teach_geometry(self, item: Item, element: list[str], plan: Plan | None) -> None:
        if plan is None:
            item.forms[SPACE.join(map(re.escape, element))] = False
            return
        start, end = re.escape(element[0]), re.escape(element[-1])
        kind, said = taken_apart("".join(element[1:-1]))
        if len(said) != plan.texts:
            raise Unlearnable
        item.kinds[kind] = plan
        item.forms[f"{start}({SPACE}(?:<(?!/{re.escape(item.name)}>){_TEXT})++){end}"] = True
        if 0 < plan.texts <= _MOST_TEXTS:
            body = (_open_id(token, ID) if token[0] == "<" else _SAID for token in element)
            item.direct[SPACE.join(body)] = plan


def _odd(token: str) -> bool:
    if token[0] != "<":
        return False
    return token[1] in "!?" or "'" in token or "&" in token or token.count('"') % 2 > 0


def _is_date(element: list[str]) -> bool:
    """Whether a property has one text in elements of GML, which the parser took for a date."""
    middle = len(element) // 2
    return len(element) % 2 == 1 and [
        place for place, token in enumerate(element) if token[0] != "<"
    ] == [middle]


def named(tag: str) -> str:
    """The name in a tag, with its prefix.

    Raises:
        Unlearnable: There is none.
    """
    found = _NAME.match(tag)
    if found is None:
        raise Unlearnable
    return found[1]


def _mirrored(opening: list[str], closing: list[str]) -> bool:
    """Whether some tags open what some others close."""
    if any(tag[0] != "<" or tag[1] == "/" or tag[-2] == "/" for tag in opening):
        return False
    return [f"</{named(tag)}>" for tag in opening] == closing[::-1]


def _children(tokens: list[str]) -> list[list[str]]:
    """Elements side by side, each as its tokens."""
    elements: list[list[str]] = []
    depth = 0
    for token in tokens:
        if depth == 0:
            if token[0] != "<" or token[1] == "/":
                raise Unlearnable
            elements.append([])
        elements[-1].append(token)
        if token[0] == "<" and token[-2] != "/":
            depth += -1 if token[1] == "/" else 1
    if depth:
        raise Unlearnable
    return elements


def _open_id(tag: str, value: str) -> str:
    """A tag's expression, open where an id stands."""
    pieces: list[str] = []
    end = 0
    for found in IDS.finditer(tag):
        pieces += [re.escape(tag[end : found.start(2)]), value]
        end = found.end()
    return "".join([*pieces, re.escape(tag[end:])])
