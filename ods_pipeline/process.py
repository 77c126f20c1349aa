"""The settings of a process that runs a command, and nothing else.

They are global: not for a process with code of others in it, as Dagster's are.
"""

from __future__ import annotations

import gc
import sys
from importlib.abc import MetaPathFinder

_TURN, _OBJECTS = 0.0005, 100_000


def without_pandas() -> None:
    """Keep pandas out of the process: no command uses it.

    pyarrow imports it with the first scalar that it makes, where it can: 50 MB and 0.4 s.
    """
    sys.meta_path.insert(0, _WithoutPandas())


class _WithoutPandas(MetaPathFinder):
    def find_spec(self, fullname: str, *_: object) -> None:
        # Everything else is left to the finders behind this one.
        if fullname == "pandas":
            raise ImportError("the command line does without pandas")


def prepare_to_load() -> None:
    """Make the process fit for landing and loading many rows, or many datasets."""
    import pyarrow as pa

    # Arrow's own choice keeps what each thread gave back: 30 to 60 MB. The C library's keeps
    # least and is a tenth slower.
    try:
        pool = pa.jemalloc_memory_pool()
    except NotImplementedError:
        pool = pa.system_memory_pool()
    pa.set_memory_pool(pool)
    # Loads hand the interpreter back and forth with threads that fetch: not for 5 ms each time.
    sys.setswitchinterval(_TURN)
    # What a catalog is made of stays: looking for garbage among it takes a third of the time.
    gc.set_threshold(_OBJECTS)
