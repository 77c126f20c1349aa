"""Virtual environments for the libraries of peers, apart from ours.

The requirements of a peer are in `requirements/NAME.txt`; its environment is made once, as
`.bench/NAME`. Running programs in them does not belong here.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

_HERE = Path(__file__).parent
_MADE = _HERE.parent / ".bench"
_VERSIONS = """
import shutil, subprocess, sys
from importlib import metadata
def version(name):
    if name == "GDAL":
        import pyogrio
        return pyogrio.__gdal_version_string__
    if shutil.which(name):
        said = subprocess.run([name, "--version"], capture_output=True, text=True).stdout
        return said.replace(",", " ").split()[1]
    return metadata.version(name)
for name in sys.argv[1:]:
    try:
        print(name, version(name))
    except Exception:  # Whatever the error, the program is missing.
        print(name, "missing")
"""


class Unavailable(Exception):
    """A peer's environment is not available; the message says why."""


def python(name: str, report: Callable[[str], object], *, install: bool = True) -> str:
    """The interpreter of an environment, made where it does not exist yet.

    Args:
        name: Name of the environment; empty for the one of this process.
        report: Called with a line of text when an installation begins.
        install: Whether it may be made.

    Raises:
        Unavailable: It cannot be made, or `install` is false.
    """
    if not name:
        return sys.executable
    wanted = _HERE / "requirements" / f"{name}.txt"
    if not wanted.exists():
        raise Unavailable(f"missing: benchmarks/requirements/{name}.txt")
    folder = _MADE / name
    stamp = folder / "installed"
    digest = hashlib.sha256(wanted.read_bytes()).hexdigest()
    if not (stamp.exists() and stamp.read_text() == digest):
        if not install:
            raise Unavailable(f"missing: {name} is not installed")
        report(f"installing {name} into {folder.relative_to(_HERE.parent)}")
        _make(folder, wanted)
        stamp.write_text(digest)
    return str(folder / "bin" / "python")


def _make(folder: Path, wanted: Path) -> None:
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "-r", str(wanted)]
    for command in ([sys.executable, "-m", "venv", "--clear", str(folder)], pip):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise Unavailable(f"cannot be installed: {last[:200]}")


def versions(interpreter: str, names: tuple[str, ...]) -> dict[str, str]:
    """The versions of distributions and programs, `missing` for those that are not there."""
    if not names:
        return {}
    command = [interpreter, "-c", _VERSIONS, *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
