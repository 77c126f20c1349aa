"""What the README and the page on features show is run: each command, query and snippet."""

import os
import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
import yaml

import ods_pipeline
from ods_pipeline.emulator import Emulator

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text() + (ROOT / "docs" / "features.md").read_text()
DOMAIN = "data.economie.gouv.fr"
COMMANDS = Path(sys.executable).parent


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    return re.findall(r"^\$ (.+)$", "".join(blocks("console")), re.MULTILINE)


@pytest.fixture(scope="module")
def portal() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture(scope="module")
def synced(portal: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every `ods-pipeline` command of the README has been typed in its order."""
    folder = tmp_path_factory.mktemp("reader")
    environment = {**os.environ, "ODS_PORTAL": portal.url}
    for command in commands():
        words = shlex.split(command)
        if words[0] == "ods-pipeline" and words[1] != "emulator":
            done = subprocess.run(
                [COMMANDS / "ods-pipeline", *words[1:]],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, (command, done.stderr)
            assert done.stdout, command
    return folder


def test_every_command_of_the_readme_works_in_its_order(synced: Path) -> None:
    assert (synced / "data" / "warehouse.duckdb").is_file()
    assert list((synced / "data" / "lake").glob("*/records/public-art.parquet"))


def test_every_command_of_the_readme_is_one_that_these_tests_run() -> None:
    known = {"make", "source", "export", "ods-pipeline", "curl"}
    assert {shlex.split(command)[0] for command in commands()} == known


def test_the_query_of_the_readme_lists_the_tables(synced: Path) -> None:
    (query,) = blocks("sql")
    with duckdb.connect(synced / "data" / "warehouse.duckdb", read_only=True) as warehouse:
        tables = dict(warehouse.execute(query).fetchall())
    assert "public-art" in tables
    assert tables["public-art"].startswith("Public art")


def test_the_python_of_the_readme_runs(
    portal: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    for source in blocks("python"):
        exec(compile(source.replace(DOMAIN, portal.url), "README.md", "exec"), {})
    assert "14 datasets" in capsys.readouterr().out


def test_the_yaml_of_the_readme_is_a_component() -> None:
    (block,) = blocks("yaml")
    told = yaml.safe_load(block)
    assert told["type"] == "ods_pipeline.OpendatasoftPortal"
    component = ods_pipeline.OpendatasoftPortal.from_attributes_dict(attributes=told["attributes"])
    assert component.portal == DOMAIN
    assert component.sensor.running


def test_make_has_every_target_that_the_readme_names() -> None:
    named = {words[1] for command in commands() if (words := shlex.split(command))[0] == "make"}
    named |= set(re.findall(r"`make ([a-z-]+)`", README))
    listed = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert all(f"make {target} " in listed for target in named)


def test_the_emulator_is_edited_over_http_as_the_readme_says(portal: Emulator) -> None:
    calls = [shlex.split(command)[1:] for command in commands() if command.startswith("curl")]
    for *options, url in calls:
        method = options[1] if options else "GET"
        address = url.replace("http://127.0.0.1:8765", portal.url)
        request = urllib.request.Request(address, method=method)
        with urllib.request.urlopen(request) as reply:
            assert reply.status == 200


def test_the_demo_ends_with_queries_a_run_of_one_request_and_a_map(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ods_pipeline.demo"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "19 landed, 3 skipped" in done.stdout
    assert "19 unchanged, 3 skipped; 1 request" in done.stdout
    assert "GEOMETRY('OGC:CRS84')" in done.stdout
    assert sum("\u2800" < character <= "\u28ff" for character in done.stdout) > 100
    assert (tmp_path / "data" / "demo" / "map.png").read_bytes().startswith(b"\x89PNG")
    assert done.stderr == ""


def test_every_file_that_the_readme_points_to_exists() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_help_teaches_every_command_of_the_readme() -> None:
    done = subprocess.run(
        [COMMANDS / "ods-pipeline", "--help"], capture_output=True, text=True, check=True
    )
    for command in ("sync", "plan", "catalog", "verify", "doctor", "emulator"):
        assert command in done.stdout
