"""Splits one feature into the markup and values of its properties, to learn from it.

Unusual markup is refused here, which costs speed only: the XML parser reads such features.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ods_pipeline.portal.gml.columns import Column
from ods_pipeline.portal.gml.geometry.plans import Plan
from ods_pipeline.portal.gml.reader import Reader

#: Patterns for space between tags and for texts. They are possessive: what follows begins with a
#: character that they exclude, and backtracking through a long ring takes ten times as long.
SPACE = "[ \\t\\n]*+"
_TEXT = "[^<]*+"
_TEXT_WITHOUT_REFERENCES = "[^<&]*+"
ID = '[^"<>&\\t\\n]*+'

_TOKENS = re.compile(r"<[^<>]*>|[^<]+")
_NAME = re.compile(r"</?([^\s/>]+)")
IDS = re.compile(r'(\s(?:[\w.-]+:id|fid)=")([^"<>&]*)')
# Also matches texts that look so; features with such a text are not learned from.
_NIL_OR_LINK = re.compile(r"[:\s](?:nil|href)\s*=")
# Splits a geometry at its texts, so that its markup is left.
_TEXTS = re.compile(r">([ \t\n]*[^< \t\n][^<]*)")
_GEOMETRY_ID = re.compile(rf'(\s[\w.-]+:id="){ID}')


class UnsupportedMarkup(ValueError):
    """The fast path does not handle this markup."""


@dataclass
class PropertyMarkup:
    """How a property is written in the features met so far.

    Attributes:
        name: Its element's name, as in the document.
        column: Where its values go; None if it is not data.
        patterns: Regular expressions for it, and whether each captures a value.
        plans: Of a geometry, the plan for each kind of markup.
    """

    name: str
    column: Column | None
    patterns: dict[str, bool] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)

    @property
    def geometric(self) -> bool:
        """Whether the property has held a geometry so far."""
        return self.column is not None and self.column.geometric

    def merge(self, other: PropertyMarkup, most_plans: int) -> bool:
        """Add another feature's patterns; whether there was a new one."""
        new = not other.patterns.keys() <= self.patterns.keys()
        self.patterns.update(other.patterns)
        if len(self.plans) < most_plans:
            self.plans.update(other.plans)
        return new


def split_geometry(body: str) -> tuple[str, list[str]]:
    """A geometry's markup, with `~` for each text and id, and its texts."""
    if ':id="' in body:
        body = _GEOMETRY_ID.sub(r"\1~", body)
    parts = _TEXTS.split(body)
    return ">~".join(parts[::2]), parts[1::2]


