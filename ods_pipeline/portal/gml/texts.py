"""Collects the texts of one property, one by one or as arrays.

Nothing here knows what the texts mean.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ods_pipeline.portal.gml.geometry.markup import blank

Text = str | list[str | None] | None

_LISTS = pa.list_(pa.string())


class Texts:
    """The texts of the features of a batch; one feature may be half read."""

    def __init__(self) -> None:
        self._arrays: list[pa.Array] = []
        # Number of rows in the arrays; later rows are in the list.
        self._in_arrays = 0
        self._values: list[Text] = []
        self._repeated = False

    def put(self, row: int, text: str | None) -> None:
        """Add a text, or None for nil; a second one in a row makes a list."""
        values = self._values
        missing = row - self._in_arrays - len(values)
        if missing == 0:
            values.append(text)
        elif missing > 0:
            values.extend([None] * missing)
            values.append(text)
        else:
            self._repeated = True
            before = values[row - self._in_arrays]
            values[-1] = [*before, text] if isinstance(before, list) else [before, text]

    def put_all(self, row: int, texts: pa.Array) -> None:
        """Add one text per row, from a row without a text on."""
        self._move_to_arrays(row)
        self._arrays.append(texts)
        self._in_arrays += len(texts)

    def at(self, row: int) -> Text:
        """The text of a row; None after the last one."""
        if row >= self._in_arrays:
            values = self._values[row - self._in_arrays :]
            return values[0] if values else None
        for array in self._arrays:
            if row < len(array):
                text: Text = array[row].as_py()
                return text
            row -= len(array)
        return None

    def take(self, rows: int) -> pa.Array:
        """Remove the first rows, and return their texts."""
        if rows > self._in_arrays:
            self._move_to_arrays(rows)
        parts = [as_lists(part) for part in self._arrays] if self._repeated else self._arrays
        whole = pa.concat_arrays(parts or [pa.array([], _LISTS if self._repeated else pa.string())])
        self._in_arrays -= rows
        self._arrays = [whole[rows:]] if self._in_arrays else []
        return whole[:rows]

    def any_non_blank(self) -> bool:
        """Whether any text is more than space."""
        return any(map(_non_blank, self._values)) or any(map(_any_non_blank, self._arrays))

    def clear(self) -> None:
        """Remove all texts."""
        self._arrays.clear()
        self._values.clear()
        self._in_arrays = 0

    def _move_to_arrays(self, rows: int) -> None:
        """Make an array of the rows before this one that are in the list."""
        number = rows - self._in_arrays
        if number <= 0:
            return
        values, self._values = self._values[:number], self._values[number:]
        values += [None] * (number - len(values))
        if any(isinstance(value, list) for value in values):
            lists = [[value] if isinstance(value, str) else value for value in values]
            self._arrays.append(pa.array(lists, _LISTS))
        else:
            self._arrays.append(pa.array(values, pa.string()))
        self._in_arrays = rows


def as_lists(texts: pa.Array) -> pa.Array:
    """Texts as lists of one text each; lists stay as they are."""
    if pa.types.is_list(texts.type):
        return texts
    absent = texts.is_null()
    offsets = pa.array(np.arange(len(texts) + 1, dtype=np.int32))
    return pa.ListArray.from_arrays(offsets, texts, type=_LISTS, mask=absent)


def _any_non_blank(texts: pa.Array) -> bool:
    if pa.types.is_list(texts.type):
        texts = texts.flatten()
    return bool(pc.any(pc.not_equal(pc.ascii_trim_whitespace(texts), "")).as_py())


def _non_blank(value: Text) -> bool:
    if isinstance(value, list):
        return any(map(_non_blank, value))
    return value is not None and not blank(value)


def feature_label(identity: Text, before: int) -> str:
    """Names a feature in messages, by its id or by the number of features before it."""
    return f"feature {identity!r}" if identity else f"feature number {before + 1}"
