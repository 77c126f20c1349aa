"""Reads whole columns of numbers with Arrow's kernels, and notes what they lose.

What the kernels cannot read alike raises ArrowInvalid; the rules for one number are in
`tables.values`.
"""

from __future__ import annotations

import re
import struct
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from ods_pipeline.tables.oddities import Column
from ods_pipeline.tables.values import NO_NUMBER, ROUNDED, ROUNDED_DIGITS, lost_digits

_NARROW = "the export has single precision where double is declared; digits may be missing"
_WORD = re.compile(r"\s*[+-]?(nan|inf|infinity)\s*", re.IGNORECASE)
# So many digits every float holds.
_SURE = 15
# Taken from bytes: Arrow loads pandas (0.6 s, 60 MB) to make a scalar or an array of Python values.
_LIMITS = pa.py_buffer(struct.pack("=3i", _SURE, 17, 18))
_FEW, _HELD, _MANY = pa.Array.from_buffers(pa.int32(), 3, [None, _LIMITS])


def texts_of(column: pa.Array) -> bytes:
    """The texts of a column one after the other, perhaps with others of the same buffer."""
    texts = column.buffers()[2]
    return texts.to_pybytes() if texts else b""


def integers(of: Column, column: pa.Array, target: pa.DataType) -> pa.Array:
    """64-bit integers of texts or numbers.

    Raises:
        ArrowInvalid: Some have to be read one by one.
    """
    if pa.types.is_string(column.type):
        # Arrow reads hexadecimal; no portal writes it, and `0x10` in an int field is a mistake.
        texts = texts_of(column)
        if b"x" in texts or b"X" in texts:
            raise pa.ArrowInvalid("hexadecimal")
    elif not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise pa.ArrowInvalid("no number")
    elif pa.types.is_floating(column.type):
        column = _unrounded(of, column)
        if _skips(column):
            raise pa.ArrowInvalid("rounded")
        whole = _numbers(column).cast(target)
        return _noted(of, column, whole)
    return column.cast(target)


def _unrounded(of: Column, column: pa.Array) -> pa.Array:
    """Narrow floats without those that may stand for several whole numbers."""
    bits = {pa.float16(): 11, pa.float32(): 24}.get(column.type)
    if bits is None:
        return column
    wide = column.cast(pa.float64())
    if (pc.max(pc.abs(wide)).as_py() or 0) < 2**bits:
        return wide
    rounded = pc.greater_equal(pc.abs(wide), 2.0**bits)
    for offset in pc.indices_nonzero(rounded).to_pylist():
        of.reject(offset, wide[offset].as_py())
    return pc.if_else(rounded, pa.nulls(1, pa.float64())[0], wide)


def _skips(column: pa.Array) -> bool:
    """Whether floats are so large that they skip whole numbers."""
    return bool((pc.max(pc.abs(column)).as_py() or 0) >= ROUNDED)


def _numbers(column: pa.Array) -> pa.Array:
    """Floats with null in place of NaN."""
    missing = pc.is_nan(column)
    if not pc.any(missing).as_py():
        return column
    return pc.if_else(missing, pa.nulls(1, column.type)[0], column)


def _noted(of: Column, column: pa.Array, numbers: pa.Array) -> pa.Array:
    """The same numbers, after a note of how many values of the column they lack."""
    if numbers.null_count > column.null_count:
        of.note(NO_NUMBER, numbers.null_count - column.null_count)
    return numbers


def floats(of: Column, column: pa.Array, target: pa.DataType) -> pa.Array:
    """64-bit floats of texts or numbers; those that lose digits are noted.

    Raises:
        ArrowInvalid: Some have to be read one by one.
    """
    kind = column.type
    if pa.types.is_boolean(kind) or pa.types.is_temporal(kind):
        raise pa.ArrowInvalid("no number")
    if pa.types.is_decimal(kind) and kind.precision > _SURE:
        column = column.cast(pa.string())
    if pa.types.is_string(column.type):
        return _of_texts(of, column, target)
    if kind in {pa.int64(), pa.uint64()}:
        return _of_integers(of, column, target)
    numbers = _numbers(pc.cast(column, target, safe=False))
    if pa.types.is_float16(kind) or pa.types.is_float32(kind):
        of.note(_NARROW, len(numbers) - numbers.null_count)
    return _noted(of, column, numbers)


def _of_texts(of: Column, column: pa.Array, target: pa.DataType) -> pa.Array:
    numbers = column.cast(target)
    finite = pc.is_finite(numbers)
    if not pc.all(finite, min_count=0).as_py():
        # Arrow reads `NAN(1)` too, and makes 1e400 infinite.
        words = pc.unique(column.filter(pc.invert(finite))).to_pylist()
        if not all(map(_WORD.fullmatch, words)):
            raise pa.ArrowInvalid("an odd number")
    of.note(ROUNDED_DIGITS, _rounded_texts(column))
    return _noted(of, column, _numbers(numbers))


def _rounded_texts(column: pa.Array) -> int:
    """How many texts have more digits than their floats; most columns have short texts alone."""
    lengths = pc.binary_length(column)
    if (pc.max(lengths).as_py() or 0) <= _SURE:
        return 0
    # First without looking at digits: fractions as programs write them are not longer.
    pointed = pc.and_not(pc.match_substring(column, "."), pc.ends_with(column, "0"))
    suspect = pc.and_(
        pc.greater(lengths, _FEW), pc.or_(pc.greater(lengths, _MANY), pc.invert(pointed))
    )
    texts = column.filter(suspect)
    digits = pc.utf8_trim(texts, characters="+-.0")
    points = pc.match_substring(digits, ".")
    count = pc.subtract(pc.binary_length(digits), points.cast(pa.int32()))
    most = pc.if_else(points, _HELD, _FEW)
    doubtful = texts.filter(pc.greater(count, most)).to_pylist()
    return sum(lost_digits(Decimal(text), float(text)) for text in doubtful)


def _of_integers(of: Column, column: pa.Array, target: pa.DataType) -> pa.Array:
    try:
        return column.cast(target)
    except pa.ArrowInvalid:
        numbers = pc.cast(column, target, safe=False)
    same = pc.equal(pc.cast(numbers, column.type, safe=False), column)
    doubtful = column.filter(pc.invert(same)).to_pylist()
    of.note(ROUNDED_DIGITS, sum(lost_digits(Decimal(some), float(some)) for some in doubtful))
    return numbers
