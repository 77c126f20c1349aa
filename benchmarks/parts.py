"""What a program tells of the parts of its run, beside what is measured from outside.

A deployment's daemon and code server are there before anything changes, so what starting them costs
is apart from what a change costs. Nothing is measured here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

#: The part that is compared with the whole of a program that has no deployment to start.
WORK = "work, s"
_FILE = "parts.json"


def tell(folder: Path, parts: Mapping[str, float]) -> None:
    """Keep the parts of a run, by names that end with their unit, in the program's folder."""
    rounded = {name: round(value, 3) for name, value in parts.items()}
    (folder / _FILE).write_text(json.dumps(rounded))


def told(folder: Path) -> dict[str, float]:
    """The parts that a program has told; none of most."""
    file = folder / _FILE
    found: dict[str, float] = json.loads(file.read_text()) if file.exists() else {}
    return found
