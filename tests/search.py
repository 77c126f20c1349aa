"""Looks for known secrets in all that programs leave behind: text, files, databases, tables.

What is packed is unpacked first: compressed columns hide a value from a search of raw bytes.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import gzip
import json
import sqlite3
import traceback
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import duckdb
import pyarrow.parquet as pq

from ods_pipeline.errors import OdsPipelineError


class Secrets:
    """What must not be found, in each of its forms."""

    def __init__(self, values: Iterable[str]) -> None:
        """Know the values; one that is too short would be found by chance."""
        self.values = sorted(set(values))
        assert self.values
        assert all(len(value) >= 8 for value in self.values)
        self._forms = {form: value for value in self.values for form in forms(value)}

    def within(self, data: bytes | str) -> list[str]:
        """The secrets in some data, by how they begin."""
        raw = data.encode("utf-8", "replace") if isinstance(data, str) else data
        return sorted({value[:8] for form, value in self._forms.items() if form in raw})

    def below(self, folder: Path, *allowed: Path) -> list[str]:
        """Where secrets are in the files of a folder; those allowed may hold them."""
        return [
            f"{path.relative_to(folder)}: {', '.join(found)}"
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not any(path.is_relative_to(item) for item in allowed)
            if (found := self._in_file(path))
        ]

    def _in_file(self, path: Path) -> list[str]:
        return sorted({found for part in parts(path) for found in self.within(part)})


def forms(value: str) -> set[bytes]:
    """A value as it is, as URLs and JSON have it, and amid anything that is base64."""
    texts = {value, quote(value, safe=""), quote_plus(value), json.dumps(value)[1:-1]}
    texts |= {text.lower() for text in texts if "%" in text}
    found = {text.encode() for text in texts}
    for whole in [text.encode() for text in texts]:
        for before in range(3):
            # The bytes that share no group of three with what stands around them.
            own = whole[-before % 3 :]
            own = own[: len(own) // 3 * 3]
            found |= {base64.b64encode(own), base64.urlsafe_b64encode(own)}
    return found


def parts(path: Path) -> Iterator[bytes | str]:
    """A file as it is, and what is packed in it."""
    raw = path.read_bytes()
    yield path.name
    yield raw
    if raw.startswith(b"SQLite format 3"):
        yield from _sqlite(path)
    elif raw.startswith(b"PAR1"):
        table = pq.read_table(path)
        yield str(table.schema.metadata)
        yield str([field.metadata for field in table.schema])
        yield str(table.to_pylist())
    elif raw[8:12] == b"DUCK":
        yield from _duckdb(path)
    elif raw.startswith(b"\x1f\x8b"):
        yield gzip.decompress(raw)


def _sqlite(path: Path) -> Iterator[bytes | str]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in names:
            for row in connection.execute(f'SELECT * FROM "{name}"'):
                for value in row:
                    if isinstance(value, str | bytes):
                        yield from unpacked(value)


def _duckdb(path: Path) -> Iterator[str]:
    with duckdb.connect(path, read_only=True) as connection:
        yield str(connection.execute("SELECT * FROM duckdb_columns()").fetchall())
        yield str(connection.execute("SELECT sql, comment FROM duckdb_tables()").fetchall())
        names = connection.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT internal"
        ).fetchall()
        for schema, table in names:
            yield str(connection.execute(f'SELECT * FROM "{schema}"."{table}"').fetchall())


def unpacked(value: str | bytes) -> Iterator[bytes | str]:
    """A value as it is, and without compression and base64."""
    yield value
    raw = value.encode() if isinstance(value, str) else value
    for packed in (raw, _from_base64(raw)):
        with contextlib.suppress(zlib.error):
            yield zlib.decompress(packed)


def _from_base64(raw: bytes) -> bytes:
    try:
        return base64.b64decode(raw, validate=True)
    except binascii.Error:
        return b""


def told(error: BaseException) -> str:
    """All that an exception and its causes say, to people and to programs."""
    text = ["".join(traceback.format_exception(error))]
    seen: BaseException | None = error
    known: set[int] = set()
    while seen and id(seen) not in known:
        known.add(id(seen))
        text += [str(seen), repr(seen), repr(seen.args)]
        text += [repr(vars(seen))] if isinstance(seen, OdsPipelineError) else []
        seen = seen.__cause__ or seen.__context__
    return "\n".join(text)
