"""A table as it is and as it should be, and the decision what to do about it.

Pure: no SQL and no files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ods_pipeline.dataset import instant
from ods_pipeline.tables.schema_diff import Difference
from ods_pipeline.warehouse.protocol import Contract


@dataclass(frozen=True)
class TableState:
    """Everything that decides whether a table has to be loaded.

    Attributes:
        types: Column name to SQL type, in order.
        comment: The table's comment, empty for none.
        comments: Column name to comment, of the columns that have one.
        content_hash: Identity of the rows; empty when it is not known.
        version: Identity of rows, columns and descriptions, as the load log has it.
        data_processed: The portal's date of the data in it, as the load log has it.
        whole: Whether it still has the rows of the load log, as far as that shows.
    """

    types: Mapping[str, str]
    comment: str
    comments: Mapping[str, str]
    content_hash: str
    version: str = ""
    data_processed: str = ""
    whole: bool = True


def required_action(
    current: TableState | None, wanted: TableState, contract: Contract = "evolve"
) -> str:
    """What to do: `loaded`, `commented`, `unchanged`, or `quarantined` where it is forbidden."""
    if contract != "evolve" and schema_change(current, wanted).breaks:
        return "quarantined"
    if current is None or not current.whole or not wanted.content_hash:
        return "loaded"
    # The order counts: two columns that swapped their names leave the rows' identity as it was.
    before, after = list(current.types.items()), list(wanted.types.items())
    if (current.content_hash, before) != (wanted.content_hash, after):
        return "loaded"
    described = (current.comment, current.comments) == (wanted.comment, wanted.comments)
    return "unchanged" if described else "commented"


def overtaken(loaded: str, landed: str, loaded_at: datetime | None, fetched_at: str) -> bool:
    """Whether a table has newer data than a landed file: another lake's, loaded since.

    Args:
        loaded: The portal's date of the data in the table.
        landed: The same of the data in the file.
        loaded_at: When rows were last loaded into the table.
        fetched_at: When those in the file were fetched, ISO 8601. A portal may go back to older
            data; what was fetched after the load is what it has now.
    """
    newer, older, fetched = instant(loaded), instant(landed), instant(fetched_at)
    if not (newer and older and fetched and loaded_at):
        return False
    # Receipts have whole seconds: what was fetched within the second of the load is not before it.
    return older < newer and fetched + timedelta(seconds=1) <= loaded_at


def schema_change(current: TableState | None, wanted: TableState) -> Difference:
    """The difference in columns; none where there was no table."""
    return Difference.of_types(current.types, wanted.types) if current else Difference()
