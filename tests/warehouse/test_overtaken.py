"""When a table has newer data than a landed file: decided by dates alone."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ods_pipeline.warehouse.table_state import overtaken

NEWER, OLDER = "2026-03-01T00:00:00+00:00", "2026-02-01T00:00:00+00:00"
LOADED = datetime(2026, 4, 1, 12, 0, 0, 400_000, UTC)


def before(**ago: float) -> str:
    """When rows were fetched, as receipts have it: in whole seconds."""
    return (LOADED - timedelta(**ago)).isoformat(timespec="seconds")


def test_older_data_that_were_fetched_before_the_load_are_overtaken() -> None:
    assert overtaken(NEWER, OLDER, LOADED, before(hours=1))
    assert not overtaken(OLDER, NEWER, LOADED, before(hours=1))


@given(st.floats(-86_400, 0.4))
def test_older_data_that_were_fetched_since_are_what_the_portal_has_now(ago: float) -> None:
    """Within the second of the load as well, which a receipt does not tell from before it."""
    assert not overtaken(NEWER, OLDER, LOADED, before(seconds=ago))


def test_what_nobody_knows_overtakes_nothing() -> None:
    assert not overtaken("", OLDER, LOADED, before(hours=1))
    assert not overtaken(NEWER, OLDER, None, before(hours=1))
    assert not overtaken(NEWER, OLDER, LOADED, "")
