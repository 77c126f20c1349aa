"""The datasets of a portal by identifier, with its clock and the version that every change raises.

What a caller may do is not decided here.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ods_pipeline.emulator.datasets.dataset import Dataset
from ods_pipeline.emulator.datasets.geometry import collection_depth
from ods_pipeline.emulator.datasets.store import Store
from ods_pipeline.emulator.http.errors import forbidden, unknown_dataset
from ods_pipeline.emulator.quirks import Quirks


class Clock:
    """The time of the machine, but never the same instant twice, and never backwards."""

    def __init__(self) -> None:
        """Begin with the first instant."""
        self._last = datetime(2000, 1, 1, tzinfo=UTC)
        self._lock = threading.Lock()

    def tick(self, after: str | None = None) -> str:
        """The next instant, later than every one given before and than ``after``."""
        with self._lock:
            floor = max(self._last, _instant(after))
            self._last = max(datetime.now(UTC), floor + timedelta(milliseconds=1))
            return timestamp(self._last)


def _instant(text: str | None) -> datetime:
    """A timestamp as an instant; any other text (metadata may be untrue) is long ago."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def timestamp(moment: datetime) -> str:
    """A timestamp as metadata has it: six digits of a second's fraction, or none."""
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    return moment.isoformat()


class State:
    """The datasets of a portal; every change gives a new version."""

    def __init__(self, quirks: Quirks):
        """An empty portal."""
        self.quirks = quirks
        self.store = Store()
        self.clock = Clock()
        self.lock = threading.RLock()
        self.version = 0
        self._datasets: dict[str, Dataset] = {}
        self._collection_depths: dict[str, int] = {}
        self._hidden_ids: frozenset[str] = frozenset()

    def visible_to(self, may_see: Callable[[str], bool]) -> State:
        """The portal at this moment, for a caller who may see certain private datasets."""
        with self.lock:
            visible = copy.copy(self)
            hidden = (name for name, dataset in self._datasets.items() if dataset.hidden)
            visible._hidden_ids = frozenset(name for name in hidden if not may_see(name))
            visible._datasets = {
                name: self._with_records(dataset) if may_see(name) else dataset
                for name, dataset in self._datasets.items()
                if name not in visible._hidden_ids
            }
            return visible

    def _with_records(self, dataset: Dataset) -> Dataset:
        """With its records readable, unless they were never recorded, as of one sample dataset."""
        if dataset.data_visible:
            return dataset
        rows = self.store.count(dataset.relation)
        declared = dataset.metas["default"].get("records_count")
        return replace(dataset, data_visible=True) if rows or not declared else dataset

    def dataset(self, dataset_id: str) -> Dataset:
        """The dataset, or the portal's 404."""
        dataset = self.find(dataset_id)
        if dataset is None:
            raise unknown_dataset(dataset_id)
        return dataset

    def find(self, dataset_id: str) -> Dataset | None:
        """The dataset, if there is one; one that is hidden may be the portal's 403."""
        if dataset_id in self._hidden_ids and self.quirks.access.hidden == "403":
            raise forbidden()
        return self._datasets.get(dataset_id)

    def collection_depth(self, dataset: Dataset) -> int:
        """How deep geometry collections are nested; computed once for each relation."""
        shapes = [c.sql for c in dataset.columns() if c.type == "geo_shape"]
        if shapes and dataset.relation not in self._collection_depths:
            deepest = ", ".join(["0", *map(collection_depth, shapes)])
            sql = f"SELECT greatest({deepest}) FROM {dataset.relation} AS r"
            self._collection_depths[dataset.relation] = self.store.number(sql)
        return self._collection_depths.get(dataset.relation, 0)

    def without_collections(self, relation: str) -> None:
        """Note that the rows of a relation hold no geometry collections."""
        self._collection_depths[relation] = 0

    def datasets(self) -> list[Dataset]:
        """All datasets in the order of their first publication."""
        with self.lock:
            return list(self._datasets.values())

    def put(self, dataset: Dataset) -> None:
        """Add or replace a dataset."""
        with self.lock:
            self._datasets[dataset.dataset_id] = dataset
            self.version += 1

    def remove(self, dataset_id: str) -> Dataset:
        """Remove a dataset."""
        with self.lock:
            removed = self.dataset(dataset_id)
            del self._datasets[dataset_id]
            self.version += 1
            return removed
