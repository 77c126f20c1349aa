"""A login as a value: what is written is read back, and what is no login is none."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ods_pipeline import redaction
from ods_pipeline.portal.auth.grant import Grant


@pytest.fixture(scope="module", autouse=True)
def nothing_learnt() -> Iterator[None]:
    """Hypothesis tries words of ours as tokens, which then would be missing in other messages."""
    before = list(redaction._TEMPORARY)
    yield
    redaction._TEMPORARY.clear()
    redaction._TEMPORARY.update(dict.fromkeys(before))


TEXT = st.text(min_size=8)
TOKENS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=8)
TIMES = st.floats(min_value=0, max_value=1e11, exclude_max=True)
GRANTS = st.builds(
    Grant,
    portal=TEXT,
    client_id=TEXT,
    access_token=TOKENS,
    refresh_token=TOKENS,
    obtained_at=TIMES,
    expires_at=st.none() | TIMES,
    scope=st.text(),
    client_auth=st.sampled_from(["body", "basic"]),
    generation=st.integers(min_value=0, max_value=10**9),
    pending=st.none() | TIMES,
    pending_by=st.text(),
    refused=st.text(),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(GRANTS)
def test_what_is_kept_is_read_back(grant: Grant) -> None:
    assert Grant.parse(grant.dump()) == grant


@given(GRANTS)
def test_a_login_never_shows_its_tokens(grant: Grant) -> None:
    # Not a search for the token: a time may hold "00000000" too, which hypothesis draws.
    others = replace(grant, access_token="another access", refresh_token="another refresh")
    assert repr(grant) == repr(others)


@given(GRANTS, st.data())
def test_a_record_cut_anywhere_is_none(grant: Grant, data: st.DataObject) -> None:
    whole = grant.dump()
    cut = data.draw(st.integers(min_value=0, max_value=len(whole) - 1))
    with pytest.raises(ValueError, match="no record of a login"):
        Grant.parse(whole[:cut])


@given(GRANTS, st.data(), JSON)
def test_a_record_with_something_else_in_it_is_a_login_or_none(
    grant: Grant, data: st.DataObject, other: object
) -> None:
    known = json.loads(grant.dump())
    known[data.draw(st.sampled_from(sorted(known)))] = other
    try:
        read = Grant.parse(json.dumps(known))
    except ValueError:
        return
    assert isinstance(read.serves(0), bool)
    assert isinstance(read.access_token, str)


@pytest.mark.parametrize(
    "changes",
    [
        {"access_token": "two\nlines"},
        {"refresh_token": "\ud800"},
        {"expires_at": 1e30},
        {"expires_at": 10**400},
        {"logged_in_at": math.nan},
        {"obtained_at": math.inf},
        {"pending": -1},
        {"generation": True},
    ],
)
def test_a_record_edited_by_hand_into_nonsense_is_none(changes: dict[str, object]) -> None:
    grant = Grant("https://p.test", "app", "a-token", "r-token", 1.0, 2.0)
    with pytest.raises(ValueError, match="no record of a login"):
        Grant.parse(json.dumps({**json.loads(grant.dump()), **changes}))


def test_what_a_later_version_adds_is_left_out() -> None:
    grant = Grant("https://p.test", "app", "a-token", "r-token", 1.0)
    later = {**json.loads(grant.dump()), "colour": "blue"}
    assert Grant.parse(json.dumps(later)) == grant


@given(st.floats(min_value=1, max_value=1e6), TIMES)
def test_a_token_serves_until_a_while_before_it_runs_out(life: float, start: float) -> None:
    grant = Grant("https://p.test", "app", "a-token", "r-token", start, start + life)
    ends = start + life
    assert grant.serves(start)
    assert not grant.serves(ends)
    assert not grant.serves(ends - min(300, life / 10) + 1e-3 * life)
    assert not grant.serves(start, rejected="a-token")
    assert grant.serves(start, rejected="another")


def test_a_token_without_an_end_serves_until_it_is_refused() -> None:
    grant = Grant("https://p.test", "app", "a-token", "r-token", 1.0)
    assert grant.serves(math.inf)
    assert not grant.serves(1.0, rejected="a-token")
