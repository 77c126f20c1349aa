"""What a real kernel sends during a long read: a line for a person, nothing for a program."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from ods_pipeline.emulator import Emulator, Fault

pytestmark = [pytest.mark.servers, pytest.mark.timeout(900)]

CELL = """\
from ods_pipeline import Portal
Portal({url!r}).records("public-art").num_rows
"""
# Both ends are of the same library, which the tests' own environment does without.
CLIENT = """
import json, sys
from jupyter_client.manager import start_new_kernel

manager, client = start_new_kernel(extra_arguments=["--log-level=50"])
try:
    for answers in (True, False):
        sent = []
        client.execute_interactive(
            sys.argv[1], allow_stdin=answers, output_hook=sent.append, timeout=600
        )
        print(json.dumps([[one["msg_type"], one["content"]] for one in sent]))
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
"""


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> list[list[tuple[str, Any]]]:
    """What comes of a long read, for a person and then for a program."""
    folder = tmp_path_factory.mktemp("jupyter")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target", folder]
    subprocess.run([*pip, "ipykernel"], check=True, capture_output=True)
    with Emulator() as portal:
        portal.fail("exports/parquet", Fault.slow(150_000))
        done = subprocess.run(
            [sys.executable, "-c", CLIENT, CELL.format(url=portal.url)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *sys.path[1:]])},
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def texts(sent: list[tuple[str, Any]], kind: str) -> list[str]:
    return [content["data"]["text/plain"] for one, content in sent if one == kind]


def test_somebody_who_sits_there_sees_how_much_has_come_until_all_has(
    sent: list[list[tuple[str, Any]]],
) -> None:
    person, _ = sent
    assert texts(person, "display_data") == [""]
    *lines, last = texts(person, "update_display_data")
    assert lines
    # Where it is slow, the first line is there with the first bytes.
    assert all(re.fullmatch(r"public-art: [\d.]+ [kM]?B", line) for line in lines), lines
    assert last == ""
    assert texts(person, "execute_result") == ["665"]
    assert not [content for kind, content in person if kind == "stream"]


def test_a_notebook_that_a_program_runs_keeps_nothing_of_it(
    sent: list[list[tuple[str, Any]]],
) -> None:
    _, program = sent
    kinds = {kind for kind, _ in program} - {"status", "execute_input"}
    assert kinds == {"execute_result"}
