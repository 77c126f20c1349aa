"""A portal in bad weather as people meet it: a fifth of its datasets are odd, for good.

What does not change is fetched once, whatever is odd about it: landed, held or refused.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ods_pipeline.emulator import Emulator, Fault
from tests.desk import FIELDS, Desk, rows

DATASETS, ODD, RUNS = 100, 20, 10


def counted_nowhere(emulator: Emulator, name: str) -> None:
    emulator.fail(f"/{name}/records", Fault.refused(), None)


def counted_otherwise(emulator: Emulator, name: str) -> None:
    counted_nowhere(emulator, name)
    emulator.lie(name, records_count=99)


def bad_value(emulator: Emulator, name: str) -> None:
    fields = [FIELDS[0], {"name": "n", "type": "text"}]
    emulator.publish(name, fields=fields, records=[{"code": "a", "n": "12.5"}])
    emulator.claim(name, "n", type="int")


def column_renamed(emulator: Emulator, name: str) -> None:
    emulator.fail(f"/{name}/exports/", Fault.column("renamed", "n"), None)


def column_more(emulator: Emulator, name: str) -> None:
    emulator.fail(f"/{name}/exports/", Fault.column("extra", "n"), None)


def parquet_lacks(emulator: Emulator, name: str) -> None:
    emulator.fail(f"/{name}/exports/parquet", Fault.column("missing", "n"), None)


def empty(emulator: Emulator, name: str) -> None:
    emulator.publish(name, fields=FIELDS, records=[])


def count_is_stale(emulator: Emulator, name: str) -> None:
    emulator.lie(name, records_count=2)


def restricted(emulator: Emulator, name: str) -> None:
    emulator.restrict(name)


def unknown_type(emulator: Emulator, name: str) -> None:
    emulator.claim(name, "code", type="vector")


ODDITIES: list[tuple[Callable[[Emulator, str], None], str]] = [
    (counted_nowhere, "landed"),
    (counted_otherwise, "held"),
    (bad_value, "failed"),
    (column_renamed, "failed"),
    (column_more, "landed"),
    (parquet_lacks, "landed"),
    (empty, "landed"),
    (count_is_stale, "landed"),
    (restricted, "skipped"),
    (unknown_type, "landed"),
]


@pytest.fixture(scope="module")
def portal() -> Iterator[Emulator]:
    with Emulator(sample=False, quota=10**6) as emulator:
        for number in range(DATASETS):
            name = f"d{number:03}"
            emulator.publish(name, fields=FIELDS, records=rows(3))
            if number < ODD:
                ODDITIES[number % len(ODDITIES)][0](emulator, name)
        yield emulator


@pytest.mark.slow
def test_of_100_datasets_with_20_oddities_nothing_is_fetched_twice_in_ten_runs(
    portal: Emulator, tmp_path: Path
) -> None:
    desk = Desk(portal, tmp_path)
    first = desk.sync()
    assert len(first) == DATASETS
    for number in range(ODD):
        oddity, end = ODDITIES[number % len(ODDITIES)]
        outcome = first[f"d{number:03}"]
        assert outcome.action == end, (oddity.__name__, outcome)
    assert {first[f"d{number:03}"].action for number in range(ODD, DATASETS)} == {"landed"}
    for _ in range(RUNS - 1):
        again = desk.sync()
        assert desk.exported == []
        assert len(portal.requests) == 1, "the catalog alone"
        for name, before in first.items():
            after = "unchanged" if before.action == "landed" else before.action
            assert again[name].action == after
            assert again[name].bytes == 0
    portal.publish("d099", records=rows(4))
    last = desk.sync()
    assert desk.exported == ["d099"]
    assert last["d099"].action == "landed"
