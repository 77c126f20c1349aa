"""Somebody who edits a portal between two rounds: a bit of everything that publishers do."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from ods_pipeline.emulator import Emulator
from ods_pipeline.emulator.datasets.dataset import Dataset

FIELDS: list[dict[str, Any]] = [
    {"name": "code", "type": "text", "label": "Code"},
    {"name": "name", "type": "text"},
    {"name": "n", "type": "int"},
    {"name": "share", "type": "double"},
    {"name": "day", "type": "date"},
    {"name": "place", "type": "geo_point_2d"},
]


def records(version: int, count: int) -> list[dict[str, Any]]:
    """Rows that differ from those of every other version."""
    return [
        {
            "code": f"{number:05}",
            "name": None if number % 5 == 4 else f'Évry; "n° {number}"\nv{version}',
            "n": version * 1000 + number,
            "share": version + number / 8,
            "day": f"20{10 + version % 80:02}-02-{number % 28 + 1:02}",
            "place": {"lon": number / 8, "lat": 45.5 + version / 1024},
        }
        for number in range(count)
    ]


class Publisher:
    """Edits some datasets at a time, chosen by a seed."""

    def __init__(self, emulator: Emulator, seed: int) -> None:
        """Take a portal over."""
        self._portal = emulator
        self._dice = random.Random(seed)
        self._version = 0
        self._withdrawn: list[Dataset] = []

    def edit(self, count: int) -> None:
        """Make so many edits."""
        weighted: dict[Callable[[Dataset], object], int] = {
            self._publish: 6,
            self._widen: 2,
            self._retype: 1,
            self._rename: 2,
            self._withdraw: 2,
            self._restrict: 1,
            self._new: 2,
            self._back: 1,
            self._swap: 1,
            lambda old: self._portal.republish(old.dataset_id, shuffle=True): 3,
            lambda old: self._portal.describe(old.dataset_id, title=self._title()): 2,
            lambda old: self._portal.touch(old.dataset_id): 1,
            lambda old: self._portal.relabel(old.dataset_id, "code", self._title()): 1,
        }
        for edit in self._dice.choices(list(weighted), list(weighted.values()), k=count):
            edit(self._dice.choice(self._portal.state.datasets()))

    def _title(self) -> str:
        self._version += 1
        return f"Version {self._version}"

    def _rows(self) -> list[dict[str, Any]]:
        self._version += 1
        # Now and then few enough to be held back.
        return records(self._version, self._dice.choice([2, 6, 7, 8, 9, 10, 25]))

    def _publish(self, old: Dataset) -> None:
        self._portal.publish(old.dataset_id, FIELDS, self._rows())

    def _widen(self, old: Dataset) -> None:
        name = f"extra_{self._dice.randrange(3)}"
        rows = [{**row, name: f"more {row['n']}"} for row in self._rows()]
        self._portal.publish(old.dataset_id, [*FIELDS, {"name": name, "type": "text"}], rows)

    def _retype(self, old: Dataset) -> None:
        types = {field.name: field.type for field in old.fields}
        self._portal.retype(old.dataset_id, "code", "int" if types["code"] == "text" else "text")

    def _new(self, _: Dataset) -> None:
        self._version += 1
        self._portal.publish(f"new-{self._version}", FIELDS, records(self._version, 8))

    def _rename(self, old: Dataset) -> None:
        self._version += 1
        self._portal.rename(old.dataset_id, f"renamed-{self._version}")

    def _swap(self, one: Dataset) -> None:
        other = self._dice.choice(self._portal.state.datasets())
        if one.dataset_id != other.dataset_id:
            self._portal.rename(one.dataset_id, "on its way")
            self._portal.rename(other.dataset_id, one.dataset_id)
            self._portal.rename("on its way", other.dataset_id)

    def _withdraw(self, old: Dataset) -> None:
        self._portal.withdraw(old.dataset_id)
        self._withdrawn.append(old)

    def _back(self, _: Dataset) -> None:
        if self._withdrawn:
            old = self._withdrawn.pop(0)
            if self._portal.state.find(old.dataset_id) is None:
                self._portal.state.put(old)

    def _restrict(self, old: Dataset) -> None:
        self._portal.restrict(old.dataset_id, restricted=old.data_visible)
