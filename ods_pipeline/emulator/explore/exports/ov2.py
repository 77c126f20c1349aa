"""OV2, the points of interest of TomTom's devices: a place and a name for each row.

Which rows an export has does not belong here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from ods_pipeline.emulator.explore.exports.rows import Rows

#: A simple point: its kind, the length of the whole record, hundred thousandths of a degree.
RECORD = struct.Struct("<BIii")
SIMPLE = 2
SCALE = 100_000


def stream(rows: Rows) -> Iterator[bytes]:
    """A record for each row that has a place, named by its first text.

    UNCERTAIN: never recorded. The format has one point and one text; other shapes are their
    centres.
    """
    texts = [
        values.to_pylist()
        for column, values in zip(rows.columns, rows.values, strict=True)
        if column.type == "text"
    ]
    for i, shape in enumerate(rows.shapes):
        if shape is None or shape.is_empty:
            continue
        name = str((texts[0][i] if texts else None) or "").replace("\0", "")
        label = name.encode("latin-1", "replace") + b"\0"
        where = (round(value * SCALE) for value in shape.centroid.coords[0][:2])
        yield RECORD.pack(SIMPLE, RECORD.size + len(label), *where) + label
