"""A dataset that is held, as tests of warehouses have it."""

from __future__ import annotations

from pathlib import Path

from ods_pipeline.lake.holds import Hold, update_holds
from ods_pipeline.lake.lake import Lake

SINCE = "2026-11-22T23:59:00+00:00"
LED = "HELD since 2026-11-22: the portal no longer lists it. Vélos"
WITHDRAWN = Hold("velos", "records", "withdrawn", "the portal no longer lists it", SINCE, 1, "s")


def held_list(lake: Lake, *holds: Hold) -> Path:
    """Write the list of holds of a lake."""
    update_holds(lake, {hold.key: hold for hold in holds})
    return lake.holds_file
