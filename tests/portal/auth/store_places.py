"""Opens the token stores under test, wherever they are, and makes what is kept in them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ods_pipeline.portal.auth.files import FileStore
from ods_pipeline.portal.auth.grant import Grant
from ods_pipeline.portal.auth.postgres import PostgresStore
from ods_pipeline.portal.auth.store import TokenStore

PORTAL, CLIENT = "https://data.example.org", "a-client"
#: Seconds after which a dead holder of a row is forgotten; processes that die hold it in tests.
LEASE = 2.0


def opened(place: str, lease: float = LEASE) -> TokenStore:
    if place.startswith("postgresql://"):
        return PostgresStore(place, PORTAL, CLIENT, lease=lease)
    return FileStore(Path(place), PORTAL, CLIENT)


def login(number: int = 0, **changes: Any) -> Grant:
    """A login after so many renewals."""
    first = Grant(PORTAL, CLIENT, "", "", 1_700_000_000.25, logged_in_at=1_700_000_000.25)
    return replace(after(first, number), **changes)


def after(grant: Grant, renewals: int = 1) -> Grant:
    """The same login after more renewals, with tokens of its own."""
    number = grant.generation + renewals
    return replace(
        grant,
        access_token=f"access-{number}",
        refresh_token=f"refresh-{number}",
        generation=number,
        pending=None,
    )
