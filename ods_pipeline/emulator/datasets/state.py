"""What one portal holds at a moment: datasets by identifier, the engine and the clock."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ods_pipeline.emulator.access.quirks import AccessQuirks
from ods_pipeline.emulator.datasets.clock import Clock
from ods_pipeline.emulator.datasets.dataset import Dataset
from ods_pipeline.emulator.datasets.store import Store
from ods_pipeline.emulator.http.errors import forbidden, unknown_dataset
from ods_pipeline.emulator.quirks import WfsQuirks
from ods_pipeline.emulator.wfs.gml_geometries import nesting


@dataclass(frozen=True)
class Quirks:
    """Where real portals differ, or are not known: how this one behaves.

    ``multivalued``: ``joined`` strings or ``list`` in Parquet. ``files``: ``url`` or ``struct``
    in Parquet. ``short_dates``: ``date`` or ``string`` for years and months in Parquet.
    ``empty_row_group``: Parquet begins with a row group without rows. ``wfs``: those of the WFS.
    ``access``: those of private datasets, keys and logins.
    ``dialect``: empty for v2.1, else ``v2.0``, ``v1`` or ``look-alike`` alone.
    ``deprecation``: what each reply's ``ODS-Explore-API-Deprecation`` says; none where empty.
    """

    multivalued: str = "joined"
    files: str = "url"
    short_dates: str = "date"
    empty_row_group: bool = True
    wfs: WfsQuirks = field(default_factory=WfsQuirks)
    access: AccessQuirks = field(default_factory=AccessQuirks)
    dialect: str = ""
    deprecation: str = ""

    def __post_init__(self) -> None:
        """Refuse a dialect that there is not."""
        if self.dialect not in {"", "v2.0", "v1", "look-alike"}:
            raise ValueError("a dialect is v2.0, v1 or look-alike, or empty for v2.1")


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
        self._nested: dict[str, int] = {}
        self._withheld: frozenset[str] = frozenset()

    def seen_by(self, may: Callable[[str], bool]) -> State:
        """The portal at this moment for someone who may see certain private datasets."""
        with self.lock:
            seen = copy.copy(self)
            hidden = (name for name, dataset in self._datasets.items() if dataset.hidden)
            seen._withheld = frozenset(name for name in hidden if not may(name))
            seen._datasets = {
                name: self._opened(dataset) if may(name) else dataset
                for name, dataset in self._datasets.items()
                if name not in seen._withheld
            }
            return seen

    def _opened(self, dataset: Dataset) -> Dataset:
        """With its records, unless they were never recorded: the sample has such a dataset."""
        if dataset.data_visible:
            return dataset
        there = self.store.count(dataset.relation)
        promised = dataset.metas["default"].get("records_count")
        return replace(dataset, data_visible=True) if there or not promised else dataset

    def dataset(self, dataset_id: str) -> Dataset:
        """The dataset, or the portal's 404."""
        dataset = self.find(dataset_id)
        if dataset is None:
            raise unknown_dataset(dataset_id)
        return dataset

    def find(self, dataset_id: str) -> Dataset | None:
        """The dataset, if there is one; one that is withheld may be the portal's 403."""
        if dataset_id in self._withheld and self.quirks.access.hidden == "403":
            raise forbidden()
        return self._datasets.get(dataset_id)

    def nested(self, dataset: Dataset) -> int:
        """How deep geometry collections are in each other; looked up once for each relation."""
        shapes = [c.sql for c in dataset.columns() if c.type == "geo_shape"]
        if shapes and dataset.relation not in self._nested:
            deepest = ", ".join(["0", *map(nesting, shapes)])
            sql = f"SELECT greatest({deepest}) FROM {dataset.relation} AS r"
            self._nested[dataset.relation] = self.store.number(sql)
        return self._nested.get(dataset.relation, 0)

    def without_collections(self, relation: str) -> None:
        """Spare the look into rows that are known to hold none."""
        self._nested[relation] = 0

    def datasets(self) -> list[Dataset]:
        """All datasets in the order of their first publication."""
        with self.lock:
            return list(self._datasets.values())

    def put(self, dataset: Dataset) -> None:
        """Add or replace."""
        with self.lock:
            self._datasets[dataset.dataset_id] = dataset
            self.version += 1

    def remove(self, dataset_id: str) -> Dataset:
        """Take away."""
        with self.lock:
            removed = self.dataset(dataset_id)
            del self._datasets[dataset_id]
            self.version += 1
            return removed
