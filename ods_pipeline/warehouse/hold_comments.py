"""The mark that leads the comment of a table that is held: its words, and who has to carry it.

What is held is decided elsewhere, see `tables.holds`; here it is what the table `_held` says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ods_pipeline.warehouse import sql
from ods_pipeline.warehouse.connection import Session
from ods_pipeline.warehouse.names import HELD, table_name

_MARK = re.compile(r"HELD since (?:\d{4}-\d\d-\d\d|an unknown day): .*?\.(?: |$)")


def mark(since: str, reason: str) -> str:
    """The words for a table that is held; one sentence, whatever the reason is made of.

    Args:
        since: The day on which the reason was first seen, ISO 8601; empty if it is unknown.
        reason: Why its rows stay.
    """
    # The first full stop ends the mark, so that it can be told from the comment that follows.
    told = " ".join(reason.replace("\0", "").split()).rstrip(". ").replace(". ", "; ")
    return f"HELD since {since or 'an unknown day'}: {told}. "


def marked(comment: str, mark: str) -> str:
    """A comment led by the mark, and by no other; as it was before any for an empty mark."""
    found = _MARK.match(comment)
    return f"{mark}{comment[found.end() if found else 0 :]}".strip()


def marks(session: Session, schema: str) -> dict[str, str]:
    """The marks of a portal's tables that are held, by table, whether they exist or not."""
    if not session.exists(schema, HELD):
        return {}
    days = "strftime(epoch_ms(epoch_ms(since)), '%Y-%m-%d')"
    known = f"dataset_id, kind, coalesce({days}, ''), coalesce(reason, verdict, '')"
    found = session.run(f"SELECT {known} FROM {session.named(schema, HELD)}")
    return {
        table_name(dataset_id, kind): mark(since, reason)
        for dataset_id, kind, since, reason in found
    }


def apply(session: Session, schema: str, held: Mapping[str, str]) -> None:
    """Mark the tables that are held and no others; nothing is written where nothing differs."""
    standing = session.table_comments(schema)
    wanted = {name: marked(text, held.get(name, "")) for name, text in standing.items()}
    changed = {name: text for name, text in wanted.items() if text != standing[name]}
    if not changed:
        return
    with session.transaction():
        for name, text in changed.items():
            session.run(sql.comment(session.named(schema, name), text))
