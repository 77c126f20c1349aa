"""The interface of token stores, which keep a login between runs for all processes that share it.

Files and PostgreSQL implement it, and exclude other processes by themselves; with the lock of
threads that is here not all of them need to poll. Nothing here opens a store.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from ods_pipeline.errors import ConfigurationError, TokenStoreError
from ods_pipeline.lake.bucket import LakePath, ObjectPath
from ods_pipeline.portal.auth.grant import Grant
from ods_pipeline.portal.http.address import Address
from ods_pipeline.state.database import shared
from ods_pipeline.state.locks import thread_lock


class TokenStore(Protocol):
    """Keeps one grant: the one of a portal and an application.

    A refresh token is valid once, so only one may use it at a time (`exclusive`), and what came of
    it must be on disk before it is used (`swap`).
    """

    @property
    def where(self) -> str:
        """The place for people, without secrets."""

    def load(self) -> Grant | None:
        """The stored login; None if there is none. Takes no lock.

        Raises:
            TokenStoreError: It cannot be read, or is not safe from others.
        """

    def ready(self) -> None:
        """See that a new login could be kept here, before anybody is asked for one.

        Raises:
            TokenStoreError: It could not.
        """

    def save(self, grant: Grant) -> None:
        """Keep a new login, whatever was kept before.

        Raises:
            TokenStoreError: It cannot be kept; what was kept before still is.
        """

    def swap(self, old: Grant, new: Grant) -> bool:
        """Keep `new` where the refresh token kept is still `old`'s; else False, and nothing moves.

        On return it is on disk, for good. Called within `exclusive`.

        Raises:
            TokenStoreError: It cannot be kept.
        """

    def forget(self) -> bool:
        """Keep nothing; False where nothing was kept.

        Raises:
            TokenStoreError: It cannot be taken away.
        """

    def exclusive(self, max_wait: float) -> AbstractContextManager[None]:
        """Be the only one to renew, among all threads and processes that share the store.

        A process that dies within it is no obstacle for long.

        Args:
            max_wait: Seconds to wait for another one at most.

        Raises:
            TokenStoreError: Another one was at it for longer; nothing is renewed then.
        """


def default_file(data_dir: LakePath, address: Address, client_id: str) -> Path:
    """The file of a login in the data folder: one per portal and application.

    Raises:
        ConfigurationError: The data folder is in a bucket, which is no safe for a login.
    """
    if isinstance(data_dir, ObjectPath):
        raise ConfigurationError(
            "a login is not kept in a bucket: set ODS_STATE, or ODS_TOKEN_FILE to a file or to "
            "postgresql://…"
        )
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", client_id)[:40]
    digest = sha256(client_id.encode()).hexdigest()[:8]
    return data_dir / "tokens" / f"{address.slug}--{plain}-{digest}.json"


def default_place(data_dir: LakePath, state: str, address: Address, client_id: str) -> str | Path:
    """Where a login is kept: in the shared state where there is one, else in a file of its own.

    Raises:
        ConfigurationError: The shared state is no URL of PostgreSQL.
    """
    return state if shared(state) else default_file(data_dir, address, client_id)


@contextmanager
def login_lock(key: str, where: str, max_wait: float) -> Iterator[None]:
    """Be the only thread of this process that works on a login; `where` names it for people.

    Raises:
        TokenStoreError: Another thread held it for longer.
    """
    lock = thread_lock(f"login/{key}")
    if not lock.acquire(timeout=max(max_wait, 0)):
        raise busy(where, max_wait)
    try:
        yield
    finally:
        lock.release()


def busy(where: str, max_wait: float) -> TokenStoreError:
    """The error of waiting too long for another renewal."""
    return TokenStoreError(
        f"another process has been renewing the login in {where} for more than "
        f"{max_wait:g} seconds, so nothing was done; try again later"
    )
