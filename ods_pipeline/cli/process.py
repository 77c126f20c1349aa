"""The settings of a process that runs a command, and nothing else.

They are global: not for a process with code of others in it, as Dagster's are.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
from importlib.abc import MetaPathFinder

_TURN, _OBJECTS = 0.0005, 100_000
# By their numbers in C: how much free memory is kept, and from what size on the system is asked.
_KEPT, _ASKED = (-1, 32 << 20), (-3, 4 << 20)


def prepare() -> None:
    """Make the process lean; to be called before anything imports pyarrow."""
    # What modules and a catalog are made of stays: looking for garbage among it takes a fifth of a
    # start, and a third of a large catalog.
    gc.set_threshold(_OBJECTS)
    # NumPy's threads for matrices, of which there are none here, turn in circles when they begin.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.meta_path.insert(0, _WithoutPandas())
    if sys.platform == "linux":  # Arrow has it there, and complains elsewhere.
        # What Arrow prefers keeps all that each thread gave back: 30 to 60 MB.
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")
        # NumPy's arrays of 128 kB and more would each be mapped, cleared and unmapped.
        with contextlib.suppress(AttributeError):  # Other C libraries have no such settings.
            for setting in (_KEPT, _ASKED):
                ctypes.CDLL(None).mallopt(*setting)


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
