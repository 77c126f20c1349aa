"""Quoting, proven by what a portal finds with it."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ods_pipeline.emulator import Emulator
from ods_pipeline.errors import ConfigurationError
from ods_pipeline.portal.portal import Portal
from ods_pipeline.portal.query import quoted_field, quoted_text

LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0\x1f")
TEXT = st.text(LETTERS, min_size=1)
AWKWARD = st.sampled_from(['"', "\\", '\\"', "'", "a' OR 1=1", '" OR "" = "', "`", "%", "\\\\"])


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(sample=False, quota=10**9) as running:
        yield running


@settings(deadline=None, max_examples=60)
@given(TEXT | AWKWARD, st.sampled_from(["name", "12", "select", "where", "year", "date_format"]))
def test_a_quoted_value_finds_that_value_and_no_other(
    emulator: Emulator, value: str, field: str
) -> None:
    others = [f"{value}x", f"x{value}", "other"]
    records = [{field: text} for text in (value, *others)]
    emulator.publish("d", fields=[{"name": field, "type": "text"}], records=records)
    where = f"{quoted_field(field)} = {quoted_text(value)}"
    found = Portal(emulator.url).records("d", "csv", where=where)
    assert found.column(field).to_pylist() == [value]


def test_what_odsql_cannot_hold_is_refused_before_it_is_sent() -> None:
    with pytest.raises(ConfigurationError, match="backquote"):
        quoted_field("a`b")
    for text in ("a\nb", "a\rb"):
        with pytest.raises(ConfigurationError, match="line break"):
            quoted_text(text)
