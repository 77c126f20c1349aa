"""A data folder that an earlier version wrote is taken over as it is: nothing is fetched again."""

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ods_pipeline.cli.main import cli
from ods_pipeline.emulator import Emulator

WRITTEN = Path(__file__).parents[1] / "fixtures" / "landed_by_61b1fb0"
ADDRESS = "http://portal.test"
# Or the day comes on which the content of the datasets is to be compared with the portal's.
TRUSTING = ("--max-trust-days", "36500")
LANDED = {
    "Places-d'été": 4,
    "cities": 5,
    "cities__features": 5,
    "communes": 7,
    "communes__features": 7,
    "shrinks": 20,
    "leaves": 3,
    "closes": 4,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the data folder that commit 61b1fb0 wrote."""
    return Path(shutil.copytree(WRITTEN, tmp_path / "data"))


@pytest.fixture
def portal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """The portal as that commit saw it last, under the same name at whatever port is free."""
    resolve = socket.getaddrinfo
    with Emulator(sample=False) as emulator:
        port = int(emulator.url.rsplit(":", 1)[1])

        def resolved(host: Any, wanted: Any, *rest: Any, **more: Any) -> Any:
            if host == "portal.test":
                host, wanted = "127.0.0.1", port
            return resolve(host, wanted, *rest, **more)

        monkeypatch.setattr(socket, "getaddrinfo", resolved)
        for document in json.loads((WRITTEN / "catalog.json").read_text("utf-8")):
            parts = ("dataset_uid", "has_records", "data_visible")
            emulator.publish(
                document["dataset_id"],
                fields=document["fields"],
                metas=document["metas"]["default"],
                **{part: document[part] for part in parts},
            )
        yield emulator


def typed(folder: Path, *words: str) -> int:
    """Run a command in this process, where the portal's name is known; give its exit status."""
    try:
        cli(["--portal", ADDRESS, "--data-dir", str(folder), *words], standalone_mode=False)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def tables(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Each table of the warehouse, its rows in the order in which they lie there."""
    with duckdb.connect(folder / "warehouse.duckdb", read_only=True) as connection:
        names = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'portal_test'"
        ).fetchall()
        return {
            name: connection.execute(f'SELECT * FROM portal_test."{name}"').fetchall()
            for (name,) in names
        }


def files(folder: Path) -> dict[str, bytes]:
    """The landed files, without the lists that only save the reading of them."""
    return {path.name: path.read_bytes() for path in folder.rglob("*.parquet")}


def test_what_an_earlier_version_landed_is_taken_over_without_a_fetch(
    folder: Path, portal: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    before, there = tables(folder), files(folder)
    assert {name: len(before[name]) for name in LANDED} == LANDED
    assert typed(folder, "sync", "--features", "--json", *TRUSTING) == 1, "for what is held"
    summary = json.loads(capsys.readouterr().out)
    became = {(item["dataset_id"], item["action"]) for item in summary["datasets"]}
    assert became == {
        ("Places-d'été", "unchanged"),
        ("cities", "unchanged"),
        ("communes", "unchanged"),
        ("shrinks", "held"),
        ("leaves", "held"),
        ("closes", "held"),
        ("empty", "skipped"),
        ("hidden", "skipped"),
        ("files", "skipped"),
    }
    assert len(summary["datasets"]) == 11, "two of them as layers too"
    (asked,) = portal.requests
    assert asked.path.startswith("/api/explore/v2.1/catalog/exports/")
    assert files(folder) == there
    after = tables(folder)
    assert after["_loads"] == before["_loads"], "nothing was loaded again"
    assert after == before


def test_the_next_plan_and_the_next_run_find_nothing_to_do_either(
    folder: Path, portal: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(folder, "sync", "--features", *TRUSTING)
    portal.requests.clear()
    typed(folder, "plan", "--features", *TRUSTING)
    typed(folder, "sync", "--features", *TRUSTING)
    assert len(portal.requests) == 2, "each reads the catalog"


def test_what_an_earlier_version_landed_is_proven_as_it_is(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(folder, "verify") == 0
    assert capsys.readouterr().out == "10 partitions, 67 rows, 0 damaged\n"


def test_a_dataset_that_moves_on_is_fetched_alone(
    folder: Path, portal: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    towns = [{"code": "1", "people": 1}]
    portal.publish("cities", records=towns * 6)
    assert typed(folder, "sync", "--json", *TRUSTING) == 1, "for what is held"
    summary = json.loads(capsys.readouterr().out)
    landed = [item for item in summary["datasets"] if item["action"] == "landed"]
    assert [(item["dataset_id"], item["rows"]) for item in landed] == [("cities", 6)]
    loads, before = (tables(there)["_loads"] for there in (folder, WRITTEN))
    assert [load[: len(before[0])] for load in loads[: len(before)]] == before
