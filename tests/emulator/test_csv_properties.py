"""Whatever the texts, Python's csv module reads the export back."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ods_pipeline.emulator import Emulator
from tests.emulator.asking import ask

FIELDS = [{"name": name, "type": "text"} for name in ("a", "b")]
AWKWARD = st.sampled_from(["", ";", '"', "\r", "\n", ",", "\t", "|", "é", "x y", "😀", "'", "\\"])
TEXT = (
    st.none()
    | st.lists(AWKWARD, max_size=6).map("".join)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
)
ROWS = st.lists(st.fixed_dictionaries({"a": TEXT, "b": TEXT}), max_size=6)


@pytest.fixture(scope="module")
def empty() -> Iterator[Emulator]:
    with Emulator(sample=False, quota=10**9) as portal:
        yield portal


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=ROWS, delimiter=st.sampled_from(";,\t|"), quote_all=st.booleans())
def test_any_text_survives_the_csv(
    empty: Emulator, rows: list[dict[str, str | None]], delimiter: str, quote_all: bool
) -> None:
    empty.publish("texts", fields=FIELDS, records=rows)
    params = {"delimiter": delimiter, "quote_all": str(quote_all).lower()}
    text = ask(empty, "texts", "exports/csv", **params).content.decode("utf-8-sig")
    found = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    assert found == [["a", "b"], *([row["a"] or "", row["b"] or ""] for row in rows)]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=st.lists(st.fixed_dictionaries({"a": TEXT}), max_size=6))
def test_a_lone_column_keeps_its_empty_cells(
    empty: Emulator, rows: list[dict[str, str | None]]
) -> None:
    empty.publish("texts", fields=FIELDS[:1], records=rows)
    text = ask(empty, "texts", "exports/csv").content.decode("utf-8-sig")
    found = list(csv.reader(io.StringIO(text, newline=""), delimiter=";"))
    assert found == [["a"], *([row["a"] or ""] for row in rows)]


@settings(max_examples=40, deadline=None)
@given(values=st.lists(st.integers(-(2**63), 2**63 - 1) | st.none(), max_size=5))
def test_integers_are_exact_in_csv_and_json(empty: Emulator, values: list[int | None]) -> None:
    records = [{"n": value, "t": "x"} for value in values]
    fields = [{"name": "n", "type": "int"}, {"name": "t", "type": "text"}]
    empty.publish("numbers", fields=fields, records=records)
    lines = ask(empty, "numbers", "exports/csv").content.decode("utf-8-sig").split("\r\n")[1:-1]
    assert [line.split(";")[0] for line in lines] == ["" if v is None else str(v) for v in values]
    assert ask(empty, "numbers", "exports/json").json() == records


@settings(max_examples=40, deadline=None)
@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_floats_are_exact_in_csv_and_json(empty: Emulator, value: float) -> None:
    fields = [{"name": "x", "type": "double"}]
    empty.publish("numbers", fields=fields, records=[{"x": value}])
    text = ask(empty, "numbers", "exports/csv").content.decode("utf-8-sig")
    assert float(text.split("\r\n")[1]) == value
    assert ask(empty, "numbers", "exports/json").json() == [{"x": value}]
