"""Structs in Thrift's compact protocol, in which Parquet writes footers and headers of pages.

Where each field begins and ends, and the numbers; other values are skipped. What the fields mean
does not belong here.
"""

from __future__ import annotations

from typing import NamedTuple

_FIXED = {1: 0, 2: 0, 3: 1, 7: 8, 13: 16}
_NUMBERS, _BINARY, _LISTS, _STRUCT = {4, 5, 6}, 8, {9, 10}, 12
# No file of Parquet nests so deeply.
_DEPTH = 16


class Field(NamedTuple):
    """A field of a struct.

    Attributes:
        number: Which one.
        begin: Where its value begins.
        end: Where it ends.
        is_number: Whether the value is one that `number` reads.
    """

    number: int
    begin: int
    end: int
    is_number: bool


def fields(data: bytes) -> tuple[list[Field], int]:
    """The fields of the struct that some bytes begin with, and where it ends.

    Raises:
        IndexError: The bytes end before it.
        KeyError: They make no sense.
    """
    return _struct(data, 0, _DEPTH)


def number(data: bytes, at: int) -> tuple[int, int]:
    """The number at a place, and where it ends."""
    value, at = _unsigned(data, at)
    return (value >> 1) ^ -(value & 1), at


def _struct(data: bytes, at: int, depth: int) -> tuple[list[Field], int]:
    found: list[Field] = []
    field = 0
    while head := data[at]:
        kind, step = head & 15, head >> 4
        at += 1
        if step:
            field += step
        else:
            field, at = number(data, at)
        begin, at = at, _after(data, at, kind, depth)
        found.append(Field(field, begin, at, kind in _NUMBERS))
    return found, at + 1


def _after(data: bytes, at: int, kind: int, depth: int) -> int:
    """Where a value of a kind ends."""
    if not depth:
        raise KeyError("nested too deeply")
    if kind in _NUMBERS:
        return number(data, at)[1]
    if kind == _BINARY:
        length, at = _unsigned(data, at)
        if at + length > len(data):
            raise IndexError
        return at + length
    if kind == _STRUCT:
        return _struct(data, at, depth - 1)[1]
    if kind in _LISTS:
        return _after_list(data, at, depth)
    return at + _FIXED[kind]


def _after_list(data: bytes, at: int, depth: int) -> int:
    length, kind = data[at] >> 4, data[at] & 15
    at += 1
    if length == 15:
        length, at = _unsigned(data, at)
    for _ in range(length):
        # The truths of a list have a byte each, those of a struct are in its heads.
        at = _after(data, at, kind if kind > 2 else 3, depth - 1)
        data[at - 1]
    return at


def _unsigned(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise KeyError("no number")
