"""What a newcomer sees who types `make dev`: the address to open, and nothing above it to read."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from ods_pipeline.emulator import Emulator
from tests.person import environment
from tests.servers.project import PATIENCE, Project

pytestmark = [pytest.mark.servers, pytest.mark.timeout(1800)]


def test_it_ends_in_the_address_to_open_and_ctrl_c_ends_all_of_it(tmp_path: Path) -> None:
    with Emulator() as portal:
        project = Project(tmp_path, portal.url)
        bin = Path(sys.executable).parent
        ours = environment(ODS_PORTAL=portal.url)
        with subprocess.Popen(
            ["env", "--default-signal=INT", sys.executable, "-m", "ods_pipeline.cli.dev"],
            cwd=project.folder,
            env={
                **ours,
                "VIRTUAL_ENV": str(bin.parent),
                "PATH": f"{bin}{os.pathsep}{ours['PATH']}",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as running:
            assert running.stdout
            said = []
            for line in running.stdout:
                said.append(line.strip())
                if line.startswith("Dagster: "):
                    break
            assert said[0] == "Starting Dagster; what it prints goes to data/dagster/dev.log"
            url = said[-1].split()[1]
            assert len(said) == 3, said
            assert requests.get(f"{url}/server_info", timeout=30).json()["dagster_version"]
            running.send_signal(signal.SIGINT)
            assert running.wait(PATIENCE) == 0
        assert "Serving dagster-webserver" in (tmp_path / "data/dagster/dev.log").read_text()
        with pytest.raises(requests.ConnectionError):
            requests.get(url, timeout=5)
