"""The portal as each kind of caller sees it; kept until a dataset changes."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from ods_pipeline.emulator.datasets.state import State
from ods_pipeline.emulator.explore.catalog import Catalog


@dataclass(frozen=True)
class View:
    """What one caller may see, and the catalog of it."""

    state: State
    catalog: Catalog


class Views:
    """One view for all callers with the same rights: strangers share theirs."""

    def __init__(self, state: State):
        """Look at a state."""
        self._state = state
        self._version = -1
        self._views: dict[tuple[str, ...], View] = {}

    def of(self, datasets: tuple[str, ...]) -> View:
        """The view of whoever may see these private datasets, given as globs."""
        with self._state.lock:
            if self._version != self._state.version:
                self._version, self._views = self._state.version, {}
            if datasets not in self._views:
                seen = self._state.seen_by(
                    lambda name: any(fnmatchcase(name, glob) for glob in datasets)
                )
                self._views[datasets] = View(seen, Catalog(seen))
            return self._views[datasets]
