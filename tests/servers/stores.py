"""Runs a store of objects for tests, in a folder that goes with it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar


class Store(Protocol):
    """A server that is started and stopped."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


S = TypeVar("S", bound=Store)


@contextmanager
def running(store: Callable[[Path], S]) -> Iterator[S]:
    """A store without any data, whose own data are in the folder that it is given."""
    with tempfile.TemporaryDirectory(prefix="store-") as folder:
        server = store(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()
