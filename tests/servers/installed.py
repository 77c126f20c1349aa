"""The built wheel in an environment of its own, with what the example project needs beside it.

The tests' own environment cannot be it: dbt asks for other versions than `constraints.txt` has.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "city"


def installed(folder: Path) -> Path:
    """Build the wheel and install it as users do; a minute, most of it for unpacking.

    Returns:
        The folder of the environment's programs.
    """
    pip = [sys.executable, "-m", "pip", "--quiet"]
    _run(*pip, "wheel", "--no-deps", "--wheel-dir", folder / "dist", ROOT)
    (wheel,) = (folder / "dist").glob("*.whl")
    _run(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    told = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))
    needed = [name for name in told["project"]["dependencies"] if name != "ods-pipeline"]
    # Compiled when imported: most modules never are.
    options = ("--python", folder / "venv" / "bin" / "python", "install", "--no-compile")
    _run(*pip, *options, wheel, *needed, "create-dagster")
    return folder / "venv" / "bin"


def _run(*words: str | Path) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (words, done.stdout[-2000:], done.stderr[-4000:])
