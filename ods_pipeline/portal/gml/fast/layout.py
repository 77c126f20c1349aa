"""The exact markup of features: every tag and, before each, nothing, a value or a coordinate.

A form is made of one feature that a `template` matches, and fits all features that the template
would read in the same way. Whole blocks of features are compared with it at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ods_pipeline.portal.gml.fast.tokens import Integers, Tokens, Truths
from ods_pipeline.portal.gml.geometry.plans import Plan

#: What may stand before a tag: space, a value, coordinates, or what is no data.
BLANK, VALUE, PLACE, ASIDE = range(4)
#: The number of a tag that stands for an empty value.
NOTHING = -1

_FORBIDDEN = np.array([ord(character) for character in '"<>&\t\n'], np.uint8)


@dataclass(frozen=True, eq=False)
class Form:
    """Features of the same markup.

    Attributes:
        tags: The tags; those with an id as what stands before and after it.
        roles: What stands before each tag.
        identity: The tag that has the feature's id; -1 without.
        values: The tag that each text property's value stands before, by the property's place in
            the template.
        shapes: The plan of each geometry, and the tags that its texts stand before.
    """

    tags: tuple[tuple[bytes, ...], ...]
    roles: tuple[int, ...]
    identity: int
    values: Mapping[int, int]
    shapes: Mapping[int, tuple[Plan, tuple[int, ...]]]

    def around(self) -> tuple[int, int]:
        """How many bytes of a tag stand before the feature's id, and after."""
        if self.identity < 0:
            return 0, 0
        before, after = self.tags[self.identity]
        return len(before), len(after)

    def fits(self, tokens: Tokens, first: Integers) -> Truths:
        """Which features have this form, of those that have as many tags.

        Args:
            tokens: The block.
            first: The first tag of each.
        """
        count = len(self.tags)
        least = np.array([sum(map(len, tag)) for tag in self.tags])
        closed = np.array([len(tag) == 1 for tag in self.tags])
        found = tokens.side_by_side(tokens.sizes, first, count)
        fitting = np.asarray(np.where(closed, found == least, found >= least).all(axis=1))
        for role in (BLANK, PLACE):
            mine = np.flatnonzero(np.array(self.roles) == role)
            tags = first[fitting, None] + mine
            fitting[fitting] = tokens.blank(tags, blank=role == BLANK).all(axis=1)
        literal = b"".join(tag[0] for tag in self.tags if len(tag) == 1)
        tags = first[fitting, None] + np.flatnonzero(closed)
        fitting[fitting] = tokens.spelt(tags, literal)
        for number in np.flatnonzero(~closed).tolist():
            fitting[fitting] = _open(tokens, first[fitting] + number, self.tags[number])
        return fitting


def _open(tokens: Tokens, tags: Integers, tag: tuple[bytes, ...]) -> Truths:
    """Which tags are one but for its id."""
    before, after = tag
    starts, ends = tokens.starts[tags], tokens.ends[tags]
    whole = tokens.within(starts, ends)
    fitting = pc.and_(
        pc.starts_with(whole, before.decode()), pc.ends_with(whole, after.decode())
    ).to_numpy(zero_copy_only=False)
    ids = tokens.within(starts + len(before), ends - len(after))
    if has_any(ids):
        fitting &= ~pc.match_substring_regex(ids, '["<>&\t\n]').to_numpy(zero_copy_only=False)
    truths: Truths = fitting
    return truths


def has_any(ids: pa.Array) -> bool:
    """Whether one of the characters that end or change an id is in any."""
    data = ids.buffers()[2]
    return data is not None and bool(np.isin(np.frombuffer(data, np.uint8), _FORBIDDEN).any())
