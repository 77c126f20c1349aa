"""Errors of PostgreSQL as one sentence: what is wrong, and what to do about it.

Nothing is tried again here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ods_pipeline.errors import (
    ConfigurationError,
    OdsPipelineError,
    WarehouseError,
    WarehouseLocked,
)
from ods_pipeline.state.postgres import said

if TYPE_CHECKING:
    import psycopg

_CLASS = 2
# By SQLSTATE, or by its first two characters.
_SENTENCES = {
    "28": "{where} does not let you in ({said}): correct user and password, which may also be in "
    "PGUSER, PGPASSWORD or .pgpass",
    "3D000": "{where} has no such database ({said}): create it, or correct ODS_WAREHOUSE",
    "3F000": "{where} has no such schema ({said}): have its owner create it",
    "53100": "the disk of {where} is full ({said}): free some space there and run again",
    "53200": "{where} has too little memory ({said}): load where there is more",
    "53300": "{where} has no connection left ({said}): run again when there are fewer",
    "42501": "{where} does not allow it ({said}): have its owner run GRANT USAGE, CREATE ON SCHEMA "
    "for the schema of the portal, and GRANT USAGE for that of PostGIS",
    "25006": "{where} can only be read ({said}): set ODS_WAREHOUSE to its primary server",
    "57P": "{where} broke off the connection ({said}): the next run loads what is missing",
    "08": "{where} cannot be reached ({said}): check that it is up and that ODS_WAREHOUSE is right",
    "2BP01": "other things in {where} depend on the table ({said}): drop or change these first",
    "54": "{where} cannot have such a table ({said}): choose fewer columns with `select`",
}
_NOT_OWNED = (
    "{where} does not allow it ({said}): have its owner run ALTER TABLE … OWNER TO with the user "
    "of ODS_WAREHOUSE, or load as the owner"
)
_REFUSED = "{where} refused ({said})"
_BROKEN = "the connection to {where} broke off ({said}): the next run loads what is missing"
_UNREACHED = (
    "the warehouse {where} cannot be opened ({said}): check that it is up and that ODS_WAREHOUSE, "
    "the PG variables and .pgpass are right"
)
_NOT_YET = "the warehouse {where} takes no connection now ({said}): run again in a while"
# In libpq's report of a connection that was never had, the server's code is missing.
_PASSING = ("is starting up", "is shutting down", "too many", "remaining connection slots")


def failure(
    error: psycopg.Error, where: str, *, portal: str = "", dataset: str = "", connected: bool = True
) -> WarehouseError:
    """One sentence for an error, without anything that a server adds to its first line.

    Args:
        error: As psycopg raised it.
        where: Host and database.
        portal: The portal concerned.
        dataset: The dataset concerned.
        connected: Whether there was a connection, and still is.
    """
    words = said(error)
    state = error.sqlstate or ""
    sentence = next(
        (text for sign, text in _SENTENCES.items() if state.startswith(sign)),
        _REFUSED if connected else _BROKEN,
    )
    if state == "42501" and "must be owner" in words:
        sentence = _NOT_OWNED
    at = _place(error)
    text = sentence.format(where=where, said=f"{words}{at}")
    return WarehouseError(text, portal=portal, dataset=dataset)


def unopened(error: psycopg.Error, where: str) -> OdsPipelineError:
    """The sentence on a connection that was never had."""
    state, words = error.sqlstate or "", said(error)
    sentence = next((t for sign, t in _SENTENCES.items() if state.startswith(sign)), _UNREACHED)
    if not state and ("authentication" in words or "password" in words):
        sentence = _SENTENCES["28"]
    if any(sign in words for sign in _PASSING):
        return WarehouseLocked(_NOT_YET.format(where=where, said=words))
    kind = ConfigurationError if "invalid connection option" in words else WarehouseError
    return kind(sentence.format(where=where, said=words))


def _place(error: psycopg.Error) -> str:
    """Which record and column of a COPY the server stumbled over."""
    found = re.search(
        r"^COPY .*?, line (\d+)(?:, column (.+?))?(?:: .*)?$", error.diag.context or ""
    )
    if not found:
        return ""
    column = f" of the column {found[2]}" if found[2] else ""
    return f", in record {found[1]}{column}"
