"""Texts of one property, row by row: single ones as they are met, and whole arrays at once."""

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
        # Rows in arrays; those that follow are in a list.
        self._settled = 0
        self._values: list[Text] = []
        self._repeated = False

    def put(self, row: int, text: str | None) -> None:
        """Take a text, or None for nil; a second one of a row makes a list."""
        values = self._values
        missing = row - self._settled - len(values)
        if missing == 0:
            values.append(text)
        elif missing > 0:
            values.extend([None] * missing)
            values.append(text)
        else:
            self._repeated = True
            before = values[row - self._settled]
            values[-1] = [*before, text] if isinstance(before, list) else [before, text]

    def put_all(self, row: int, texts: pa.Array) -> None:
        """Take one text per feature, from a row on that has none yet."""
        self._settle(row)
        self._arrays.append(texts)
        self._settled += len(texts)

    def at(self, row: int) -> Text:
        """What a row has; None beyond the last one."""
        if row >= self._settled:
            values = self._values[row - self._settled :]
            return values[0] if values else None
        for array in self._arrays:
            if row < len(array):
                text: Text = array[row].as_py()
                return text
            row -= len(array)
        return None

    def taken(self, rows: int) -> pa.Array:
        """The first rows, which are forgotten here."""
        if rows > self._settled:
            self._settle(rows)
        parts = [_as_lists(part) for part in self._arrays] if self._repeated else self._arrays
        whole = pa.concat_arrays(parts or [pa.array([], _LISTS if self._repeated else pa.string())])
        self._settled -= rows
        self._arrays = [whole[rows:]] if self._settled else []
        return whole[:rows]

    def worded(self) -> bool:
        """Whether any of them is more than space."""
        return any(map(_worded, self._values)) or any(map(_any_worded, self._arrays))

    def clear(self) -> None:
        """Forget them."""
        self._arrays.clear()
        self._values.clear()
        self._settled = 0

    def _settle(self, rows: int) -> None:
        """Make an array of the rows up to here that are none yet."""
        number = rows - self._settled
        if number <= 0:
            return
        values, self._values = self._values[:number], self._values[number:]
        values += [None] * (number - len(values))
        if any(isinstance(value, list) for value in values):
            listed = [
                value if value is None or isinstance(value, list) else [value] for value in values
            ]
            self._arrays.append(pa.array(listed, _LISTS))
        else:
            self._arrays.append(pa.array(values, pa.string()))
        self._settled = rows


def _as_lists(texts: pa.Array) -> pa.Array:
    if pa.types.is_list(texts.type):
        return texts
    absent = texts.is_null()
    offsets = pa.array(np.arange(len(texts) + 1, dtype=np.int32))
    return pa.ListArray.from_arrays(offsets, texts, type=_LISTS, mask=absent)


def _any_worded(texts: pa.Array) -> bool:
    if pa.types.is_list(texts.type):
        texts = texts.flatten()
    said = pc.not_equal(pc.ascii_trim_whitespace(texts), "")
    return bool(pc.any(said).as_py())


def _worded(value: Text) -> bool:
    if isinstance(value, list):
        return any(map(_worded, value))
    return value is not None and not blank(value)


def called(identity: Text, before: int) -> str:
    """A feature for messages, by its id, else by the number of features before it."""
    return f"feature {identity!r}" if identity else f"feature number {before + 1}"
