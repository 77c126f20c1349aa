"""A table as it is and as it should be, and what leads from one to the other: pure decisions.

No SQL; the engines ask their catalog for the one shape and the file for the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ods_pipeline.tables.schema_diff import Difference
from ods_pipeline.warehouse.protocol import Contract


@dataclass(frozen=True)
class Shape:
    """All that decides whether a table has to be loaded.

    Attributes:
        types: Column name to SQL type, in order.
        comment: The table's comment, empty for none.
        comments: Column name to comment, of the columns that have one.
        content_hash: Identity of the rows; empty when it is not known.
        version: Identity of rows, columns and descriptions, as the record of loads has it.
    """

    types: Mapping[str, str]
    comment: str
    comments: Mapping[str, str]
    content_hash: str
    version: str = ""


def action(standing: Shape | None, wanted: Shape, contract: Contract = "evolve") -> str:
    """What has to be done: `loaded`, `commented` or `unchanged`; `quarantined` for what must not.

    Args:
        standing: The table as it is, None if there is none.
        wanted: The table as the file would have it.
        contract: Whether a table that stands may get other columns.
    """
    if contract != "evolve" and schema_change(standing, wanted).breaks:
        return "quarantined"
    if standing is None or not wanted.content_hash:
        return "loaded"
    # The order counts: the rows' identity knows places, so two names that changed places differ.
    before, after = list(standing.types.items()), list(wanted.types.items())
    if (standing.content_hash, before) != (wanted.content_hash, after):
        return "loaded"
    described = (standing.comment, standing.comments) == (wanted.comment, wanted.comments)
    return "unchanged" if described else "commented"


def schema_change(standing: Shape | None, wanted: Shape) -> Difference:
    """How the columns differ; nothing does when there was no table."""
    if standing is None:
        return Difference()
    old, new = standing.types, wanted.types
    return Difference(
        added=tuple(name for name in new if name not in old),
        removed=tuple(name for name in old if name not in new),
        retyped=tuple(
            (name, old[name], new[name]) for name in new if old.get(name, new[name]) != new[name]
        ),
    )
