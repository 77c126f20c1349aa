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
from ods_pipeline.portal.exports import export as exports
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.query import Query, quoted_field
from ods_pipeline.tables.columns import JoinedLists, joiners

_MOST = 1_000_000
_LIST = pa.list_(pa.string())
_NO_LITERAL = (ValueError, SyntaxError, TypeError, RecursionError, MemoryError)

Known = dict[str, tuple[str, ...] | None]


class Lists:
    """Tells the values of a dataset's lists apart, column by column."""

    def __init__(self, client: Client, dataset: Dataset) -> None:
        self._client, self._dataset = client, dataset
        # How each field's lists come: a form that was settled on holds for the whole layer.
        self._forms: dict[str, str] = {}
        self._known: dict[str, Known] = {}

    def read(self, column: pa.Array, field: Field) -> pa.Array:
        """A column of lists, from whatever form it came in.

        Args:
            column: Text, or lists where elements were repeated.
            field: The declared field.

        Raises:
            JoinedLists: A text may be more than one list.
        """
        form = self._forms.get(field.name, "")
        if pa.types.is_list(column.type):
            if form == "literal":
                raise self._doubt(field)
            self._forms[field.name] = "repeated"
            return column
        texts = [text for text in pc.unique(column).to_pylist() if text]
        if form == "repeated" or not texts:
            return _looked_up(column, {text: (text,) for text in texts})
        literals = _literals(texts)
        if form == "literal" or (not form and len(literals) == len(texts)):
            if len(literals) < len(texts):
                raise self._doubt(field)
            self._forms[field.name] = "literal"
            return _looked_up(column, literals)
        self._forms[field.name] = "joined"
        joined = {text for text in texts if any(joiner in text for joiner in joiners(field))}
        doubtful = joined.union(literals)
        return _looked_up(column, {text: self._told(text, field, doubtful) for text in texts})

    def _told(self, text: str, field: Field, doubtful: set[str]) -> tuple[str, ...]:
        if text not in doubtful:
            return (text,)
        if field.name not in self._known:
            self._known[field.name] = _joined_as(self._held(field), field)
        values = self._known[field.name].get(text)
        if values is None:
            raise self._doubt(field)
        return values

    def _held(self, field: Field) -> set[tuple[str, ...]]:
        """Every list that the records hold; an export of this one field."""
        held: set[tuple[str, ...]] = set()
        query = Query(select=[quoted_field(field.name)])
        with exports.opened(self._client, self._dataset, "csv", query) as export:
            for batch in export.batches:
                held.update(tuple(values) for values in batch.column(0).to_pylist() if values)
                if len(held) > _MOST:
                    raise self._refusal(
                        f"the WFS joins the values of field {field.name!r} into one text, and the "
                        f"records hold more than {_MOST:,} different lists, too many to tell them "
                        "apart by"
                    )
        return held

    def _doubt(self, field: Field) -> JoinedLists:
        return self._refusal(
            f"the WFS joins the values of field {field.name!r} into one text that may be more "
            "than one list"
        )

    def _refusal(self, why: str) -> JoinedLists:
        return JoinedLists(
            f"{why}; read the dataset's records instead, or leave the field out",
            portal=self._client.slug,
            dataset=self._dataset.dataset_id,
        )


def _joined_as(held: set[tuple[str, ...]], field: Field) -> Known:
    """What each list looks like in one text, by every separator; None where two look the same."""
    known: Known = {}
    for joiner in sorted(joiners(field)):
        for separator in (joiner, f"{joiner} "):
            for values in held:
                text = separator.join(values)
                known[text] = values if known.get(text, values) == values else None
    return known


def _literals(texts: Sequence[str]) -> Known:
    """The lists that texts such as `['a', 'b']` stand for; without those that are no literals."""
    found: Known = {}
    for text in texts:
        values = literal(text) if text.startswith("[") and text.endswith("]") else None
        if isinstance(values, list) and all(isinstance(v, str | None) for v in values):
            found[text] = tuple(value or "" for value in values)
    return found


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
