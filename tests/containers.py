"""What the containers' files say, read without Docker: instructions, services, variables."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "deploy" / "compose"
#: `${NAME}`, `${NAME:-default}` and `${NAME:?message}`: the forms that the file uses.
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}")


class Instruction(NamedTuple):
    """One instruction of the Dockerfile.

    Attributes:
        stage: How many `FROM` stand before it.
        name: Such as COPY.
        text: What follows, on one line.
    """

    stage: int
    name: str
    text: str


def instructions() -> list[Instruction]:
    """The Dockerfile, in its order."""
    text = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    plain = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)
    found: list[Instruction] = []
    stage = -1
    for line in re.sub(r"\\\n\s*", "", plain).splitlines():
        if line.strip():
            name, _, rest = line.partition(" ")
            stage += name == "FROM"
            found.append(Instruction(stage, name, rest.strip()))
    return found


def copied(stage: int) -> list[tuple[str, str]]:
    """What a stage copies from the checkout: each source, and the name or folder it goes to."""
    found = []
    for one in instructions():
        if (one.stage, one.name) == (stage, "COPY") and not one.text.startswith("--from="):
            *sources, target = shlex.split(one.text)
            found += [(source, target) for source in sources]
    return found


def arguments() -> dict[str, str]:
    """What can be said to the build, and what it takes where nothing is."""
    told = [one.text for one in instructions() if one.name == "ARG"]
    return dict(text.split("=", 1) for text in told)


def variables() -> dict[str, str]:
    """What the image sets for every program in it."""
    told = [shlex.split(one.text) for one in instructions() if one.name == "ENV"]
    return dict(word.split("=", 1) for words in told for word in words)


def compose() -> dict[str, Any]:
    """The compose file as it is written, with its merges done."""
    told: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
    return told


def services() -> dict[str, dict[str, Any]]:
    """The services by their names."""
    found: dict[str, dict[str, Any]] = compose()["services"]
    return found


def asked_for() -> dict[str, str]:
    """The variables that the compose file asks for, and what it takes where one is not set."""
    text = (FOLDER / "compose.yaml").read_text(encoding="utf-8")
    return {
        one["name"]: one["rest"] if one["kind"] == "-" else "" for one in _VARIABLE.finditer(text)
    }


def filled(text: str, given: Mapping[str, str]) -> str:
    """A value of the compose file with its variables filled in, as Compose does it."""

    def value(one: re.Match[str]) -> str:
        if got := given.get(one["name"]):
            return got
        assert one["kind"] == "-", f"{one['name']} {one['rest']}"
        return str(one["rest"])

    return _VARIABLE.sub(value, text)


def named_in(file: str) -> dict[str, str]:
    """The variables of an example of a file of variables."""
    lines = (FOLDER / file).read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def env_of(value: Any) -> set[str]:
    """The variables that a block of Dagster's configuration names."""
    if not isinstance(value, dict):
        return set()
    if set(value) == {"env"}:
        return {value["env"]}
    return set().union(*map(env_of, value.values())) if value else set()
