"""What replies say of the quota, in every spelling, and how fast a portal may be asked."""

import json
import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ods_pipeline.portal.quota import pace
from ods_pipeline.portal.quota.headers import (
    UNLIMITED,
    Refusal,
    StatedWindow,
    believed,
    count,
    moment,
    refusal,
    windows,
)
from ods_pipeline.portal.quota.pace import Pace
from ods_pipeline.portal.quota.state import Block, Lease, State, Window, dump, parse

NOW = datetime(2026, 8, 17, 12, tzinfo=UTC).timestamp()
MIDNIGHT = datetime(2026, 8, 18, tzinfo=UTC).timestamp()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(
    [
        "X-RateLimit-Remaining",
        "x-ratelimit-limit",
        "X-RATELIMIT-RESET",
        "X-RateLimit-dataset-Remaining",
        "X-RateLimit-dataset-Reset",
        "Retry-After",
    ]
)
SAID = st.dictionaries(
    st.sampled_from(["errorcode", "call_limit", "limit_time_unit", "reset_time", "error"]), JSON
)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("14762", 14762),
        (" 0 ", 0),
        (10_000, 10_000),
        ("99999999999999999999999", UNLIMITED),
        ("-3", 0),
        ("12.9", 12),
        (12.0, 12),
        ("", None),
        ("15000, 15000", None),
        ("many", None),
        ("1e5", None),
        ("٣", None),
        (True, None),
        (None, None),
        (math.nan, None),
        ([1], None),
    ],
)
def test_a_number_of_requests_is_read_or_not_stated(text: object, number: int | None) -> None:
    assert count(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "2026-08-18 00:00:00+00:00",
        "2026-08-18T00:00:00Z",
        "2026-08-18T02:00:00+02:00",
        "2026-08-18 00:00:00",
        "2026-08-18T00:00:00.000000+00:00",
        f"{MIDNIGHT:.0f}",
        int(MIDNIGHT),
        f"{MIDNIGHT:.0f}.0",
    ],
)
def test_a_reset_is_the_same_moment_in_every_spelling(text: object) -> None:
    assert moment(text) == MIDNIGHT


@pytest.mark.parametrize(
    "text", ["", "soon", "2026-08-18", "86400", "20260818", "0", "-1", "9" * 400, None, True, {}]
)
def test_what_is_no_moment_is_none(text: object) -> None:
    assert moment(text) is None


@pytest.mark.parametrize(
    ("days", "credible"),
    [(-1, False), (0, False), (1, True), (62, True), (396, True), (500, False)],
)
def test_a_reset_in_the_past_or_in_years_is_not_believed(days: int, credible: bool) -> None:
    assert (believed(NOW + days * 86_400, NOW) is not None) == credible


@given(st.dictionaries(NAMES, st.text() | st.integers().map(str)), SAID)
def test_nothing_that_a_portal_says_of_its_quota_raises(
    headers: dict[str, str], said: dict[str, object]
) -> None:
    for window in windows(headers):
        assert window is None or 0 <= window.remaining <= UNLIMITED
    found = refusal(headers, said)
    until = found.until(NOW)
    assert until is None or NOW < until <= NOW + 401 * 86_400


@given(st.text(), st.text())
def test_nothing_is_known_of_a_quota_without_a_number_left(limit: str, reset: str) -> None:
    assert windows({"X-RateLimit-Limit": limit, "X-RateLimit-Reset": reset}) == (None, None)


@given(st.integers(0, UNLIMITED), st.integers(0, UNLIMITED), st.booleans())
def test_what_is_stated_is_what_is_read(left: int, limit: int, of_dataset: bool) -> None:
    prefix = "X-RateLimit-dataset-" if of_dataset else "x-ratelimit-"
    headers = {f"{prefix}Remaining": str(left), f"{prefix}LIMIT": str(limit)}
    stated = StatedWindow(left, limit, None)
    assert windows(headers) == ((None, stated) if of_dataset else (stated, None))


def test_the_body_of_a_429_says_until_when_and_how_much() -> None:
    body = {
        "errorcode": 10002,
        "reset_time": "2026-09-01T00:00:00Z",
        "limit_time_unit": "month",
        "call_limit": 6_000_000,
        "error": "Too many requests on the domain.",
    }
    found = refusal({}, body)
    reset = datetime(2026, 9, 1, tzinfo=UTC).timestamp()
    assert found == Refusal(reset, None, 6_000_000, "month", of_portal=True)
    assert found.until(NOW) == reset


