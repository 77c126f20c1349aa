"""Splits bytes of a document into tags and the texts before them, with a few array operations.

Nothing here interprets them, or checks that they are well-formed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ods_pipeline.portal.gml.geometry.coordinates import Integers, Truths

_OPEN, _CLOSE, _AMPERSAND, _BLANK = ord("<"), ord(">"), ord("&"), ord(" ")


class Tokens:
    """A part of a document that ends with the end tag of a feature, or of its member.

    Attributes:
        starts: Where each tag begins.
        ends: Where each tag ends.
        sizes: Length of each tag.
        features: Number of features.
        first: Number of each feature's first tag, then the number of all tags.
    """

    def __init__(self, data: bytes, starts: Integers, ends: Integers, tag: bytes) -> None:
        self._data = data
        self.starts, self.ends = starts, ends
        self._buffer = pa.py_buffer(data)
        self._codes = np.frombuffer(data, np.uint8)
        bounds = np.zeros(2 * len(starts) + 2, np.int32)
        bounds[1:-1:2], bounds[2::2] = starts, ends
        # The last one is empty: it stands for empty values.
        bounds[-1] = len(data)
        self._all = _strings(bounds, self._buffer)
        self.sizes = ends - starts
        self._gaps = starts - np.concatenate([[0], ends[:-1]])
        alike = np.flatnonzero(self.sizes == len(tag))
        closing = alike[self.spelt(alike[:, None], tag)]
        self.features = len(closing)
        self.first: Integers = np.concatenate([[0], closing + 1])

    @classmethod
    def of(cls, data: bytes, tag: bytes) -> Tokens | None:
        """The tokens of UTF-8 that ends with the tag; None if `<` and `>` do not alternate."""
        codes = np.frombuffer(data, np.uint8)
        # One comparison for both: they differ in one bit.
        marks = np.flatnonzero(codes & ~np.uint8(_OPEN ^ _CLOSE) == _OPEN & _CLOSE)
        opening = codes[marks] == _OPEN
        if len(marks) % 2 or not opening[::2].all() or opening[1::2].any():
            # A text may hold `>`: the first one after a `<` ends the tag.
            marks = marks[opening | np.concatenate([[False], opening[:-1]])]
            opening = codes[marks] == _OPEN
            if len(marks) % 2 or not opening[::2].all() or opening[1::2].any():
                return None
        starts, ends = marks[::2], marks[1::2] + 1
        return cls(data, starts, ends, tag)

    def raw(self, feature: int) -> bytes:
        """The bytes of a feature, with those between it and the one before."""
        return self._data[self.begin(feature) : self.begin(feature + 1)]

    def begin(self, feature: int) -> int:
        """Where the feature before this one ends."""
        return int(self.ends[self.first[feature] - 1]) if feature else 0

    @staticmethod
    def side_by_side(numbers: Integers, first: Integers, count: int) -> Integers:
        """Numbers of the tags of features with `count` tags each, a row for each feature."""
        if len(first) and first[-1] - first[0] == count * (len(first) - 1):
            return numbers[first[0] : first[-1] + count].reshape(-1, count)
        rows: Integers = numbers[first[:, None] + np.arange(count)]
        return rows

    def spelt(self, tags: Integers, literal: bytes) -> Truths:
        """Which rows of tags, joined, are these bytes; they must have the same length."""
        rows = len(tags)
        if not rows or not literal:
            return np.ones(rows, bool)
        data = self._all.take(pa.array(2 * tags.ravel() + 1)).buffers()[2]
        if data.equals(pa.py_buffer(literal * rows)):
            return np.ones(rows, bool)
        letters = np.frombuffer(data, np.uint8).reshape(rows, -1)
        same: Truths = (letters == np.frombuffer(literal, np.uint8)).all(axis=1)
        return same

    def texts(self, tags: Integers, without: Truths | None = None) -> pa.Array:
        """The texts before some tags; empty for the number -1, null for those without."""
        numbers = np.where(tags < 0, len(self._all) - 1, 2 * tags)
        return self._all.take(pa.array(numbers, mask=without))

    def blank(self, tags: Integers, *, blank: bool) -> Truths:
        """Which of some tags have only space before them; with `blank=False`, more than that."""
        result: Truths = self._gaps[tags] == 0
        if result.all():
            return result if blank else ~result
        texts = tags[~result]
        # The first character decides, unless it is space.
        filled = self._codes[self.starts[texts] - self._gaps[texts]] > _BLANK
        if not filled.all():
            trimmed = pc.ascii_trim_whitespace(self.texts(texts[~filled]))
            filled[~filled] = pc.not_equal(trimmed, "").to_numpy(zero_copy_only=False)
        result[~result] = ~filled
        return result if blank else ~result

    def within(self, starts: Integers, ends: Integers) -> pa.Array:
        """The texts between some offsets, which must be in order."""
        bounds = np.empty(2 * len(starts) + 1, np.int32)
        bounds[:-1:2], bounds[1::2], bounds[-1] = starts, ends, len(self._data)
        every = _strings(bounds, self._buffer)
        return every.take(pa.array(np.arange(0, len(every), 2)))

    def with_ampersand(self) -> Integers:
        """The tags with an ampersand in them, or in the text before them; each once."""
        if b"&" not in self._data:
            return np.empty(0, np.int64)
        offsets = np.flatnonzero(np.frombuffer(self._data, np.uint8) == _AMPERSAND)
        return np.unique(np.searchsorted(self.ends, offsets, "right"))


def _strings(bounds: np.ndarray[Any, np.dtype[np.int32]], data: pa.Buffer) -> pa.Array:
    buffers = [None, pa.py_buffer(bounds), data]
    return pa.Array.from_buffers(pa.string(), len(bounds) - 1, buffers)
