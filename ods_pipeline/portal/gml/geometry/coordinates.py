"""Parses the coordinates in `pos`, `posList`, `coordinates` and `coord`.

`points` parses the texts of one geometry and says what is wrong with them; `parse_all` parses
thousands at once, or gives up. Nothing here knows axes, reference systems or kinds of geometry.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ods_pipeline.redaction import excerpt
from ods_pipeline.tables.curves import Numbers, Unreadable

Integers = np.ndarray[Any, np.dtype[np.int64]]
Truths = np.ndarray[Any, np.dtype[np.bool_]]

_NUMERIC = re.compile(r"[\d+\-.eE\s]*", re.ASCII)
# For Arrow's engine, which does not backtrack.
_PAIRS = r"^[\s\v]*[^\s\v,]+,[^\s\v,]+([\s\v]+[^\s\v,]+,[^\s\v,]+)*[\s\v]*$"
_SPACES = r"[\s\v]+"


@dataclass(frozen=True)
class Coordinates:
    """Which of a geometry's texts hold a run of points, and how they are written.

    Attributes:
        slots: Numbers of the texts.
        form: `pos` (one point each), `list` (all in one), `tuples` (GML 2's `coordinates`) or
            `axes` (GML 2's `coord`: one number each).
        dimension: Declared numbers per point; 0 if not declared.
        default: Numbers per point if not declared: those of the CRS.
        count: Declared number of points; -1 if not declared.
        decimal: Decimal sign of `tuples`.
        within: Separator within a tuple.
        between: Separator between tuples.
    """

    slots: tuple[int, ...]
    form: str
    dimension: int = 0
    default: int = 2
    count: int = -1
    decimal: str = "."
    within: str = ","
    between: str = " "


def points(run: Coordinates, texts: Sequence[str]) -> Numbers:
    """The points of a run, one per row, with two or three columns."""
    if run.form == "list":
        result = _list(run, texts[run.slots[0]])
    elif run.form == "tuples":
        result = _rows([row for slot in run.slots for row in _tuples(run, texts[slot])])
    elif run.form == "axes":
        result = _rows([[number for slot in run.slots for number in _numbers(texts[slot])]])
    else:
        result = _rows([row for slot in run.slots if (row := _numbers(texts[slot]))])
    if len(result) and run.dimension and run.dimension != result.shape[1]:
        raise Unreadable(f"has {result.shape[1]} numbers in a point that declares {run.dimension}")
    return result


def _list(run: Coordinates, text: str) -> Numbers:
    numbers = _numbers(text)
    dimension = run.dimension or run.default
    if run.count > 0 and not run.dimension and len(numbers) in (2 * run.count, 3 * run.count):
        dimension = len(numbers) // run.count
    if dimension not in (2, 3):
        raise Unreadable(f"has points of {dimension} dimensions")
    if len(numbers) % dimension:
        raise Unreadable(f"has {len(numbers)} numbers, which do not make points of {dimension}")
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
        raise Unreadable(f"has coordinates that are not numbers: {_shown(text)}")
    return [_number(token) for token in text.split()]


def _number(token: str) -> float:
    try:
        if not _NUMERIC.fullmatch(token):
            raise ValueError(token)
        number = float(token)
    except ValueError as error:
        raise Unreadable(f"has coordinates that are not numbers: {_shown(token)}") from error
    if not np.isfinite(number):
        raise Unreadable(f"has coordinates that are not finite: {_shown(token)}")
    return number


def scalar(text: str) -> float:
    """One number, such as a radius."""
    return _number(text.strip())


def _shown(text: str) -> str:
    text = " ".join(text[:200].split())
    return repr(excerpt(text, 60))


def are_pairs(texts: pa.Array) -> Truths:
    """Which texts are pairs in GML 2's form, `x,y x,y`."""
    result: Truths = pc.match_substring_regex(texts, _PAIRS).to_numpy(zero_copy_only=False)
    return result


def parse_all(texts: pa.Array) -> tuple[Numbers, Integers] | None:
    """The numbers of many texts, and how many each has; None if one has anything else."""
    for single_spaces in (True, False):
        if not single_spaces:
            # An empty text stays empty, and is no number.
            spaced = pc.replace_substring_regex(texts, _SPACES, " ")
            texts = pc.ascii_trim_whitespace(spaced)
        lists = pc.split_pattern(texts, pattern=" ")
        try:
            numbers = lists.flatten().cast(pa.float64()).to_numpy()
        except pa.ArrowInvalid:
            continue
        counts = np.diff(lists.offsets.to_numpy()).astype(np.int64)
        return (numbers, counts) if np.isfinite(numbers).all() else None
    return None
