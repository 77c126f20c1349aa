"""DuckDB 1.5 beside ours, in an environment of its own: its extensions read PostgreSQL and PostGIS.

The one that the product needs is newer than the extensions that are published as packages.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

_VERSION = "1.5.5"
_PACKAGES = ("duckdb", "duckdb-extension-postgres-scanner", "duckdb-extension-spatial")
_PROGRAM = """
import json, pathlib, sys
import duckdb, duckdb_extension_postgres_scanner, duckdb_extension_spatial

connection = duckdb.connect(config={"extension_directory": sys.argv[1]})
for package in (duckdb_extension_postgres_scanner, duckdb_extension_spatial):
    # The package may have a folder alone.
    (file,) = pathlib.Path(package.__path__[0]).rglob("*.duckdb_extension")
    connection.execute(f"LOAD '{file}'")
connection.execute("SET TimeZone = 'UTC'")
connection.execute(f"ATTACH '{sys.argv[2]}' AS warehouse (TYPE postgres, READ_ONLY)")
answers = [connection.execute(query).fetchall() for query in sys.argv[3:]]
text = lambda value: value.hex() if isinstance(value, bytes) else str(value)
json.dump(answers, sys.stdout, default=text)
"""


class OtherDuckDB:
    """DuckDB with `postgres_scanner` and `spatial`."""

    def __init__(self, folder: Path):
        """Install it; some seconds."""
        self._folder = folder
        self._python = folder / "venv" / "bin" / "python"
        _run(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
        pip = (sys.executable, "-m", "pip", "--quiet", "--python", self._python)
        # Compiled when imported: most modules never are.
        _run(*pip, "install", "--no-compile", *(f"{name}=={_VERSION}" for name in _PACKAGES))

    def ask(self, url: str, *queries: str) -> list[list[list[Any]]]:
        """The rows of each query on `warehouse`; what JSON does not have is text, bytes are hex."""
        return json.loads(_run(self._python, "-c", _PROGRAM, self._folder, url, *queries))


def _run(*words: str | Path) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (words, done.stdout[-2000:], done.stderr[-4000:])
    return done.stdout
