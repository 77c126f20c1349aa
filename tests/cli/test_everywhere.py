"""Options that every command takes, where they may stand, and what they do for cron and systemd."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import click
import pytest

from ods_pipeline.cli.main import cli
from ods_pipeline.emulator import Emulator, Fault
from tests import person
from tests.desk import FIELDS, rows

Typed = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def portal() -> Iterator[Emulator]:
    with Emulator(sample=False) as emulator:
        for name in ("towns", "roads"):
            emulator.publish(name, fields=FIELDS, records=rows(3))
        yield emulator


@pytest.fixture
def typed(tmp_path: Path) -> Typed:
    def run(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return person.typed(tmp_path, *words, **settings)

    return run


def test_options_mean_the_same_before_and_after_the_command(
    typed: Typed, portal: Emulator, tmp_path: Path
) -> None:
    before = typed("--portal", portal.url, "--data-dir", "one", "sync", "--json")
    after = typed("sync", "--json", "--portal", portal.url, "--data-dir", "two")
    assert (before.returncode, after.returncode) == (0, 0), after.stderr
    assert (tmp_path / "one" / "warehouse.duckdb").exists()
    assert (tmp_path / "two" / "warehouse.duckdb").exists()
    assert json.loads(before.stdout)["counts"] == json.loads(after.stdout)["counts"]


def test_what_follows_the_command_goes_before_what_precedes_it_and_the_environment(
    typed: Typed, portal: Emulator
) -> None:
    nowhere = "http://127.0.0.1:9"
    done = typed("--portal", nowhere, "plan", "--portal", portal.url, ODS_PORTAL=nowhere)
    assert done.returncode == 0, done.stderr
    done = typed("--portal", portal.url, "plan", "--portal", nowhere)
    assert done.returncode == 2
    assert nowhere in done.stderr


@pytest.mark.parametrize(
    "words", [["--warehouse", ""], ["--portal", " "], ["--config", ""], ["--state", ""]]
)
def test_an_empty_value_is_an_error_after_the_command_too(typed: Typed, words: list[str]) -> None:
    done = typed("sync", *words)
    assert done.returncode == 2
    assert done.stderr.startswith(f"ods-pipeline: {words[0]} is empty")


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_help_keeps_a_commands_own_options_apart(name: str) -> None:
    command = cli.commands[name]
    with click.Context(command, info_name=name) as context:
        told = command.get_help(context)
    shared = "\nOptions of every command:\n"
    # It serves, and has neither a portal nor anything to be quiet about.
    assert (shared in told) == (name != "emulator")
    own, _, rest = told.partition(shared)
    assert "--portal" not in own
    assert name == "emulator" or ("--portal ADDRESS" in rest and "--log-format" in rest)


def test_a_quiet_run_says_nothing_unless_somebody_has_to_look(
    typed: Typed, portal: Emulator
) -> None:
    done = typed("sync", "--quiet", ODS_PORTAL=portal.url)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for words in (["verify", "-q"], ["-q", "doctor"], ["-q", "export", "towns", "--as", "csv"]):
        done = typed(*words, ODS_PORTAL=portal.url)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), words
    portal.publish("towns", records=rows(9))
    portal.publish("roads", records=rows(9))
    portal.fail("roads/exports", Fault.short_rows(2), None)
    done = typed("sync", "-q", ODS_PORTAL=portal.url)
    assert done.returncode == 1
    assert done.stdout == (
        "  roads: 7 rows came where the portal counts 9; nothing was kept of them\n"
    )
    assert done.stderr == ""


def test_a_log_of_json_has_an_object_per_line_with_its_time(typed: Typed, portal: Emulator) -> None:
    portal.fail("roads/exports", Fault.short_rows(2), None)
    done = typed("sync", "--log-format", "json", ODS_PORTAL=portal.url)
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert all(datetime.fromisoformat(line["time"]).tzinfo for line in lines)
    first, *rest = lines
    assert "fetching 2 datasets with 6 records" in first["message"]
    told = {line["dataset_id"]: (line["level"], line["action"], line["rows"]) for line in rest}
    assert told == {"towns": ("info", "landed", 3), "roads": ("warning", "failed", 0)}
    quiet = typed("sync", "-q", "--log-format", "json", ODS_PORTAL=portal.url)
    (line,) = map(json.loads, quiet.stderr.splitlines())
    assert (line["level"], line["dataset_id"]) == ("warning", "roads")


def test_what_stops_a_run_is_a_line_of_the_log_as_well(typed: Typed) -> None:
    done = typed("sync", "--portal", "http://127.0.0.1:9", "--log-format", "json")
    (line,) = map(json.loads, done.stderr.splitlines())
    assert (done.returncode, line["level"]) == (2, "error")
    assert "127.0.0.1:9" in line["message"]
    done = typed("sync", "--portal", "http://127.0.0.1:9", "--log-format=text")
    time, level, message = done.stderr.split(" ", 2)
    assert datetime.fromisoformat(time).tzinfo
    assert level == "ERROR"
    assert message.count("\n") == 1


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands_and_options(shell: str) -> None:
    # By the program itself: its name is in the script and in the variables.
    def asked(**settings: str) -> str:
        done = subprocess.run(
            [person.COMMAND],
            env=person.environment(**settings),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    assert "ods-pipeline" in asked(_ODS_PIPELINE_COMPLETE=f"{shell}_source")
    word = "--ver" if shell == "fish" else "2"
    words = {"COMP_WORDS": "ods-pipeline sync --ver", "COMP_CWORD": word}
    assert "--verify" in asked(**words, _ODS_PIPELINE_COMPLETE=f"{shell}_complete")


def test_help_waits_for_none_of_the_large_libraries() -> None:
    code = "import sys, ods_pipeline.cli.main; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"pyarrow", "numpy", "pandas", "dagster", "duckdb", "pydantic", "requests"}
