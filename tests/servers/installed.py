"""The built wheel in an environment of its own, with what the example project needs beside it.

The tests' own environment cannot be it: dbt asks for other versions than `constraints.txt` has.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "city"


def installed(folder: Path) -> Path:
    """Build the wheel and install it as the README says; a minute, most of it for unpacking.

    Returns:
        The folder of the environment's programs.
    """
    build, install, _ = in_readme(folder)
    _run(sys.executable, "-m", *build)
    _run(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    told = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))
    needed = [name for name in told["project"]["dependencies"] if name != "ods-pipeline"]
    pip, *words = install
    # Compiled when imported: most modules never are.
    options = ("--quiet", "--python", folder / "venv" / "bin" / "python", *words, "--no-compile")
    _run(sys.executable, "-m", pip, *options, *needed, "create-dagster")
    return folder / "venv" / "bin"


def in_readme(folder: Path) -> list[list[str]]:
    """The README's three commands of installing, for a wheel that goes into a folder."""
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    ((block,),) = [re.findall(r"```sh\n(pip wheel .*?)```", page, re.DOTALL)]
    changed = block.replace("$PWD/dist", "dist").replace("dist/", f"{folder}/dist/")
    lines = [shlex.split(line, comments=True) for line in changed.splitlines()]
    places = {"dist": str(folder / "dist"), ".": str(ROOT)}
    return [[places.get(word, word) for word in line] for line in lines]


def _run(*words: str | Path) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (words, done.stdout[-2000:], done.stderr[-4000:])
