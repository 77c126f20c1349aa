"""No identifier leads to another page of the portal, and no number is anything but a number."""

from collections.abc import Iterator
from typing import Any

import pytest

from ods_pipeline.emulator import Emulator
from ods_pipeline.errors import ConfigurationError
from ods_pipeline.portal.portal import Portal
from tests.desk import FIELDS, rows


@pytest.fixture(scope="module")
def served() -> Iterator[Emulator]:
    with Emulator(sample=False) as emulator:
        emulator.publish("roads", FIELDS, rows(5), {"title": "Roads"})
        yield emulator


@pytest.mark.parametrize("name", ["", ".", "..", "../..", "a/../b", "..\\x"])
def test_an_identifier_of_another_page_is_refused_before_anything_is_asked(
    served: Emulator, name: str
) -> None:
    portal = Portal(served.url, pause=0)
    served.requests.clear()
    for ask, what in (
        (lambda: portal.record("roads", name), "record"),
        (lambda: portal.record(name, "x"), "dataset"),
        (lambda: portal.metadata(name), "dataset"),
        (lambda: portal.dataset(name), "dataset"),
        (lambda: portal.query(name), "dataset"),
        (lambda: portal.export("roads", name), "format"),
        (lambda: portal.catalog_export(name), "format"),
    ):
        with pytest.raises(ConfigurationError, match=f"names no {what}: it would lead"):
            ask()
    assert not served.requests


@pytest.mark.parametrize("value", ["5", 5.0, True, [5]])
def test_a_number_of_rows_is_a_whole_number(served: Emulator, value: Any) -> None:
    portal = Portal(served.url, pause=0)
    served.requests.clear()
    for ask in (portal.query, portal.records):
        with pytest.raises(ConfigurationError, match=r"limit is .*: give a whole number"):
            ask("roads", limit=value)
    with pytest.raises(ConfigurationError, match=r"offset is .*: give a whole number"):
        portal.query("roads", offset=value)
    with pytest.raises(ConfigurationError, match=r"limit is .*: give a whole number"):
        portal.search("roads", limit=value)
    assert not served.requests
