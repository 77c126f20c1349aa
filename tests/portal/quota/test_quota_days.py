"""A portal with more datasets than a day's quota lasts for: day after day, until all is there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

import pytest

from ods_pipeline.emulator import Emulator
from ods_pipeline.lake.lake import Lake
from ods_pipeline.portal import portal as portals
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.portal import Portal
from ods_pipeline.portal.quota.rules import margin
from ods_pipeline.sync import landing
from ods_pipeline.sync.options import Options, RunContext
from ods_pipeline.sync.outcome import Outcome, exit_status
from ods_pipeline.sync.run import Run
from tests.desk import FIELDS, rows

pytestmark = pytest.mark.slow

# Export, count, and the dataset once more: what landing costs where all goes well.
PER_DATASET = 3
DEFERRED = 3


class Days:
    """A portal with a quota, and somebody who syncs it once a day."""

    def __init__(self, emulator: Emulator, folder: Path, workers: int) -> None:
        self.emulator, self._workers = emulator, workers
        self.lake = Lake.of(folder, Portal(emulator.url).slug)
        # One request is the catalog's, and some are kept back.
        self.most = emulator.quota.limit - margin(emulator.quota.limit)
        self.datasets_a_day = (self.most - 1) // PER_DATASET
        self.outcomes: list[Outcome] = []

    def sync(self) -> int:
        """Sync on the next day; the exit status."""
        self.emulator.pass_time(days=1)
        self.emulator.requests.clear()
        options = Options(workers=self._workers)
        context = RunContext(Portal(self.emulator.url, max_wait=0), self.lake, options)
        self.outcomes = Run(context, None)()
        # So there was no 429 either. What is kept back pays for repeats over a broken connection,
        # and for what else a second attempt asks.
        requests = self.emulator.requests
        distinct = {(request.path, request.pairs) for request in requests}
        repeated = len(requests) - len(distinct)
        assert len(distinct) <= self.most + repeated, sorted(map(str, distinct))
        assert len(requests) <= self.emulator.quota.limit
        return exit_status(self.outcomes)

    def of(self, action: str) -> set[str]:
        """Datasets of which this became in the last sync."""
        return {outcome.dataset_id for outcome in self.outcomes if outcome.action == action}

    def waiting(self) -> list[str]:
        """All datasets, those fetched longest ago first, and those never fetched before them."""
        fetched = {name: told.fetched_at for name, told in self.lake.receipts("records").items()}
        names = [dataset.dataset_id for dataset in self.emulator.state.datasets()]
        return sorted(names, key=lambda name: (fetched.get(name, ""), name))


@contextmanager
def days(folder: Path, patch: pytest.MonkeyPatch, quota: int, workers: int = 4) -> Iterator[Days]:
    """Days that pass for the portal, for the client's quota and for what is written down."""
    with Emulator(sample=False, quota=quota) as emulator:
        # Whatever the hour, a simulated day does not end within a sync.
        emulator.pass_time(seconds=-(time.time() % 86_400) + 3600)

        class Today(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> Today:
                return cls.fromtimestamp(emulator.quota_clock(), tz or UTC)

        def client(*who: Any, **given: Any) -> Client:
            return Client(*who, **{**given, "now": emulator.quota_clock})

        patch.setattr(portals, "Client", client)
        patch.setattr(landing, "datetime", Today)
        yield Days(emulator, folder, workers)


def test_each_day_lands_as_much_as_the_quota_allows_until_all_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, landed = 150, set[str]()
    with days(tmp_path, monkeypatch, quota=60) as portal:
        portal.emulator.make_up(count, rows=1)
        # Datasets under way at once set more aside than they need in the end.
        least = portal.datasets_a_day - 4
        while portal.sync() == DEFERRED:
            today = portal.of("landed")
            assert not today & landed, "what is landed is not fetched again before the rest"
            landed |= today
            assert len(portal.of("deferred")) == count - len(landed)
            assert least <= len(today) <= portal.datasets_a_day
        assert len(landed | portal.of("landed")) == count
        assert exit_status(portal.outcomes) == 0
        assert portal.sync() == 0
        assert len(portal.emulator.requests) == 1


def test_where_everything_changes_every_day_nothing_waits_longer_than_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"d{number:02}" for number in range(20)]
    with days(tmp_path, monkeypatch, quota=24, workers=1) as portal:
        for day in range(8):
            for name in names:
                portal.emulator.publish(name, FIELDS, rows(1 + day))
            waiting = portal.waiting()
            assert portal.sync() == DEFERRED
            today = portal.of("landed")
            assert today == set(waiting[: len(today)])
            assert len(today) >= portal.datasets_a_day - 1
            if day == 5:
                names.append("newcomer")
            assert ("newcomer" in today) == (day == 6)
