"""A person beside the product, at the same PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql


@contextmanager
def connected(url: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A connection, each statement of which stands for itself."""
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def said(text: str) -> sql.Composable:
    """A statement that a test has put together."""
    return sql.SQL(text)  # type: ignore[arg-type]
