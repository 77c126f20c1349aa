"""Lists in features: WFS has no word for them, so each server writes them in its own way.

Repeated elements and bracketed literals say where a value ends. Text that was joined does not, so
the records are asked which lists there are; what could still be two lists is refused.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from ods_pipeline.dataset import Dataset, Field
from ods_pipeline.portal import exports
from ods_pipeline.portal.client import Client
from ods_pipeline.portal.exports import Query
from ods_pipeline.tables.columns import JoinedLists, joiners

_MOST = 1_000_000
_LIST = pa.list_(pa.string())
_NO_LITERAL = (ValueError, SyntaxError, TypeError, RecursionError, MemoryError)

Known = dict[str, tuple[str, ...] | None]


class Lists:
    """Tells the values of a dataset's lists apart, column by column."""

    def __init__(self, client: Client, dataset: Dataset) -> None:
        self._client, self._dataset = client, dataset
        self._repeated: set[str] = set()
        self._known: dict[str, Known] = {}

    def read(self, column: pa.Array, field: Field) -> pa.Array:
        """A column of lists, from whatever form it came in.

        Args:
            column: Text, or lists where elements were repeated.
            field: The declared field.

        Raises:
            JoinedLists: A text may be more than one list.
        """
        if pa.types.is_list(column.type):
            self._repeated.add(field.name)
            return column
        texts = [text for text in pc.unique(column).to_pylist() if text]
        literals = _literals(texts)
        if literals is not None:
            return _looked_up(column, literals)
        joined = {text for text in texts if any(joiner in text for joiner in joiners(field))}
        if not joined or field.name in self._repeated:
            return _looked_up(column, {text: (text,) for text in texts})
        return _looked_up(column, {text: self._told(text, field, joined) for text in texts})

    def _told(self, text: str, field: Field, joined: set[str]) -> tuple[str, ...]:
        if text not in joined:
            return (text,)
        if field.name not in self._known:
            self._known[field.name] = _joined_as(self._held(field), field)
        values = self._known[field.name].get(text)
        if values is None:
            raise JoinedLists(
                f"the WFS joins the values of field {field.name!r} into one text that may be more "
                "than one list; read the dataset's records instead, or leave the field out",
                portal=self._client.slug,
                dataset=self._dataset.dataset_id,
            )
        return values

    def _held(self, field: Field) -> set[tuple[str, ...]]:
        """Every list that the records hold; an export of this one field."""
        held: set[tuple[str, ...]] = set()
        query = Query(select=[f"`{field.name}`"])
        with exports.opened(self._client, self._dataset, "csv", query) as export:
            for batch in export.batches:
                held.update(tuple(values) for values in batch.column(0).to_pylist() if values)
                if len(held) > _MOST:
                    return set()
        return held


def _joined_as(held: set[tuple[str, ...]], field: Field) -> Known:
    """What each list looks like in one text, by every separator; None where two look the same."""
    known: Known = {}
    for joiner in sorted(joiners(field)):
        for separator in (joiner, f"{joiner} "):
            for values in held:
                text = separator.join(values)
                known[text] = values if known.get(text, values) == values else None
    return known


def _literals(texts: Sequence[str]) -> Known | None:
    """The lists that texts such as `['a', 'b']` stand for; None where one of them is no literal."""
    found: Known = {}
    for text in texts:
        values = literal(text) if text.startswith("[") and text.endswith("]") else None
        if not isinstance(values, list) or not all(isinstance(v, str | None) for v in values):
            return None
        found[text] = tuple(value or "" for value in values)
    return found or None


def literal(text: str) -> object:
    """What JSON or Python notation stands for; None where it is neither."""
    for read in (json.loads, ast.literal_eval):
        try:
            value: object = read(text)
            return value
        except _NO_LITERAL:
            continue
    return None


def _looked_up(column: pa.Array, lists: Known) -> pa.Array:
    return pa.array([lists.get(text) if text else None for text in column.to_pylist()], _LIST)
