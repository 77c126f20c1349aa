"""DuckDB 1.5 beside ours, in an environment of its own: its extensions read PostgreSQL and Iceberg.

The one that the product needs is newer than the extensions that are published as packages.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from tests.warehouse.each_value import ROWS, moment_of, require_same

_VERSION = "1.5.5"
_PROGRAM = """
import importlib, json, pathlib, sys
import duckdb

folder, extensions, before, queries = json.load(sys.stdin)
connection = duckdb.connect(config={"extension_directory": folder})
for name in extensions:
    package = importlib.import_module(f"duckdb_extension_{name}")
    # The package may have a folder alone.
    (file,) = pathlib.Path(package.__path__[0]).rglob("*.duckdb_extension")
    connection.execute(f"LOAD '{file}'")
for statement in ["SET TimeZone = 'UTC'", *before]:
    connection.execute(statement)
answers = [connection.execute(query).fetchall() for query in queries]
text = lambda value: value.hex() if isinstance(value, bytes) else str(value)
json.dump(answers, sys.stdout, default=text)
"""


class OtherDuckDB:
    """DuckDB with some extensions."""

    def __init__(self, folder: Path, *extensions: str):
        """Install it; some seconds."""
        self._folder, self._extensions = folder, extensions
        self._python = folder / "venv" / "bin" / "python"
        _run(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
        pip = (sys.executable, "-m", "pip", "--quiet", "--python", self._python)
        # Compiled when imported: most modules never are.
        packages = [f"duckdb-extension-{name.replace('_', '-')}" for name in extensions]
        wanted = [f"{package}=={_VERSION}" for package in ("duckdb", *packages)]
        _run(*pip, "install", "--no-compile", *wanted)

    def ask(self, before: Sequence[str], *queries: str) -> list[list[list[Any]]]:
        """The rows of each query, after some statements; bytes are hex, all else JSON or text."""
        told = json.dumps([str(self._folder), self._extensions, [*before], queries])
        return json.loads(_run(self._python, "-c", _PROGRAM, told=told))


def require_same_values(rows: Sequence[Sequence[Any]]) -> None:
    """Compare rows of `each_value`, whose moments are numbers, with what they should be."""
    found = [dict(zip(ROWS, row, strict=True)) for row in rows]
    for row in found:
        row["jour"] = row["jour"] and date.fromisoformat(row["jour"])
        row["moment"] = moment_of(row["moment"])
        row["geo_shape"] = row["geo_shape"] and bytes.fromhex(row["geo_shape"])
    require_same(found)


def _run(*words: str | Path, told: str = "") -> str:
    done = subprocess.run(words, input=told, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (words, done.stdout[-2000:], done.stderr[-4000:])
    return done.stdout
