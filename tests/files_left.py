"""Takes from this process, for a moment, the right to open any file."""

from collections.abc import Iterator
from contextlib import contextmanager
from resource import RLIMIT_NOFILE, getrlimit, setrlimit


@contextmanager
def none_left() -> Iterator[None]:
    """No file, folder or socket can be opened in this block; those that are open stay."""
    soft, hard = getrlimit(RLIMIT_NOFILE)
    setrlimit(RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        setrlimit(RLIMIT_NOFILE, (soft, hard))
