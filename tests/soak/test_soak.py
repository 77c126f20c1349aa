"""The soak in small: bad weather, edits, kills and several processes lose nothing."""

from pathlib import Path

import pytest

from tests.soak.run import Size, soak


@pytest.mark.timeout(1200)
def test_processes_that_share_a_folder_in_bad_weather_lose_and_double_nothing(
    tmp_path: Path,
) -> None:
    size = Size(
        datasets=20, rounds=2, processes=3, edits=10, rows=3, pause=0.01, fresh=False, dying=0.05
    )
    told: list[str] = []
    done = soak(size, tmp_path, told.append)
    assert not done.problems, "\n".join([*done.problems, *told])
    assert done.strikes
    assert done.kills
