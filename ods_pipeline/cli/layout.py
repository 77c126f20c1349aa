"""How the command line prints anything: tables, numbers, sizes, JSON.

What is printed belongs to the files of the commands.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TextIO

import click
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

#: Beyond so many, what there is nothing to tell of is counted instead of listed.
LISTED = 40

# Piped into a file or a pager there is no width to fit: each dataset stays on one line.
_ENDLESS = 1200
_ELLIPSIS = "…"
# Cells that a name, a title or a sentence is shown in at least.
_LEAST = 14
_COLOURS = {
    **dict.fromkeys(("failed", "differs", "restricted"), "red"),
    **dict.fromkeys(("held", "deferred"), "yellow"),
    "landed": "green",
}


def stdout() -> Console:
    """Where tables for people are printed."""
    return _console(sys.stdout)


def stderr() -> Console:
    """Where progress is shown."""
    return _console(sys.stderr)


def _console(stream: TextIO) -> Console:
    context = click.get_current_context(silent=True)
    color = context.color if context else None
    fits = stream.isatty()
    return Console(
        file=stream,
        highlight=False,
        color_system=None if color is False else "auto",
        force_terminal=True if color else None,
        no_color=False if color else None,
        width=None if fits else _ENDLESS,
        soft_wrap=not fits,
    )


@dataclass(frozen=True)
class Column:
    """A column of a list.

    Attributes:
        name: Its heading.
        kind: A `name` is shortened in its middle where there is no room, a `title` is cut at its
            end, a `text` is wrapped; a `number` and a `word` are always whole.
        least: Characters of the terminal from which on it is shown.
    """

    name: str
    kind: Literal["name", "title", "text", "number", "word"] = "word"
    least: int = 0


class Listing:
    """A table of which a narrow terminal shows fewer columns."""

    def __init__(self, console: Console, *columns: Column):
        """Nothing is listed yet.

        Args:
            console: Where it will be printed.
            columns: All columns.
        """
        self._console = console
        self._table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        self._columns = columns
        for column in columns:
            if column.least <= console.width:
                self._table.add_column(
                    _CELLS["title"](column.name) if column.kind == "title" else column.name,
                    justify="right" if column.kind == "number" else "left",
                    no_wrap=column.kind in {"number", "word"},
                    min_width=_LEAST if column.kind in {"title", "text"} else None,
                )

    def add(self, *cells: str) -> None:
        """List something, with a text for each column; a text in no column is left out."""
        shown = []
        for column, cell in zip(self._columns, cells, strict=True):
            if column.least <= self._console.width:
                shown.append(_CELLS[column.kind](cell))
        self._table.add_row(*shown)

    def print(self) -> None:
        """Print it, unless nothing is listed."""
        if self._table.row_count:
            self._console.print(self._table)


class _Name:
    """A name that is shortened where it does not fit."""

    def __init__(self, name: str):
        self._name = name

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        length = cell_len(self._name)
        return Measurement(min(_LEAST, length), length)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(shortened(self._name, options.max_width), no_wrap=True)


def shortened(name: str, width: int) -> str:
    """A name in so many cells of a terminal: whole, or its ends with an ellipsis between."""
    if cell_len(name) <= width:
        return name
    tail = _first(name[::-1], (width - 1) // 2)[::-1]
    return f"{_first(name, width - 1 - cell_len(tail))}{_ELLIPSIS}{tail}"


def _first(text: str, width: int) -> str:
    """As many characters as fit."""
    taken = 0
    for place, character in enumerate(text):
        taken += cell_len(character)
        if taken > width:
            return text[:place]
    return text


_CELLS: dict[str, Callable[[str], RenderableType]] = {
    "name": _Name,
    "title": lambda text: Text(text, no_wrap=True, overflow="ellipsis"),
    "text": Text,
    "number": Text,
    "word": lambda word: Text(word, style=_COLOURS.get(word, "")),
}


def print_below(console: Console, name: str, word: str, *lines: str) -> None:
    """Print what there is to say of something, each sentence whole.

    A terminal has it below the name; elsewhere each line has the name, for those who search it.
    """
    told = [line for line in lines if line]
    if endless(console):
        for line in told:
            console.print(Text(f"  {name}: {line}"))
        return
    colour = _COLOURS.get(word, "")
    console.print(Text.assemble((name, "bold"), ": " if word else "", (word, colour)))
    for line in told:
        console.print(Padding(Text(line), (0, 0, 0, 4), expand=False))


def print_facts(console: Console, facts: Mapping[str, str]) -> None:
    """Print names, each with a text beside it that is wrapped where there is no room."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="bold")
    table.add_column()
    for name, text in facts.items():
        table.add_row(name, Text(text, overflow="fold"))
    console.print(table)


def endless(console: Console) -> bool:
    """Whether lines may be as long as they like: it is no terminal."""
    return console.width == _ENDLESS


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
