"""`dg dev` in the folder of a project, asked over GraphQL as its pages do."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from ods_pipeline.emulator import Emulator
from tests.ports import free_port
from tests.servers.installed import EXAMPLE
from tests.servers.project import PATIENCE, group, left

README = (EXAMPLE / "README.md").read_text(encoding="utf-8")
_STATE = """{
  assetNodes {
    assetKey { path }
    assetMaterializations(limit: 1) {
      runId metadataEntries { label ... on FloatMetadataEntry { floatValue } }
    }
    assetChecksOrError {
      ... on AssetChecks { checks { name executionForLatestMaterialization { status } } }
    }
  }
}"""
_SENSORS = """{
  repositoriesOrError { ... on RepositoryConnection { nodes {
    name location { name } sensors { name sensorState { ticks { id } } }
  } } }
}"""
_START = """mutation ($selector: SensorSelector!) {
  startSensor(sensorSelector: $selector) { __typename }
}"""


def environment(folder: Path, bin: Path) -> dict[str, str]:
    """What a person has who activated the environment and typed what the example's README says."""
    ours = {name: text for name, text in os.environ.items() if not name.startswith("ODS_")}
    exported = re.findall(r'^\$ export (\w+)="\$PWD(.*)"$', README, re.MULTILINE)
    return {
        **ours,
        **{name: f"{folder}{rest}" for name, rest in exported},
        # Instead of `pip install -e .`.
        "PYTHONPATH": str(folder / "src"),
        "VIRTUAL_ENV": str(bin.parent),
        "PATH": f"{bin}{os.pathsep}{os.environ['PATH']}",
        "DO_NOT_TRACK": "1",
        "DAGSTER_DISABLE_TELEMETRY": "1",
    }


class Dev:
    """A project under way.

    Attributes:
        folder: The project's folder.
        log: What it printed.
        url: Where its pages are.
    """

    def __init__(self, folder: Path, bin: Path):
        """Nothing runs yet."""
        self.folder, self.log = folder, folder / "printed.txt"
        self._bin, self._port = bin, free_port()
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self) -> subprocess.Popen[bytes]:
        """Start it, as the leader of a process group like that of a terminal's command."""
        with self.log.open("wb") as printed:
            return subprocess.Popen(
                # Ctrl-C is ignored by what a shell starts in the background, and by its children.
                [
                    "env",
                    "--default-signal=INT",
                    "dg",
                    "dev",
                    "--no-check-yaml",
                    "--port",
                    str(self._port),
                ],
                cwd=self.folder,
                env=environment(self.folder, self._bin),
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def until(self, holds: Callable[[], Any], seconds: float = 600) -> Any:
        """Wait until something is so, and return it.

        Raises:
            AssertionError: It is not in time; what was printed is told.
        """
        end = time.monotonic() + seconds
        while not (found := holds()):
            if time.monotonic() > end:
                said = self.log.read_text(errors="replace")
                raise AssertionError(f"it never was so: {self.runs()} {self.checks()}\n{said}")
            time.sleep(0.5)
        return found

    def runs(self) -> dict[str, str]:
        """The assets that have been materialized, and the run that last did it."""
        return {
            name: node["assetMaterializations"][0]["runId"]
            for name, node in self._assets()
            if node["assetMaterializations"]
        }

    def checks(self) -> dict[str, str]:
        """The checks that were evaluated for what is there now, and how that ended."""
        found = {}
        for name, node in self._assets():
            for check in node["assetChecksOrError"].get("checks", ()):
                if last := check["executionForLatestMaterialization"]:
                    found[f"{name}:{check['name']}"] = last["status"]
        return found

    def metadata(self, asset: str) -> dict[str, Any]:
        """The figures of an asset's last materialization."""
        ((made,),) = [
            node["assetMaterializations"] for name, node in self._assets() if name == asset
        ]
        return {
            entry["label"]: entry["floatValue"]
            for entry in made["metadataEntries"]
            if "floatValue" in entry
        }

    def looked(self, sensor: str) -> int:
        """How often a sensor has looked."""
        for repository in self._repositories():
            for one in repository["sensors"]:
                if one["name"] == sensor:
                    return len(one["sensorState"]["ticks"])
        return 0

    def switch_on(self, sensor: str) -> None:
        """Switch a sensor on, as a click does."""
        (repository,) = self.until(self._repositories)
        selector = {
            "repositoryName": repository["name"],
            "repositoryLocationName": repository["location"]["name"],
            "sensorName": sensor,
        }
        answer = self._ask(_START, selector=selector)
        assert answer["startSensor"]["__typename"] == "Sensor", answer

    def _assets(self) -> list[tuple[str, dict[str, Any]]]:
        nodes = self._ask(_STATE).get("assetNodes", ())
        return [("/".join(node["assetKey"]["path"]), node) for node in nodes]

    def _repositories(self) -> list[dict[str, Any]]:
        nodes: list[dict[str, Any]] = (
            self._ask(_SENSORS).get("repositoriesOrError", {}).get("nodes", [])
        )
        return nodes

    def _ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The answer; an empty one as long as nobody serves."""
        try:
            answer = requests.post(
                f"{self.url}/graphql",
                json={"query": query, "variables": variables},
                timeout=30,
            )
        except requests.ConnectionError:
            return {}
        assert answer.ok, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data


def copied(into: Path, portal: Emulator) -> Path:
    """The example project as it stands, pointed at a portal."""
    folder = into / "city"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__", "target", "data"))
    defs = folder / "src/city/defs/paris/defs.yaml"
    defs.write_text(defs.read_text().replace("http://127.0.0.1:8765", portal.url))
    return folder


@contextmanager
def developed(folder: Path, bin: Path) -> Iterator[Dev]:
    """A project under way, ended by a Ctrl-C."""
    dev = Dev(folder, bin)
    process = dev.start()
    try:
        yield dev
        os.killpg(process.pid, signal.SIGINT)
        left(process.pid, PATIENCE)
    finally:
        if group(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
