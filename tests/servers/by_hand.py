"""What the image and its services do, done by hand where there is no Docker.

The Dockerfile's own lines make the environment, in a folder in place of `/srv`; the compose file's
own commands run in it as processes, with its variables and in its order. What Docker itself does,
such as users, rights and networks, is not shown by this.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

from tests import containers
from tests.containers import ROOT
from tests.ports import free_port
from tests.servers.project import left

_RUN = """mutation ($run: ExecutionParams!) {
  launchRun(executionParams: $run) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}"""
_STATUS = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
_REPOSITORY = """{
  repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } }
}"""
_BUILD, _IMAGE = 0, 1
# Nothing here takes this long but on a machine with much else to do.
_PATIENCE = 600


class Image:
    """The image as a folder.

    Attributes:
        srv: In place of `/srv`.
        webserver: The port of Dagster's pages.
    """

    def __init__(self, folder: Path):
        """Build it."""
        self.srv, self.webserver = folder / "srv", free_port()
        self._ports = {"3000": str(self.webserver), "4000": str(free_port())}
        source = folder / "src"
        _copy(containers.copied(_BUILD), source, source)
        for one in containers.instructions():
            if (one.stage, one.name) == (_BUILD, "RUN"):
                # A layer has no use for pip's cache; a machine that does this often has.
                line = self.here(one.text).replace(" --no-cache-dir", "")
                # Compiled when imported: most modules never are.
                _run(line, source, {**os.environ, **containers.arguments(), "PIP_NO_COMPILE": "0"})
        for name in ("dagster", "data", "state"):
            (self.srv / name).mkdir()
        _copy(containers.copied(_IMAGE), self.srv.parent, self.srv.parent)
        for name in ("dagster.yaml", "workspace.yaml"):
            file = self.srv / "dagster" / name
            file.write_text(self.here(file.read_text(encoding="utf-8")), encoding="utf-8")

    def here(self, text: str) -> str:
        """A text of the files with this machine's folder, ports and address."""
        for port, free in self._ports.items():
            text = text.replace(port, free)
        text = text.replace("host: code", "host: 127.0.0.1").replace("0.0.0.0", "127.0.0.1")
        return text.replace("/srv/", f"{self.srv}/")


class Services:
    """The services, as processes.

    Attributes:
        image: What they are started from.
    """

    def __init__(self, image: Image, given: Mapping[str, str], portals: Mapping[str, str]):
        """None is started yet.

        Args:
            image: What they are started from.
            given: In place of `.env`, and for what is elsewhere on this machine.
            portals: In place of `portals.env`.
        """
        self.image = image
        self._given, self._portals = given, portals
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, seconds: float = _PATIENCE) -> None:
        """Start one and wait until its own check finds it healthy."""
        told = containers.services()[name]
        with (self.image.srv.parent / f"{name}.txt").open("wb") as printed:
            self._started[name] = subprocess.Popen(
                shlex.split(self.image.here(told["command"])),
                cwd=self.image.srv / "project",
                env=self._environment(told),
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        end = time.monotonic() + seconds
        healthy = False
        while not healthy:
            # A check costs seconds of a core, which the service needs itself.
            time.sleep(2)
            assert self._started[name].poll() is None, f"{name} ended: {self.printed(name)}"
            assert time.monotonic() < end, f"{name} is not healthy: {self.printed(name)}"
            healthy = self._is_healthy(told)

    def stop(self) -> None:
        """End them as Compose does; each has to be gone within its time, with all that it began."""
        for name in reversed(self._started):
            process = self._started[name]
            process.terminate()
            process.wait(_PATIENCE)
            assert not left(process.pid, 5), f"{name} left processes: {self.printed(name)}"
        self._started.clear()

    def kill(self) -> None:
        """End whatever of it still runs."""
        for process in self._started.values():
            if left(process.pid, 0):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def printed(self, name: str) -> str:
        """What a service has said."""
        return (self.image.srv.parent / f"{name}.txt").read_text(errors="replace")

    def materialize(self, *path: str, seconds: float = _PATIENCE) -> str:
        """Launch a run of one asset, as a click does, and wait for its end.

        Returns:
            The run's identifier.
        """
        (repository,) = self.asked(_REPOSITORY)["repositoriesOrError"]["nodes"]
        run = {
            "mode": "default",
            "selector": {
                "repositoryName": repository["name"],
                "repositoryLocationName": repository["location"]["name"],
                "jobName": "__ASSET_JOB",
                "assetSelection": [{"path": path}],
            },
        }
        launched = self.asked(_RUN, run=run)["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        number = str(launched["run"]["runId"])
        end = time.monotonic() + seconds
        while (status := self.status(number)) not in {"SUCCESS", "FAILURE", "CANCELED"}:
            assert time.monotonic() < end, (status, self.printed("daemon"))
            time.sleep(0.2)
        assert status == "SUCCESS", self.printed("code")
        return number

    def status(self, run: str) -> str:
        """How far a run is."""
        return str(self.asked(_STATUS, id=run)["runOrError"]["status"])

    def asked(self, query: str, **variables: Any) -> dict[str, Any]:
        """What the web server answers."""
        answer = requests.post(
            f"http://127.0.0.1:{self.image.webserver}/graphql",
            json={"query": query, "variables": variables},
            timeout=30,
        )
        assert answer.ok, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    def _environment(self, told: Mapping[str, Any]) -> dict[str, str]:
        # Nothing of the tests' own: a container has what its files say.
        image = {name: self.image.here(text) for name, text in containers.variables().items()}
        image["PATH"] = image["PATH"].replace("$PATH", os.defpath)
        own = {
            name: self._given.get(name) or containers.filled(value, self._given)
            for name, value in told["environment"].items()
        }
        portals = self._portals if "env_file" in told else {}
        return {**image, **portals, **own, "HOME": str(self.image.srv / "state")}

    def _is_healthy(self, told: Mapping[str, Any]) -> bool:
        asked = subprocess.run(
            ["sh", "-c", self.image.here(told["healthcheck"]["test"])],
            env=self._environment(told),
            capture_output=True,
            check=False,
        )
        return asked.returncode == 0


def _copy(copied: list[tuple[str, str]], folder: Path, root: Path) -> None:
    """What COPY does: a folder's content goes to the target, a file into it or under its name."""
    no_caches = shutil.ignore_patterns("__pycache__")
    for source, target in copied:
        to = root / target.lstrip("/") if target.startswith("/") else folder / target
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, to, ignore=no_caches, dirs_exist_ok=True)
        else:
            to = to / source.rpartition("/")[2] if target.endswith("/") else to
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, to)


def _run(line: str, folder: Path, environment: Mapping[str, str]) -> None:
    bin = Path(sys.executable).parent
    done = subprocess.run(
        ["sh", "-c", line],
        cwd=folder,
        env={**environment, "PATH": f"{bin}{os.pathsep}{environment['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (line, done.stdout[-2000:], done.stderr[-4000:])
