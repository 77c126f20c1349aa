"""Work done ahead: in order, bounded, and over when whoever takes the results leaves."""

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ods_pipeline.tables.batches import map_ahead


@given(st.lists(st.integers(), max_size=20), st.integers(1, 4))
def test_results_come_in_the_order_of_the_items(items: list[int], most: int) -> None:
    assert list(map_ahead(lambda item: item * 2, items, most)) == [item * 2 for item in items]


def test_a_single_item_begins_no_thread() -> None:
    assert list(map_ahead(lambda item: threading.current_thread(), [1])) == [
        threading.current_thread()
    ]


def test_items_are_taken_by_whoever_takes_the_results_and_worked_on_elsewhere() -> None:
    takers = []

    def items() -> Iterator[int]:
        for number in range(3):
            takers.append(threading.current_thread())
            yield number

    workers = set(map_ahead(lambda item: threading.current_thread(), items()))
    assert set(takers) == {threading.current_thread()}
    assert threading.current_thread() not in workers


def test_no_more_items_are_taken_than_can_be_worked_on_soon() -> None:
    taken = []

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    results = map_ahead(lambda item: item, items(), most=2)
    assert next(results) == 0
    assert len(taken) <= 4


def test_the_first_failure_ends_it() -> None:
    results = map_ahead(lambda item: 1 // item, [1, 1, 0, 1])
    with pytest.raises(ZeroDivisionError):
        list(results)
    assert not list(results)


def test_leaving_early_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    results = map_ahead(lambda item: item, range(100))
    next(results)
    results.close()
    assert threading.active_count() == before
