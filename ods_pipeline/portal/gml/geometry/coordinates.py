"""Coordinates as text, to numbers: `pos`, `posList`, `coordinates` and `coord`.

One text after the other, exactly, with the reason where it is refused. `bulk` reads thousands at
once and gives up where anything is out of the ordinary. What the numbers mean is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Numbers = np.ndarray[Any, np.dtype[np.float64]]
Truths = np.ndarray[Any, np.dtype[np.bool_]]

_NUMERIC = re.compile(r"[\d+\-.eE\s]*", re.ASCII)
# For Arrow's engine, which never goes back.
_PAIRS = r"^[\s\v]*[^\s\v,]+,[^\s\v,]+([\s\v]+[^\s\v,]+,[^\s\v,]+)*[\s\v]*$"
_SPACES = r"[\s\v]+"


class Unreadable(ValueError):
    """What is wrong with a geometry; which feature's it is, its caller adds."""


@dataclass(frozen=True)
class Coordinates:
    """Where a run of points stands among a geometry's texts, and how it is written.

    Attributes:
        slots: Numbers of the texts.
        form: `pos` (one point each), `list` (all in one), `tuples` (GML 2's `coordinates`) or
            `axes` (GML 2's `coord`: one number each).
        dimension: Numbers per point as declared; 0 where nothing is.
        usual: Numbers per point where nothing is declared: the CRS's.
        count: Number of points as declared; -1 without.
        decimal: Decimal sign of `tuples`.
        within: Separator within a tuple.
        between: Separator between tuples.
    """

    slots: tuple[int, ...]
    form: str
    dimension: int = 0
    usual: int = 2
    count: int = -1
    decimal: str = "."
    within: str = ","
    between: str = " "


def points(run: Coordinates, texts: Sequence[str]) -> Numbers:
    """The points of a run, one per row, of two or three columns.

    Raises:
        Unreadable: The texts are no points.
    """
    if run.form == "list":
        found = _list(run, texts[run.slots[0]])
    elif run.form == "tuples":
        found = _rows([row for slot in run.slots for row in _tuples(run, texts[slot])])
    elif run.form == "axes":
        found = _rows([[number for slot in run.slots for number in _numbers(texts[slot])]])
    else:
        found = _rows([row for slot in run.slots if (row := _numbers(texts[slot]))])
    if len(found) and run.dimension and run.dimension != found.shape[1]:
        raise Unreadable(f"has {found.shape[1]} numbers in a point that declares {run.dimension}")
    return found


def _list(run: Coordinates, text: str) -> Numbers:
    numbers = _numbers(text)
    dimension = run.dimension or run.usual
    if run.count > 0 and not run.dimension and len(numbers) in (2 * run.count, 3 * run.count):
        dimension = len(numbers) // run.count
    if dimension not in (2, 3):
        raise Unreadable(f"has points of {dimension} dimensions")
    if len(numbers) % dimension:
        raise Unreadable(f"has {len(numbers)} numbers, which are no points of {dimension}")
    if run.count >= 0 and run.count * dimension != len(numbers):
        raise Unreadable(f"declares {run.count} points and has {len(numbers) // dimension}")
    return np.array(numbers, np.float64).reshape(-1, dimension)


def _tuples(run: Coordinates, text: str) -> list[list[float]]:
    if len({run.decimal, run.within, run.between}) < 3 or len(run.within + run.between) != 2:
        raise Unreadable("has coordinates whose separators are the same")
    if run.between.isspace() and not run.within.isspace():
        text = run.within.join(part.strip() for part in text.split(run.within))
    rows = text.split(None if run.between.isspace() else run.between)
    rows = [row for row in map(str.strip, rows) if row]
    separator = None if run.within.isspace() else run.within
    return [
        [_number(number.strip().replace(run.decimal, ".")) for number in row.split(separator)]
        for row in rows
    ]


def _rows(rows: list[list[float]]) -> Numbers:
    dimensions = {len(row) for row in rows}
    if not dimensions or dimensions == {0}:
        return np.empty((0, 2))
    if len(dimensions) > 1 or not dimensions <= {2, 3}:
        raise Unreadable(f"has points of {' and '.join(map(str, sorted(dimensions)))} numbers")
    return np.array(rows, np.float64)


def _numbers(text: str) -> list[float]:
    if not _NUMERIC.fullmatch(text):
        raise Unreadable(f"has coordinates that are no numbers: {_shown(text)}")
    return [_number(token) for token in text.split()]


def _number(token: str) -> float:
    try:
        if not _NUMERIC.fullmatch(token):
            raise ValueError(token)
        number = float(token)
    except ValueError as error:
        raise Unreadable(f"has coordinates that are no numbers: {_shown(token)}") from error
    if not np.isfinite(number):
        raise Unreadable(f"has coordinates beyond all bounds: {_shown(token)}")
    return number


def scalar(text: str) -> float:
    """One number, such as a radius.

    Raises:
        Unreadable: It is none.
    """
    return _number(text.strip())


def _shown(text: str) -> str:
    text = " ".join(text[:200].split())
    return repr(text if len(text) <= 60 else text[:57] + "…")


def are_pairs(texts: pa.Array) -> Truths:
    """Which texts are GML 2's `x,y x,y`, and nothing but pairs."""
    found: Truths = pc.match_substring_regex(texts, _PAIRS).to_numpy(zero_copy_only=False)
    return found


def bulk(texts: pa.Array) -> tuple[Numbers, np.ndarray[Any, np.dtype[np.int64]]] | None:
    """The numbers of many texts in one array, and how many each text has.

    Returns:
        None where a text holds anything but finite numbers.
    """
    for usual in (True, False):
        lists = pc.split_pattern(texts if usual else _spaced(texts), pattern=" ")
        try:
            numbers = lists.flatten().cast(pa.float64()).to_numpy()
        except pa.ArrowInvalid:
            continue
        counts = np.diff(lists.offsets.to_numpy()).astype(np.int64)
        return (numbers, counts) if np.isfinite(numbers).all() else None
    return None


def _spaced(texts: pa.Array) -> pa.Array:
    """The texts with one space between numbers; an empty text stays one that is no number."""
    return pc.ascii_trim_whitespace(pc.replace_substring_regex(texts, _SPACES, " "))