@pytest.mark.parametrize(
    ("after", "until"),
    [
        ("30", NOW + 30),
        ("0", None),
        ("Tue, 18 Aug 2026 00:00:00 GMT", MIDNIGHT),
        ("Tue, 45 Aug 2026 00:00:00 GMT", None),
        ("Tue, 18 Aug 2026", None),
        ("99999999", None),
        ("-5", None),
    ],
)
def test_a_time_to_wait_is_seconds_or_a_date(after: str, until: float | None) -> None:
    assert refusal({"retry-after": after}, {}).until(NOW) == until


@pytest.mark.parametrize(
    ("code", "portals", "datasets", "its"),
    [
        (10006, "90", "0", True),
        (10006, None, "0", True),
        (None, "0", "0", False),
        (10002, "90", "0", False),
        (10005, "90", "0", False),
        (10006, "90", "1", False),
    ],
)
def test_a_datasets_own_quota_is_told_from_the_portals(
    code: int | None, portals: str | None, datasets: str, its: bool
) -> None:
    headers = {"X-RateLimit-dataset-Remaining": datasets}
    if portals:
        headers["X-RateLimit-Remaining"] = portals
    assert refusal(headers, {"errorcode": code}).of_dataset == its


WHOLE = State(
    7,
    Window(3, 6, NOW, 100, NOW),
    {"é": Window(UNLIMITED, 2, NOW + 0.5)},
    {"": Block(NOW, 10, "day")},
    {"host:1:2": Lease("host", 1, NOW, "d", 4, 6, True)},
    Pace(2, 3, 0.25, 5),
)


def test_what_is_written_down_is_read_again() -> None:
    assert parse(dump(WHOLE)) == WHOLE
    assert parse(dump(WHOLE).ljust(4096)) == WHOLE
    assert parse(dump(State())) == State()


@given(st.integers(0, 600), st.integers(0, 600), st.binary(max_size=9))
def test_a_damaged_file_is_an_empty_one(start: int, length: int, instead: bytes) -> None:
    text = dump(WHOLE)
    found = parse(text[:start] + instead + text[start + length :])
    assert found == State() or parse(dump(found)) == found


@given(JSON)
def test_whatever_else_stands_in_the_file_it_is_an_empty_one(value: object) -> None:
    assert parse(json.dumps(value).encode()) == State()


def replies(pace_: Pace, count_: int, *, status: int = 200, seconds: float = 0.1) -> Pace:
    for number in range(1, count_ + 1):
        sent = pace_.since + number
        pace_ = pace.after(pace_, sent, sent, 8, status=status, seconds=seconds)
    return pace_


def test_good_replies_add_places_one_by_one_up_to_the_most() -> None:
    assert replies(Pace(), 8).places == 5
    assert replies(Pace(), 500).places == 8


@pytest.mark.parametrize("status", [429, 502, 503, 504, 0])
def test_the_portals_trouble_halves_the_places_and_leaves_one(status: int) -> None:
    assert [replies(Pace(8), times, status=status).places for times in range(1, 6)] == [
        4, 2, 1, 1, 1
    ]  # fmt: skip


def test_eight_requests_that_fail_together_halve_the_places_once() -> None:
    found = Pace(8)
    for number in range(1, 9):
        found = pace.after(found, number, 8, 8, status=503, seconds=0.1)
    assert found.places == 4
    assert pace.after(found, 9, 9, 8, status=503, seconds=0.1).places == 2


def test_a_first_byte_that_comes_much_later_than_usual_halves_the_places() -> None:
    usual = replies(Pace(8), 3, seconds=0.6)
    assert replies(usual, 1, seconds=2.3).places == 8
    assert replies(usual, 1, seconds=2.6).places == 4
    assert replies(Pace(8), 1, seconds=1.9).places == 8


@given(
    st.lists(
        st.tuples(st.sampled_from([200, 404, 429, 500, 503, 0]), st.floats(0, 1000)), max_size=60
    ),
    st.integers(1, 8),
)
def test_there_is_always_a_place_and_never_more_than_the_most(
    heard: list[tuple[int, float]], most: int
) -> None:
    found = Pace(most)
    for number, (status, seconds) in enumerate(heard, 1):
        found = pace.after(found, number, number + 2, most, status=status, seconds=seconds)
        assert 1 <= found.places <= most
