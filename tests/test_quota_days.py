"""A portal of 300 datasets and a quota of 100 requests a day: day after day, until all is there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ods_pipeline.emulator import Emulator
from ods_pipeline.lane import RECORDS
from ods_pipeline.outcome import Outcome, exit_status
from ods_pipeline.portal import portal as portals
from ods_pipeline.portal.client import Client
from ods_pipeline.portal.portal import Portal
from ods_pipeline.portal.quota.decisions import margin
from ods_pipeline.sync import Options, Run
from ods_pipeline.tables.lake import Lake

DATASETS, QUOTA, PER_DATASET = 300, 100, 3
# Of each day's requests one is the catalog's, and some are kept back.
A_DAY = (QUOTA - margin(QUOTA) - 1) // PER_DATASET
DEFERRED = 3


class Days:
    """A portal, and somebody who syncs it once a day."""

    def __init__(self, emulator: Emulator, folder: Path) -> None:
        self.emulator = emulator
        self.lake = Lake.of(folder, Portal(emulator.url).slug)
        self.outcomes: list[Outcome] = []

    def sync(self) -> int:
        """Sync on the next day; the exit status."""
        self.emulator.pass_time(days=1)
        self.emulator.requests.clear()
        self.outcomes = Run(Portal(self.emulator.url, patience=0), self.lake, None, Options())()
        assert len(self.emulator.requests) <= QUOTA - margin(QUOTA) + PER_DATASET
        return exit_status(self.outcomes)

    def of(self, action: str) -> list[str]:
        """Datasets of which this became in the last sync."""
        return [outcome.dataset_id for outcome in self.outcomes if outcome.action == action]

    def fetched(self) -> dict[str, str]:
        """When each dataset was fetched last."""
        return {name: told.fetched_at for name, told in self.lake.receipts("records").items()}


@pytest.fixture
def days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Days]:
    with Emulator(sample=False, quota=QUOTA) as emulator:
        emulator.make_up(DATASETS, rows=1)
        # Whatever the hour, a simulated day does not end within a sync.
        emulator.pass_time(seconds=-(time.time() % 86_400) + 3600)

        def client(*who: Any, **given: Any) -> Client:
            return Client(*who, **{**given, "now": emulator.quota_clock})

        monkeypatch.setattr(portals, "Client", client)
        yield Days(emulator, tmp_path)


def test_day_after_day_as_much_is_landed_as_the_quota_allows_until_all_is_there(
    days: Days,
) -> None:
    assert RECORDS.requests >= PER_DATASET
    landed: set[str] = set()
    for day in range(1, DATASETS):
        status = days.sync()
        today = set(days.of("landed"))
        assert not today & landed, "what is landed is not fetched again before the rest"
        landed |= today
        if len(landed) == DATASETS:
            break
        assert status == DEFERRED
        assert len(days.of("deferred")) == DATASETS - len(landed)
        assert len(today) == pytest.approx(A_DAY, abs=3), f"day {day}"
        assert "429" not in {str(outcome.reason)[:3] for outcome in days.outcomes}
    assert status == 0
    assert day == pytest.approx(DATASETS / A_DAY, abs=1)
    assert days.sync() == 0
    assert len(days.emulator.requests) == 1
