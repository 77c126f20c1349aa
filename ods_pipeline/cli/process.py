"""The settings of a process that runs a command, and nothing else.

They are global: not for a process with code of others in it, as Dagster's are.
"""

from __future__ import annotations

import gc
import os
import sys
from importlib.abc import MetaPathFinder

_TURN, _OBJECTS = 0.0005, 100_000


def prepare() -> None:
    """Make the process lean; to be called before anything imports pyarrow."""
    sys.meta_path.insert(0, _WithoutPandas())
    if sys.platform == "linux":  # Arrow has it there, and complains elsewhere.
        # What Arrow prefers keeps all that each thread gave back: 30 to 60 MB.
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")


class _WithoutPandas(MetaPathFinder):
    """Keeps pandas out, for no command uses it.

    pyarrow imports it with the first scalar that it makes, where it can: 50 MB and 0.4 s.
    """

    def find_spec(self, fullname: str, *_: object) -> None:
        # Everything else is left to the finders behind this one.
        if fullname == "pandas":
            raise ImportError("the command line does without pandas")


def prepare_to_load() -> None:
    """Make the process fit for landing and loading many datasets."""
    # Loads hand the interpreter back and forth with threads that fetch: not for 5 ms each time.
    sys.setswitchinterval(_TURN)
    # What a catalog is made of stays: looking for garbage among it takes a third of the time.
    gc.set_threshold(_OBJECTS)
