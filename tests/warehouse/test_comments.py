"""What is held: the table `_held`, and the mark in the comment of every table that is held."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ods_pipeline.lake.lake import Lake
from ods_pipeline.warehouse import Warehouse, open_warehouse
from ods_pipeline.warehouse.comments import mark, marked
from tests.warehouse.holds import WITHDRAWN, held_list
from tests.warehouse.partitions import PORTAL, SCHEMA

Ask = Callable[..., list[tuple[object, ...]]]
HELD = f'"{SCHEMA}"._held'
COMMENT = "SELECT comment FROM duckdb_tables() WHERE table_name = 'velos'"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.of(tmp_path, PORTAL)


def test_nothing_is_written_when_nothing_changed(
    database: Path, lake: Lake, velos: Path, warehouse: Warehouse
) -> None:
    held = held_list(lake, WITHDRAWN)
    warehouse.load_holds(held)
    warehouse.close()
    before = database.stat().st_mtime_ns
    with open_warehouse(f"duckdb:///{database}") as again:
        assert again.load_holds(held).action == "unchanged"
        assert again.load(velos, verdict="").action == "unchanged"
    assert database.stat().st_mtime_ns == before


@given(st.text(max_size=30) | st.text(". :\n\0", max_size=8), st.text(max_size=30))
def test_a_mark_is_one_sentence_that_comes_and_goes_and_leaves_the_comment(
    reason: str, comment: str
) -> None:
    comment = comment.strip()
    led = marked(comment, mark("2026-11-22", reason))
    assert led.startswith("HELD since 2026-11-22: ")
    assert marked(led, mark("", "another")) == marked(comment, mark("", "another"))
    assert marked(marked(led, mark("", "another")), "") == comment


def test_a_day_that_is_not_known_is_said_to_be_unknown() -> None:
    assert marked("Vélos", mark("", "")) == "HELD since an unknown day: . Vélos"
