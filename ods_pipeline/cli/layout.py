"""How the command line prints anything: tables, numbers, sizes, JSON.

What is printed belongs to the files of the commands.
"""

from __future__ import annotations

import json
import sys

from rich.console import Console
from rich.table import Table

_NARROWEST = 120


def stdout() -> Console:
    """Where tables for people are printed."""
    # Piped into a file or a pager there is no width to fit: keep each dataset on one line.
    terminal = Console(highlight=False)
    if terminal.is_terminal:
        return terminal
    return Console(highlight=False, width=10 * _NARROWEST, soft_wrap=True)


def table_of(*columns: str) -> Table:
    """An empty table; numbers stand right, in columns whose names begin with `>`."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        right = name.startswith(">")
        table.add_column(
            name.removeprefix(">"),
            justify="right" if right else "left",
            no_wrap=right or name in {"dataset", "title", "verdict", "outcome"},
            overflow="ellipsis" if name == "title" else "fold",
            min_width=20 if name == "title" else None,
        )
    return table


def size_of(number: int) -> str:
    """A number of bytes."""
    size = float(number)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.2f} GB"


def number_of(number: int, noun: str) -> str:
    """So many of something."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def print_json(value: object) -> None:
    """Print JSON for programs on stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")
