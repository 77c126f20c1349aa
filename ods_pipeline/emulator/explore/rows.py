"""Rows of a query as JSON-shaped dictionaries, for every reply made of JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ods_pipeline.emulator.datasets.formatting import WRAP, for_json
from ods_pipeline.emulator.datasets.store import Store
from ods_pipeline.emulator.explore.query import Query


def dictionaries(store: Store, query: Query, timezone: str) -> Iterator[dict[str, Any]]:
    """One dictionary per row, every selected key present."""
    columns = query.outer()
    names = [column.name for column in columns]
    wraps = [WRAP.get(column.type) for column in columns]
    batches = store.batches(query.written([for_json(c, timezone) for c in columns]))

    def rows() -> Iterator[dict[str, Any]]:
        for batch in batches:
            values = [batch.column(i).to_pylist() for i in range(len(names))]
            for i, wrap in enumerate(wraps):
                if wrap:
                    values[i] = [wrap(value) for value in values[i]]
            if not names:
                yield from ({} for _ in range(batch.num_rows))
            for row in zip(*values, strict=True):
                yield dict(zip(names, row, strict=True))

    return rows()
