"""Bytes of a document as tags and the texts before them, found with a few array operations.

What they mean is not known here, nor whether they are well-formed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Integers = np.ndarray[Any, np.dtype[np.int64]]
Truths = np.ndarray[Any, np.dtype[np.bool_]]

_OPEN, _CLOSE, _AMPERSAND, _BLANK = ord("<"), ord(">"), ord("&"), ord(" ")


class Tokens:
    """A part of a document that ends with the end tag of a feature, or of its member.

    Attributes:
        data: The bytes.
        starts: Where each tag begins.
        ends: Where each tag ends.
        sizes: How long each tag is.
        features: Number of the features.
        first: The number of each feature's first tag, and the number of all tags.
    """

    def __init__(self, data: bytes, starts: Integers, ends: Integers, tag: bytes) -> None:
        self.data = data
        self.starts, self.ends = starts, ends
        self._buffer = pa.py_buffer(data)
        self._codes = np.frombuffer(data, np.uint8)
        bounds = np.zeros(2 * len(starts) + 2, np.int32)
        bounds[1:-1:2], bounds[2::2] = starts, ends
        # The last one is empty, which some values are.
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
        """The tokens of some bytes; None where what is between `<` and `>` is no tag.

        Args:
            data: UTF-8, which ends with the tag.
            tag: The end tag of features, or of their members.
        """
        codes = np.frombuffer(data, np.uint8)
        # Both at once: they differ in one bit.
        marks = np.flatnonzero(codes & ~np.uint8(_OPEN ^ _CLOSE) == _OPEN & _CLOSE)
        opening = codes[marks] == _OPEN
        if len(marks) % 2 or not opening[::2].all() or opening[1::2].any():
            # A text may hold what ends a tag: the first after its beginning does.
            marks = marks[opening | np.concatenate([[False], opening[:-1]])]
            opening = codes[marks] == _OPEN
            if len(marks) % 2 or not opening[::2].all() or opening[1::2].any():
                return None
        starts, ends = marks[::2], marks[1::2] + 1
        return cls(data, starts, ends, tag)

    def raw(self, feature: int) -> bytes:
        """The bytes of a feature, with what stands before it."""
        return self.data[self.begin(feature) : self.begin(feature + 1)]

    def begin(self, feature: int) -> int:
        """Where a feature ends that comes before this one."""
        return int(self.ends[self.first[feature] - 1]) if feature else 0

    @staticmethod
    def side_by_side(numbers: Integers, first: Integers, count: int) -> Integers:
        """What belongs to the tags of some features of so many, a row for each."""
        if len(first) and first[-1] - first[0] == count * (len(first) - 1):
            return numbers[first[0] : first[-1] + count].reshape(-1, count)
        rows: Integers = numbers[first[:, None] + np.arange(count)]
        return rows

    def spelt(self, tags: Integers, literal: bytes) -> Truths:
        """Which rows of tags, one after the other, are just these bytes; they are as long.

        Args:
            tags: Tags of features, a row for each.
            literal: What those of one feature are to be.
        """
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
        """What stands before some tags; empty for a number of -1, null where there is none."""
        places = np.where(tags < 0, len(self._all) - 1, 2 * tags)
        return self._all.take(pa.array(places, mask=without))

    def lengths(self, tags: Integers) -> Integers:
        """How many bytes stand before some tags."""
        before = np.where(tags > 0, self.ends[tags - 1], 0)
        return self.starts[tags] - before

    def blank(self, tags: Integers, *, blank: bool) -> Truths:
        """Whether nothing but space stands before each of some tags, or whether something does."""
        found: Truths = self._gaps[tags] == 0
        if found.all():
            return found if blank else ~found
        said = tags[~found]
        # Words are told by their first letter; what begins with space may be either.
        begun = self._codes[self.starts[said] - self._gaps[said]] > _BLANK
        if not begun.all():
            rest = said[~begun]
            begun[~begun] = _truths(pc.not_equal(pc.ascii_trim_whitespace(self.texts(rest)), ""))
        found[~found] = ~begun
        return found if blank else ~found

    def within(self, starts: Integers, ends: Integers) -> pa.Array:
        """The texts between some places, each of which lies after the ones before."""
        bounds = np.empty(2 * len(starts) + 1, np.int32)
        bounds[:-1:2], bounds[1::2], bounds[-1] = starts, ends, len(self.data)
        every = _strings(bounds, self._buffer)
        return every.take(pa.array(np.arange(0, len(every), 2)))

    def escaped(self) -> Integers:
        """The tags before which, or in which, an ampersand stands; each once."""
        if b"&" not in self.data:
            return np.empty(0, np.int64)
        places = np.flatnonzero(np.frombuffer(self.data, np.uint8) == _AMPERSAND)
        return np.unique(np.searchsorted(self.ends, places, "right"))


def _strings(bounds: np.ndarray[Any, np.dtype[np.int32]], data: pa.Buffer) -> pa.Array:
    buffers = [None, pa.py_buffer(bounds), data]
    return pa.Array.from_buffers(pa.string(), len(bounds) - 1, buffers)


def _truths(found: pa.Array) -> Truths:
    truths: Truths = found.to_numpy(zero_copy_only=False)
    return truths
