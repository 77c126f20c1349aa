"""What the files for many hosts say: units, variables, settings. Nothing is started here."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[1] / "deploy" / "celery"
#: In the order in which they are started on an empty host.
UNITS = ("code", "webserver", "daemon", "worker")
SYSTEM = Path("/etc/ods-pipeline")


class Unit:
    """A unit of systemd.

    Attributes:
        name: Such as `worker`.
    """

    def __init__(self, name: str) -> None:
        """Read it."""
        self.name = name
        text = (FOLDER / f"ods-pipeline-{name}.service").read_text(encoding="utf-8")
        self._lines = [
            line.split("=", 1) for line in text.splitlines() if re.match(r"[A-Z]\w+=", line)
        ]

    def told(self, key: str) -> list[str]:
        """All that is said under a key."""
        return [value for name, value in self._lines if name == key]

    def command(self) -> list[str]:
        """What it starts."""
        (line,) = self.told("ExecStart")
        return shlex.split(line)

    def option(self, name: str) -> str:
        """An option of what it starts."""
        words = self.command()
        return words[words.index(name) + 1]

    def variables(self) -> dict[str, str]:
        """What it sets itself."""
        return dict(line.split("=", 1) for line in self.told("Environment"))

    def files(self) -> list[str]:
        """The files of variables that it reads, by their names."""
        return [Path(path).name for path in self.told("EnvironmentFile")]


def settings() -> dict[str, Any]:
    """Dagster's settings."""
    told: dict[str, Any] = yaml.safe_load((FOLDER / "dagster.yaml").read_text(encoding="utf-8"))
    return told


def example(name: str) -> dict[str, str]:
    """The variables of an example of a file of variables."""
    lines = (FOLDER / f"{name}.example").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
