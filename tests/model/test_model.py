"""Anything in any order: publishing, lying, failing, losing, killing; and after every sync, truth.

The model is the portal's own history. `ODS_MODEL_EXAMPLES` asks for so many stories, other ones
each time; without it they are few, and always the same.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as played

from ods_pipeline.emulator import Fault
from ods_pipeline.sync.rules import Rules
from tests.crashes.nursery import Nursery, nursery
from tests.model.world import World
from tests.soak.publisher import FIELDS, records
from tests.soak.weather import KINDS

NAMES = ("towns", "roads", "Towns", "a.b-c", "été")
EXTRA = {"name": "extra", "type": "text"}
TARGETS = (
    *("/exports/", r"/exports/\w+\?", "/records", "/catalog/exports", "GetFeature", "/wfs"),
    *(r"/datasets/[^/]+\?", "/catalog/", "."),
)
FAULTS = (
    *KINDS,
    Fault.status(403),
    Fault.quota(),
    Fault.fewer_datasets(1),
    Fault.charset("utf-16"),
)
LONG = int(os.environ.get("ODS_MODEL_EXAMPLES", "0"))
SETTINGS = settings(
    max_examples=LONG or 6,
    stateful_step_count=24 if LONG else 12,
    derandomize=not LONG,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=bool(LONG),
)
which = st.integers(0, 7)
counts = st.sampled_from([0, 1, 3, 6, 7, 8, 12])
often = st.integers(0, 9)


@pytest.fixture(scope="module")
def runs() -> Iterator[Nursery]:
    with nursery() as found:
        yield found


# Only a guard against a standstill: a long run takes as long as it was asked to.
@pytest.mark.timeout(0 if LONG else 1200)
def test_after_every_sync_lake_and_warehouse_are_what_the_portal_held(
    tmp_path: Path, runs: Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    numbers = itertools.count()

    class Told(Story):
        def __init__(self) -> None:
            super().__init__(tmp_path / str(next(numbers)), runs)

    played(Told, settings=SETTINGS)


class Story(RuleBasedStateMachine):
    """What happens to one portal and to those who sync it."""

    def __init__(self, folder: Path, runs: Nursery) -> None:
        super().__init__()
        self.world, self._runs = World(folder), runs
        self._sound = True
        self._version = 0
        self._gone: list[Any] = []

    def teardown(self) -> None:
        try:
            if self._sound:
                self._judged(self.world.settle())
        finally:
            self.world.close()

    def _rows(self, count: int) -> list[dict[str, Any]]:
        self._version += 1
        return [{**row, "extra": f"more {row['n']}"} for row in records(self._version, count)]

    def _one(self, number: int) -> str:
        names = self.world.names
        return names[number % len(names)]

    @initialize(count=st.integers(1, 4))
    def begin(self, count: int) -> None:
        for name in NAMES[:2] + NAMES[3:][: count - 2]:
            self.world.portal.publish(name, FIELDS, self._rows(8))
        self._judged(self.world.sync(rules=Rules()))

    @rule(name=st.sampled_from(NAMES), count=counts, more=st.booleans())
    def publish(self, name: str, count: int, more: bool) -> None:
        fields = [*FIELDS, EXTRA] if more else FIELDS
        self.world.portal.publish(name, fields, self._rows(count))

    @precondition(lambda self: self.world.names)
    @rule(i=which, count=counts)
    def publish_rows(self, i: int, count: int) -> None:
        self.world.portal.publish(self._one(i), FIELDS, self._rows(count))

    @precondition(lambda self: self.world.names)
    @rule(
        i=which, field=st.sampled_from(["code", "n", "share"]), to=st.sampled_from(["text", "int"])
    )
    def retype(self, i: int, field: str, to: str) -> None:
        self.world.portal.retype(self._one(i), field, to)

    @precondition(lambda self: self.world.names)
    @rule(i=which, what=st.integers(0, 4))
    def edit_nothing_of_the_data(self, i: int, what: int) -> None:
        portal, name = self.world.portal, self._one(i)
        self._version += 1
        edits: tuple[Callable[[], object], ...] = (
            lambda: portal.touch(name),
            lambda: portal.describe(name, title=f"Version {self._version}"),
            lambda: portal.relabel(name, "code", f"Code {self._version}"),
            lambda: portal.republish(name),
            lambda: portal.republish(name, shuffle=True),
        )
        edits[what]()

    @precondition(lambda self: self.world.names)
    @rule(i=which, new=st.sampled_from(NAMES))
    def rename(self, i: int, new: str) -> None:
        old = self._one(i)
        if new not in self.world.names:
            self.world.portal.rename(old, new)

    @precondition(lambda self: len(self.world.names) > 1)
    @rule(i=which, j=which)
    def swap(self, i: int, j: int) -> None:
        one, other = self._one(i), self._one(j)
        if one != other:
            self.world.portal.rename(one, "on its way")
            self.world.portal.rename(other, one)
            self.world.portal.rename("on its way", other)

    @precondition(lambda self: self.world.names)
    @rule(i=which, new=st.sampled_from(NAMES), count=counts)
    def take_over(self, i: int, new: str, count: int) -> None:
        old = self._one(i)
        if new not in self.world.names:
            self.world.portal.rename(old, new)
            self.world.portal.publish(old, FIELDS, self._rows(count))

    @precondition(lambda self: self.world.names)
    @rule(i=which)
    def withdraw(self, i: int) -> None:
        self._gone.append(self.world.portal.state.remove(self._one(i)))

    @precondition(lambda self: self._gone)
    @rule(i=which)
    def bring_back(self, i: int) -> None:
        old = self._gone.pop(i % len(self._gone))
        if old.dataset_id not in self.world.names:
            self.world.portal.state.put(old)

    @precondition(lambda self: self.world.names)
    @rule(i=which, hidden=st.booleans())
    def restrict(self, i: int, hidden: bool) -> None:
        self.world.portal.restrict(self._one(i), restricted=hidden)

    @precondition(lambda self: self.world.names)
    @rule(i=which, count=counts)
    def publish_and_say_nothing(self, i: int, count: int) -> None:
        name = self._one(i)
        before = self.world.portal.state.dataset(name).metas["default"]
        self.world.portal.publish(name, FIELDS, self._rows(count))
        told = {key: before[key] for key in ("data_processed", "modified")}
        self.world.portal.lie(name, **told)

    @precondition(lambda self: self.world.names)
    @rule(i=which, lie=st.sampled_from([-3, 3, 100, "none", "future", "zero"]))
    def lie(self, i: int, lie: int | str) -> None:
        name = self._one(i)
        count = self.world.portal.state.dataset(name).metas["default"]["records_count"]
        lies: dict[str, dict[str, Any]] = {
            "none": {"data_processed": None},
            "future": {"data_processed": "2999-01-01T00:00:00+00:00"},
            "zero": {"records_count": 0},
        }
        told = {"records_count": max(count + lie, 0)} if isinstance(lie, int) else lies[lie]
        self.world.portal.lie(name, **told)

    @rule(match=st.sampled_from(TARGETS), kind=st.integers(0, len(FAULTS) - 1), lasting=often)
    def fail(self, match: str, kind: int, lasting: int) -> None:
        fault = FAULTS[kind]
        # Only a catalog can lack datasets.
        target = "/catalog/exports" if fault.kind == "fewer_datasets" else match
        self.world.fail(target, fault, None if lasting == 0 else 1 + lasting % 2)

    @precondition(lambda self: self.world.names)
    @rule(i=which, count=counts, torn=st.booleans(), after=st.sampled_from([0, 1, 4]))
    def publish_meanwhile(self, i: int, count: int, torn: bool, after: int) -> None:
        name = self._one(i)
        do = {"verb": "publish", "dataset_id": name, "fields": FIELDS, "records": self._rows(count)}
        fault = Fault.torn([do], after) if torn else Fault.meanwhile([do], after)
        self.world.fail(f"/datasets/{re.escape(quote(name))}/exports", fault, 1)

    @rule()
    def heal(self) -> None:
        self.world.heal()

    @rule(what=st.integers(0, 9), i=which)
    def lose(self, what: int, i: int) -> None:
        root = self.world.root
        files = sorted(root.glob("*/*.parquet"))
        lost = {
            0: self.world.folder / "warehouse.duckdb",
            1: root / "held.parquet",
            2: root / "catalog.parquet",
        }
        found = lost.get(what) or (files[i % len(files)] if files else root / "none")
        found.unlink(missing_ok=True)

    @rule(
        csv=st.booleans(),
        features=often,
        accept=often,
        suspicious=often,
        named=often,
        workers=st.sampled_from([1, 4]),
    )
    def sync(
        self, csv: bool, features: int, accept: int, suspicious: int, named: int, workers: int
    ) -> None:
        names = [self._one(named)] if named == 0 and self.world.names else []
        self._judged(
            self.world.sync(
                *names,
                format="csv" if csv else "parquet",
                features=features < 3,
                accept=accept == 0,
                rules=Rules(trust_days=0 if suspicious < 3 else 30),
                workers=workers,
            )
        )

    @rule()
    def sync_simply(self) -> None:
        self._judged(self.world.sync(rules=Rules()))

    @rule(touch=st.integers(1, 130), chance=often)
    def kill(self, touch: int, chance: int) -> None:
        if chance < 3:
            self._judged(self.world.kill(self._runs, touch))

    def _judged(self, wrongs: list[str]) -> None:
        self._sound = not wrongs
        assert not wrongs, "\n".join([*wrongs, "", *self.world.log[-20:]])
