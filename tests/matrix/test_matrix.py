"""Every fault in every lane, for once and for ever: right data, or a failure that is told.

A failure leaves lake and warehouse as they were, says why in one sentence, and once the fault is
gone the next run has everything right.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ods_pipeline.portal import portal
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.http.trickle import Slowest
from tests.matrix.cells import EITHER, RIGHT, SAID, STALLED, Cell
from tests.matrix.desk import KEY, Desk, Ended, Portals
from tests.matrix.faulty_answers import ANSWERS
from tests.matrix.faulty_rows import ROWS
from tests.matrix.towns import published, records

OLD = published(records(1))
#: Lanes in which a run without the fault follows upon each failure; their runs are the cheapest.
RECOVERING = ("csv", "wfs2")
DEFERRED = 3


@pytest.fixture(scope="module")
def portals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portals]:
    kept = Portals(tmp_path_factory.mktemp("matrix"))
    yield kept
    kept.close()


@pytest.fixture
def bounds(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """How long a run waits, put in at the one place where it begins its conversation."""
    chosen: dict[str, Any] = {"attempts": 2, "pause": 0.01, "max_wait": 1}

    def client(*who: Any, **given: Any) -> Client:
        return Client(*who, **{**given, **chosen})

    monkeypatch.setattr(portal, "Client", client)
    return chosen


@pytest.mark.parametrize("cell", [*ROWS, *ANSWERS], ids=lambda cell: cell.id)
def test_no_fault_is_silent(
    cell: Cell,
    portals: Portals,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    bounds: dict[str, Any],
) -> None:
    if cell.fault and cell.fault.kind == "stall":
        bounds["read_timeout"] = STALLED / 2
    if cell.fault and cell.fault.kind == "slow":
        bounds["slowest"] = Slowest(rate=1000, seconds=0.3)
    with portals.desk(cell.lane, tmp_path / "data", capsys) as desk:
        if cell.publish:
            desk.publish(2)
        desk.truths += [published(records(version)) for version in cell.truths]
        cell.before(desk)
        if cell.fault:
            desk.emulator.fail(cell.match, cell.fault, cell.times)
        ended = desk.sync(cell.lane, *cell.words)
        assert bool(desk.emulator.faults.used) == bool(cell.fault), "the fault was never met"
        end = judged(desk, cell, ended)
        assert cell.end in {end, EITHER}, f"{end}: {ended}"
        if end == SAID and cell.lane.name in RECOVERING and desk.shown:
            desk.emulator.faults.clear()
            again = desk.sync(cell.lane)
            if "still refused" in again.reason or "cannot be known" in again.reason:
                # Remembered until the portal's stamp moves, or somebody asks for all of it.
                again = desk.sync(cell.lane, "--full")
            # A quota that is spent is spent for the next run as well.
            assert judged(desk, cell, again) == RIGHT or again.status == DEFERRED, again


def judged(desk: Desk, cell: Cell, ended: Ended) -> str:
    """Whether a run ended in right data or in a failure that is told; anything else is silent."""
    assert "Traceback" not in ended.said
    assert "mistake of ours" not in ended.said
    assert KEY not in ended.said
    lake, warehouse = desk.landed(cell.lane)
    if ended.good and not (ended.kept and not desk.shown):
        assert lake in desk.truths, f"silent, in the lake: {ended}"
        assert warehouse == lake, f"silent, in the warehouse: {ended}"
        return RIGHT
    assert ended.good or ended.action in {"failed", "deferred", "held", ""}, ended
    assert ended.status in {0, 1, 2, 3}
    assert ended.reason, "not a word of why"
    assert "\n" not in ended.reason
    assert lake == OLD, f"the old data are gone from the lake: {ended}"
    assert warehouse == OLD, f"the old data are gone from the warehouse: {ended}"
    return RIGHT if ended.good else SAID