class FeatureSample:
    """A feature that the parser has read, as patterns.

    Attributes:
        head: Pattern for everything before the properties, and whether it captures an id.
        tail: Pattern for everything after them.
        depth: Number of elements around them.
        properties: The properties, each with the markup that it has here.
    """

    def __init__(self, raw: str, reader: Reader) -> None:
        """Split a feature."""
        tokens = _TOKENS.findall(raw)
        if "".join(tokens) != raw or any(map(_unsupported, tokens)):
            raise UnsupportedMarkup
        self._tokens = [token for token in tokens if token.strip(" \t\n")]
        self._reader = reader
        self._row = reader.rows - 1
        self.depth = depth = 2 if reader.one_per_member else 1
        opening, closing = self._tokens[:depth], self._tokens[-depth:]
        if len(self._tokens) < 2 * depth or not _match(opening, closing):
            raise UnsupportedMarkup
        self.head = self._head(opening)
        self.tail = "".join(SPACE + re.escape(token) for token in closing)
        self.properties = self._properties(_elements(self._tokens[depth:-depth]))

    def _head(self, tags: list[str]) -> tuple[str, bool]:
        identity = self._reader.ids.at(self._row)
        ids = [match[2] for tag in tags for match in IDS.finditer(tag)]
        if ids != ([] if identity is None else [identity]):
            raise UnsupportedMarkup
        pattern = "".join(SPACE + _tag_pattern(tag, f"({ID})") for tag in tags)
        return pattern, identity is not None

    def _properties(self, elements: list[list[str]]) -> list[PropertyMarkup]:
        columns = self._reader.last_columns
        names = [name_in(element[0]) for element in elements]
        if len(columns) != len(elements) or len(set(names)) < len(names):
            raise UnsupportedMarkup
        # Two prefixes may stand for one namespace; then two names are one property.
        data = [id(column) for column in columns if column is not None]
        if len(set(data)) < len(data):
            raise UnsupportedMarkup
        return [
            self._property(name, element, column)
            for name, element, column in zip(names, elements, columns, strict=True)
        ]

    def _property(self, name: str, element: list[str], column: Column | None) -> PropertyMarkup:
        markup = PropertyMarkup(name, column)
        if column is None:
            markup.patterns[_pattern(element, _TEXT_WITHOUT_REFERENCES)] = False
            return markup
        start, end = re.escape(element[0]), re.escape(element[-1])
        if _NIL_OR_LINK.search("".join(element)):
            if len(element) > 1 or "href" in element[0]:
                raise UnsupportedMarkup
            markup.patterns[start] = False
        elif column.geometric:
            self._add_geometry(markup, element, column.plan_of(self._row))
        elif len(element) == 1:
            markup.patterns[f"{start}()"] = True
        elif len(element) == 2 + (element[1][0] != "<"):
            markup.patterns[f"{start}({_TEXT}){end}"] = True
        elif _is_date(element):
            markup.patterns[_pattern(element, f"({_TEXT})")] = True
        else:
            raise UnsupportedMarkup
        return markup

    def _add_geometry(self, markup: PropertyMarkup, element: list[str], plan: Plan | None) -> None:
        if plan is None:
            markup.patterns[SPACE.join(map(re.escape, element))] = False
            return
        start, end = re.escape(element[0]), re.escape(element[-1])
        kind, texts = split_geometry("".join(element[1:-1]))
        if len(texts) != plan.texts:
            raise UnsupportedMarkup
        markup.plans[kind] = plan
        content = f"{SPACE}(?:<(?!/{re.escape(markup.name)}>){_TEXT})+"
        markup.patterns[f"{start}({content}){end}"] = True


def _unsupported(token: str) -> bool:
    if token[0] != "<":
        return False
    return token[1] in "!?" or "'" in token or "&" in token or token.count('"') % 2 > 0


def _is_date(element: list[str]) -> bool:
    """Whether its only text is in the innermost element; the parser has read that as a date."""
    texts = [number for number, token in enumerate(element) if token[0] != "<"]
    return len(element) % 2 == 1 and texts == [len(element) // 2]


def name_in(tag: str) -> str:
    """The name in a tag, with its prefix."""
    match = _NAME.match(tag)
    if match is None:
        raise UnsupportedMarkup
    return match[1]


def _match(opening: list[str], closing: list[str]) -> bool:
    if any(tag[0] != "<" or tag[1] == "/" or tag[-2] == "/" for tag in opening):
        return False
    return [f"</{name_in(tag)}>" for tag in opening] == closing[::-1]


def _elements(tokens: list[str]) -> list[list[str]]:
    """The tokens of each of the elements that follow each other."""
    elements: list[list[str]] = []
    depth = 0
    for token in tokens:
        if depth == 0:
            if token[0] != "<" or token[1] == "/":
                raise UnsupportedMarkup
            elements.append([])
        elements[-1].append(token)
        if token[0] == "<" and token[-2] != "/":
            depth += -1 if token[1] == "/" else 1
    if depth:
        raise UnsupportedMarkup
    return elements


def _pattern(element: list[str], text: str) -> str:
    return SPACE.join(_tag_pattern(t, ID) if t[0] == "<" else text for t in element)


def _tag_pattern(tag: str, identity: str) -> str:
    """A pattern for a tag that allows any id."""
    pieces: list[str] = []
    end = 0
    for match in IDS.finditer(tag):
        pieces += [re.escape(tag[end : match.start(2)]), identity]
        end = match.end()
    return "".join([*pieces, re.escape(tag[end:])])
