"""XLSX: one sheet with a line of names, for records and for the catalog alike.

What is in the cells is decided by who exports them.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from typing import Any

from ods_pipeline.emulator.explore.exports.rows import Rows


def records(rows: Rows, *, use_labels: bool) -> bytes:
    """Numbers and booleans are such cells; all others are texts as in CSV.

    UNCERTAIN: never recorded. Excel has no time zones, so moments are texts too.
    """
    names = [c.label if use_labels and c.label else c.name for c in rows.columns]
    columns = [array.to_pylist() for array in rows.values]
    return sheet(names, zip(*columns, strict=True))


def sheet(names: Sequence[str], lines: Iterable[Sequence[Any]]) -> bytes:
    """A workbook with one sheet."""
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    page = book.create_sheet("Sheet1")
    for line in (names, *lines):
        page.append([_cell(page, value) for value in line])
    body = io.BytesIO()
    book.save(body)
    return body.getvalue()


def _cell(page: Any, value: Any) -> Any:
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    if isinstance(value, float) and not math.isfinite(value):
        value = str(value)
    if not isinstance(value, str):
        return value
    cell = WriteOnlyCell(page, ILLEGAL_CHARACTERS_RE.sub("", value))
    # A text that begins with an equals sign is no formula.
    cell.data_type = "s"
    return cell
