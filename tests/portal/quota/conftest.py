"""A portal with a quota of 100 requests a day."""

import time
from collections.abc import Iterator

import pytest

from ods_pipeline.emulator import Emulator


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(sample=False, quota=100) as running:
        # Whatever the hour, today's quota does not end within this test.
        running.pass_time(seconds=-(time.time() % 86_400) + 3600)
        running.ration(100)
        running.publish("d", fields=[{"name": "a", "type": "int"}], records=[{"a": 1}])
        yield running
