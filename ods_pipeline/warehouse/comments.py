"""Comments of tables and columns, with the mark that leads the comment of a held table.

What is held is read from the table `_held`; the decision to hold a partition does not belong here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ods_pipeline.warehouse.names import HELD, TableNames, literal, quoted
from ods_pipeline.warehouse.session import Session
from ods_pipeline.warehouse.table_state import TableState

_MARK = re.compile(r"HELD since (?:\d{4}-\d\d-\d\d|an unknown day): .*?\.(?: |$)")


def write_comments(
    session: Session, schema: str, table: str, before: TableState | None, wanted: TableState
) -> None:
    """Write the comments that differ from those of before, None for a table just made."""
    whole = session.named(schema, table)
    changed = [
        f"COLUMN {whole}.{quoted(name)} IS {_value(text)}"
        for name in wanted.types
        for text in [wanted.comments.get(name, "")]
        if text != (before.comments.get(name, "") if before else "")
    ]
    if wanted.comment != (before.comment if before else ""):
        changed.append(f"TABLE {whole} IS {_value(wanted.comment)}")
    if changed:  # In one go: a server may be far away.
        session.run("; ".join(f"COMMENT ON {one}" for one in changed))


def mark(since: str, reason: str) -> str:
    """The mark of a held table: one sentence, whatever the reason contains.

    Args:
        since: The day on which the reason was first seen, ISO 8601; empty if it is unknown.
        reason: Why its rows stay.
    """
    # The first full stop ends the mark, which separates it from the comment that follows.
    text = " ".join(reason.replace("\0", "").split()).rstrip(". ").replace(". ", "; ")
    return f"HELD since {since or 'an unknown day'}: {text}. "


def marked(comment: str, mark: str) -> str:
    """A comment with this mark in front instead of an earlier one; with an empty mark, without."""
    earlier = _MARK.match(comment)
    return f"{mark}{comment[earlier.end() if earlier else 0 :]}".strip()


def read_marks(session: Session, schema: str, names: TableNames) -> dict[str, str]:
    """The marks of a portal's held tables by table, whether they exist or not."""
    if not session.exists(schema, HELD):
        return {}
    days = session.utc_day.format("since")
    columns = f"dataset_id, kind, coalesce({days}, ''), coalesce(reason, verdict, '')"
    holds = session.run(f"SELECT {columns} FROM {session.named(schema, HELD)}")
    return {
        names.table_of(dataset_id, kind): mark(since, reason)
        for dataset_id, kind, since, reason in holds
    }


def write_marks(session: Session, schema: str, marks: Mapping[str, str]) -> None:
    """Mark the held tables of a portal and no others; writes nothing where nothing differs."""
    before = session.table_comments(schema)
    wanted = {name: marked(text, marks.get(name, "")) for name, text in before.items()}
    changed = {name: text for name, text in wanted.items() if text != before[name]}
    if not changed:
        return
    with session.transaction():
        for name, text in changed.items():
            session.run(f"COMMENT ON TABLE {session.named(schema, name)} IS {_value(text)}")


def _value(text: str) -> str:
    # SQL cannot bind comments.
    return literal(text) if text else "NULL"
