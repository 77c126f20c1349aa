"""What is shipped for servers: each file means what its page says."""

import configparser
import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest

from ods_pipeline.cli.main import cli
from ods_pipeline.emulator import Emulator
from tests import person

DEPLOY = Path(__file__).parents[1] / "deploy"
DOCS = Path(__file__).parents[1] / "docs"


def unit(name: str) -> configparser.ConfigParser:
    found = configparser.ConfigParser(strict=True, interpolation=None)
    found.optionxform = str  # type: ignore[method-assign,assignment]
    found.read(DEPLOY / "systemd" / name, encoding="utf-8")
    return found


def test_what_the_unit_starts_is_a_command_that_there_is() -> None:
    service = unit("ods-pipeline.service")["Service"]
    program, *words = shlex.split(service["ExecStart"])
    assert program.endswith("/bin/ods-pipeline")
    assert service["Environment"].partition("=")[0] == "ODS_DATA_DIR"
    with cli.make_context("ods-pipeline", words, resilient_parsing=True) as context:
        assert isinstance(cli.get_command(context, words[0]), click.Command)


def test_the_unit_does_what_it_says_and_a_spent_quota_is_no_failure(tmp_path: Path) -> None:
    service = unit("ods-pipeline.service")["Service"]
    words = shlex.split(service["ExecStart"])[1:]
    with Emulator() as portal:
        settings = {"ODS_PORTAL": portal.url, "ODS_DATA_DIR": str(tmp_path / "data")}
        done = person.typed(tmp_path, *words, **settings)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert service["SuccessExitStatus"] == "3"
    assert unit("ods-pipeline.timer")["Install"]["WantedBy"] == "timers.target"


def test_the_line_for_cron_is_a_command_that_there_is(tmp_path: Path) -> None:
    page = (DOCS / "terminal.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^30 3 \* \* \* (.*)$", page, re.MULTILINE)
    changed = line.replace("/srv/ods-pipeline/venv/bin/ods-pipeline", str(person.COMMAND))
    changed = changed.replace("/srv/ods", str(tmp_path))
    with Emulator() as portal:
        changed = changed.replace("data.economie.gouv.fr", portal.url)
        done = subprocess.run(
            ["sh", "-c", changed],
            env=person.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "data" / "warehouse.duckdb").exists()


def test_every_command_of_the_page_works(tmp_path: Path) -> None:
    page = (DOCS / "terminal.md").read_text(encoding="utf-8")
    commands = re.findall(r"^\$ ods-pipeline (.+)$", page, re.MULTILINE)
    assert len(commands) > 3
    with Emulator() as portal:
        for command in commands:
            words = [portal.url if word == "sample" else word for word in shlex.split(command)]
            done = person.typed(tmp_path, *words)
            assert done.returncode == 0, (command, done.stderr)


@pytest.mark.servers
def test_systemd_takes_the_units() -> None:
    files = [str(file) for file in sorted((DEPLOY / "systemd").iterdir())]
    files += [str(file) for file in sorted((DEPLOY / "celery").glob("*.service"))]
    done = subprocess.run(
        ["systemd-analyze", "verify", *files], capture_output=True, text=True, check=False
    )
    complaints = [line for line in done.stderr.splitlines() if "/srv/ods-pipeline/venv" not in line]
    assert complaints == []
