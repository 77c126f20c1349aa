"""A regular expression for the features of one layer, learned from features that the parser read.

It has every tag literally as it was met, accepts any id and text, and makes each property optional.
Each feature that matches has a layout, by which blocks of features are then recognised. Nothing
here reads whole blocks, or decides where using a template is safe.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ods_pipeline.portal.gml.fast.feature_sample import (
    SPACE,
    FeatureSample,
    PropertyMarkup,
    UnsupportedMarkup,
)
from ods_pipeline.portal.gml.fast.layout import GroupMap, Layout, LayoutBuilder, skeleton
from ods_pipeline.portal.gml.reader import Reader

_MOST_LAYOUTS = 4096


class Template:
    """The markup of a layer's features within one element of the document.

    Attributes:
        properties: The data properties, and the groups that capture their values.
        identified: Whether features have ids.
        layouts: Layouts of features seen since the expression was compiled.
    """

    def __init__(self) -> None:
        self.properties: list[GroupMap] = []
        self.identified = False
        self.layouts: list[Layout] = []
        self._head = self._tail = ""
        self._depth = 0
        self._markup: list[PropertyMarkup] = []
        self._match: Callable[[str], re.Match[str] | None] = re.compile(r"(?!)").fullmatch
        self._numbers: dict[str, int] = {}

    def learn(self, raw: str, reader: Reader) -> bool:
        """Extend the expression to a feature that was just read; whether it has changed."""
        sample = FeatureSample(raw, reader)
        around = *sample.head, sample.tail
        if self._tail and (self._head, self.identified, self._tail) != around:
            raise UnsupportedMarkup
        changed = _merge(self._markup, sample.properties)
        if changed or not self._tail:
            self._head, self.identified, self._tail = around
            self._depth = sample.depth
            self._compile()
        return changed

    def _compile(self) -> None:
        parts, group = [self._head], int(self.identified)
        # New lists: a block may still use the numbers of earlier layouts.
        self.properties, self.layouts, self._numbers = [], [], {}
        for markup in self._markup:
            if markup.column is None:
                parts.append(SPACE + next(iter(markup.patterns)))
                continue
            groups = range(group, group + sum(markup.patterns.values()))
            group = groups.stop
            self.properties.append(GroupMap(markup, markup.geometric, groups))
            # Not `?+`: before 3.11.5 Python matches wrongly what is possessive and can go back.
            parts.append(f"(?:{SPACE}(?:{'|'.join(markup.patterns)}))?")
        self._match = re.compile("".join(parts) + self._tail).fullmatch

    @property
    def current(self) -> bool:
        """Whether each property is still text or geometry, as when this was compiled."""
        return all(each.geometric == each.markup.geometric for each in self.properties)

    def layout_of(self, raw: bytes) -> int | None:
        """The number of a feature's layout; None if the template does not match it."""
        text = raw.decode()
        key = skeleton(text)
        if key not in self._numbers:
            match = self._match(text)
            if match is None or len(self.layouts) >= _MOST_LAYOUTS:
                return None
            try:
                builder = LayoutBuilder(match, self._markup, self._depth)
                layout = builder.layout(self.properties, identified=self.identified)
            except UnsupportedMarkup:
                return None
            self._numbers[key] = len(self.layouts)
            self.layouts.append(layout)
        return self._numbers[key]


def _merge(known: list[PropertyMarkup], new: list[PropertyMarkup]) -> bool:
    """Insert the properties of a feature into those known, in order; whether one was new."""
    if not _one_to_one([*known, *new]):
        raise UnsupportedMarkup
    positions = {markup.name: position for position, markup in enumerate(known)}
    order = [positions[markup.name] for markup in new if markup.name in positions]
    fixed, of_feature = (
        [(markup.name, markup.patterns) for markup in some if markup.column is None]
        for some in (known, new)
    )
    if order != sorted(order) or (known and fixed != of_feature):
        raise UnsupportedMarkup
    changed, position = False, 0
    for markup in new:
        if markup.name in positions:
            position = next(n for n, each in enumerate(known) if each.name == markup.name)
            changed = known[position].merge(markup, _MOST_LAYOUTS) or changed
        else:
            known.insert(position, markup)
            changed = True
        position += 1
    return changed


def _one_to_one(properties: list[PropertyMarkup]) -> bool:
    """Whether each name means one property, and each property has one name."""
    pairs = {(markup.name, id(markup.column)) for markup in properties if markup.column is not None}
    return len(pairs) == len({name for name, _ in pairs}) == len({column for _, column in pairs})
