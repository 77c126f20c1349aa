"""Reads lists in features, which each server writes in its own way, since WFS does not define one.

In repeated elements and bracketed literals it is clear where a value ends. In joined text it is
not, so the records are read to see which lists exist; a text that may be two lists is refused.
Nothing here converts other types.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from ods_pipeline.dataset import Dataset, Field
from ods_pipeline.portal.exports.export import open_export
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.query import Query, quoted_field
from ods_pipeline.tables.columns import JoinedLists, joiners
from ods_pipeline.tables.nested import nested

_MOST = 1_000_000
_LIST = pa.list_(pa.string())

ByText = dict[str, tuple[str, ...] | None]


class Lists:
    """Splits the lists of a dataset into their values, column by column."""

    def __init__(self, client: Client, dataset: Dataset) -> None:
        self._client, self._dataset = client, dataset
        # How each field's lists are written; this must not change within the layer.
        self._forms: dict[str, str] = {}
        self._joined: dict[str, ByText] = {}

    def read(self, column: pa.Array, field: Field) -> pa.Array:
        """A column of lists, from any form.

        Args:
            column: Text, or lists if elements were repeated.
            field: The declared field.

        Raises:
            JoinedLists: A text may be more than one list.
        """
        form = self._forms.get(field.name, "")
        if pa.types.is_list(column.type):
            if form == "literal":
                raise self._ambiguous(field)
            self._forms[field.name] = "repeated"
            return column
        texts = [text for text in pc.unique(column).to_pylist() if text]
        if form == "repeated" or not texts:
            return _lists_of(column, {text: (text,) for text in texts})
        literals = _literals(texts)
        if form == "literal" or (not form and len(literals) == len(texts)):
            if len(literals) < len(texts):
                raise self._ambiguous(field)
            self._forms[field.name] = "literal"
            return _lists_of(column, literals)
        self._forms[field.name] = "joined"
        joined = {text for text in texts if any(joiner in text for joiner in joiners(field))}
        doubtful = joined.union(literals)
        return _lists_of(column, {text: self._split(text, field, doubtful) for text in texts})

    def _split(self, text: str, field: Field, doubtful: set[str]) -> tuple[str, ...]:
        if text not in doubtful:
            return (text,)
        if field.name not in self._joined:
            self._joined[field.name] = _joined_as(self._lists_in_records(field), field)
        values = self._joined[field.name].get(text)
        if values is None:
            raise self._ambiguous(field)
        return values

    def _lists_in_records(self, field: Field) -> set[tuple[str, ...]]:
        """Every list in the records, from an export of this field."""
        lists: set[tuple[str, ...]] = set()
        query = Query(select=[quoted_field(field.name)])
        with open_export(self._client, self._dataset, "csv", query) as export:
            for batch in export.batches:
                lists.update(tuple(values) for values in batch.column(0).to_pylist() if values)
                if len(lists) > _MOST:
                    raise self._refusal(
                        f"the WFS joins the values of field {field.name!r} into one text, and the "
                        f"records hold more than {_MOST:,} different lists, too many to compare"
                    )
        return lists

    def _ambiguous(self, field: Field) -> JoinedLists:
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


def _joined_as(lists: set[tuple[str, ...]], field: Field) -> ByText:
    """Each list by its joined texts, for every separator; None if two give the same text."""
    known: ByText = {}
    for joiner in sorted(joiners(field)):
        for separator in (joiner, f"{joiner} "):
            for values in lists:
                text = separator.join(values)
                known[text] = values if known.get(text, values) == values else None
    return known


def _literals(texts: Sequence[str]) -> ByText:
    """The lists of texts such as `['a', 'b']`; other texts are left out."""
    lists: ByText = {}
    for text in texts:
        values = _literal(text) if text.startswith("[") and text.endswith("]") else None
        if isinstance(values, list) and all(isinstance(v, str | None) for v in values):
            lists[text] = tuple(value or "" for value in values)
    return lists


def _literal(text: str) -> object:
    """The value of a text in JSON or Python notation; None if it is neither."""
    try:
        value: object = nested(text)
        return value
    except (ValueError, RecursionError):
        return None


def _lists_of(column: pa.Array, lists: ByText) -> pa.Array:
    return pa.array([lists.get(text) if text else None for text in column.to_pylist()], _LIST)
