"""What is known of a quota, however replies overtake each other; no files and no HTTP."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ods_pipeline.portal.quota import rules
from ods_pipeline.portal.quota.headers import Refusal, StatedWindow
from ods_pipeline.portal.quota.rules import Full, Spent, margin
from ods_pipeline.portal.quota.state import Lease, State, Window

NOW = 1_000_000.0
RESET = NOW + 3600
THREADS = 4


def hold(left: int = 0, dataset: str = "", *, process: int = 1, place: bool = False) -> Lease:
    return Lease("host", process, NOW + 900, dataset, left, place=place)


def everyone(_: Lease) -> bool:
    return True


@pytest.mark.parametrize(
    ("limit", "kept"),
    [(None, 0), (0, 0), (1, 0), (4, 2), (10, 5), (100, 5), (1000, 50), (15_000, 100), (10**9, 100)],
)
def test_a_margin_is_kept_of_small_quotas_and_of_large_ones(limit: int | None, kept: int) -> None:
    assert margin(limit) == kept


@settings(max_examples=60)
@given(st.integers(1, 30), st.lists(st.integers(0, THREADS - 1).map(str), max_size=80))
def test_no_more_is_believed_to_be_left_than_there_is(limit: int, steps: list[str]) -> None:
    """Requests are sent, counted by the portal and answered in any order, by several threads."""
    state, counted = State(), 0
    asked: dict[str, int] = {}
    stated: dict[str, int] = {}
    for thread in steps:
        if thread not in asked:
            state, verdict = rules.sending(state, thread, hold(), "")
            if isinstance(verdict, Spent):
                # As many less may be believed to be left as replies can overtake each other.
                assert state.sent >= limit - THREADS
            else:
                asked[thread] = verdict[0]
        elif thread not in stated:
            counted += 1
            stated[thread] = limit - counted
        else:
            number, window = asked.pop(thread), StatedWindow(stated.pop(thread), limit, RESET)
            state = rules.landed(state, thread)
            if window.remaining >= 0:
                state = rules.on_response(state, number, "", (window, None), NOW)
        if state.window:
            # Off by as many replies as can overtake each other; the margin is wider.
            assert state.window.remaining <= max(limit - state.sent, 0) + THREADS
    assert state.window is None or state.sent <= limit + 2 * THREADS


def test_a_reply_that_was_overtaken_changes_nothing() -> None:
    state = State(sent=9)
    state = rules.on_response(state, 9, "", (StatedWindow(50, 100, RESET), None), NOW)
    assert rules.on_response(state, 3, "", (StatedWindow(56, 100, RESET), None), NOW) == state


def test_a_reply_of_yesterday_says_nothing_of_today() -> None:
    today = State(sent=9, window=Window(99, 8, RESET, 100, RESET))
    yesterday = StatedWindow(0, 100, NOW - 5)
    assert rules.on_response(today, 9, "", (yesterday, None), NOW) == today
    assert rules.on_response(State(sent=1), 1, "", (yesterday, None), NOW).window is None


def test_the_next_window_counts_at_once() -> None:
    known = State(sent=9, window=Window(0, 9, RESET, 100, RESET))
    found = rules.on_response(
        known, 8, "", (StatedWindow(99, 100, RESET + 86_400), None), NOW
    ).window
    assert found
    assert found.remaining == 98


def test_what_is_over_is_swept_away() -> None:
    state = State(
        5,
        Window(0, 1, NOW, 100, NOW),
        {"d": Window(0, 1, NOW - 1), "e": Window(0, 1, NOW + 1)},
        {},
        {"dead": hold(process=2), "late": replace(hold(), until=NOW), "here": hold()},
    )
    state = rules.refused(state, Refusal(reset=NOW + 1), "d", NOW)
    found = rules.expire(state, NOW + 1, lambda one: one.process == 1)
    assert (found.window, found.datasets, found.closed) == (None, {}, {})
    assert set(found.holds) == {"here"}
    again = rules.expire(state, NOW, everyone)
    assert (set(again.datasets), set(again.closed)) == ({"e"}, {"d"})


def test_places_are_bounded_by_the_pace_and_by_the_most() -> None:
    state = State()
    for number, most in ((1, 8), (2, 8), (3, 8), (4, 8)):
        state, verdict = rules.admitted(state, f"t{number}", hold(1, place=True), most)
        assert verdict is None
    assert isinstance(rules.admitted(state, "t5", hold(1, place=True), 8)[1], Full)
    assert isinstance(rules.admitted(State(), "t", hold(1, place=True), 0)[1], None | Full)
    freed = rules.released(state, "t2")
    assert rules.admitted(freed, "t5", hold(1, place=True), 8)[1] is None


@given(
    st.lists(st.tuples(st.integers(1, 40), st.sampled_from(["", "d", "e"])), max_size=12),
    st.integers(0, 100),
)
def test_what_is_set_aside_never_exceeds_what_is_left(
    wishes: list[tuple[int, str]], remaining: int
) -> None:
    window = Window(remaining, 1, RESET, 100, RESET)
    state = State(1, window, {"d": Window(9, 1, RESET, None, RESET)})
    for number, (requests, dataset) in enumerate(wishes):
        wants = hold(requests, dataset, place=True)
        state, _ = rules.admitted(state, f"t{number}", wants, 100)
    holds = state.holds.values()
    assert sum(one.left for one in holds) <= max(remaining - margin(100), 0)
    assert sum(one.left for one in holds if one.dataset == "d") <= 9


def test_only_so_many_datasets_are_remembered_those_with_least_left() -> None:
    state = State(sent=500)
    for number in range(300):
        stated = StatedWindow(1000 - number, 1000, RESET)
        state = rules.on_response(state, number, f"d{number}", (None, stated), NOW)
    assert set(state.datasets) == {f"d{number}" for number in range(200, 300)}
