"""The sample portal kept in a bucket, as users do it: by commands, and read in Python and SQL."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

import ods_pipeline
from ods_pipeline.emulator import Emulator
from tests import person
from tests.lake.bucket.clouds import Cloud

pytestmark = pytest.mark.servers

Typed = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def portal() -> Iterator[Emulator]:
    with Emulator() as sample:
        yield sample


@pytest.fixture
def typed(settings: dict[str, str], tmp_path: Path, portal: Emulator) -> Typed:
    def run(*words: str, **others: str) -> subprocess.CompletedProcess[str]:
        return person.typed(tmp_path, *words, **{**settings, "ODS_PORTAL": portal.url, **others})

    return run


def test_the_sample_portal_is_landed_loaded_proven_and_read(
    typed: Typed, address: str, tmp_path: Path
) -> None:
    looked = typed("doctor")
    assert looked.returncode == 0, looked.stdout
    assert f"ok   lake: {address}/lake/" in looked.stdout
    landed = typed("sync")
    assert landed.returncode == 0, landed.stdout + landed.stderr
    assert ": 12 landed, 2 skipped; " in landed.stdout
    assert ": 12 unchanged, 2 skipped; 1 request, " in typed("sync").stdout
    proven = typed("verify")
    assert (proven.returncode, proven.stdout[:14]) == (0, "13 partitions,")
    assert proven.stdout.endswith(" 0 damaged\n")
    lake = ods_pipeline.Lake(address)
    datasets = lake.datasets()
    assert len(datasets) == 12
    with duckdb.connect(tmp_path / "warehouse.duckdb", read_only=True) as warehouse:
        for dataset in datasets:
            table = f'"{dataset.portal.replace(".", "_")}"."{dataset.dataset_id}"'
            ((loaded,),) = warehouse.execute(f"SELECT count(*) FROM {table}").fetchall()
            assert loaded == dataset.rows == lake.table(dataset.dataset_id).num_rows


def test_wrong_credentials_are_one_sentence_and_a_status(cloud: Cloud, typed: Typed) -> None:
    name, secret = cloud.wrong
    for word in ("doctor", "sync", "plan", "verify"):
        done = typed(word, **{name: secret})
        assert done.returncode == 1
        said = done.stdout + done.stderr
        assert said.count("see whether the credentials in the environment") == 1
        assert secret not in said
