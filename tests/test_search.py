"""The search for secrets finds what is planted: without that, finding nothing means nothing."""

from __future__ import annotations

import base64
import gzip
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, urlencode

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.place import KEY, SECRET
from tests.search import Secrets


def in_text(folder: Path, text: str) -> None:
    (folder / "run.log").write_text(f"before {text} after")


def in_a_name(folder: Path, text: str) -> None:
    (folder / quote(text, safe="")).touch()


def in_a_url(folder: Path, text: str) -> None:
    (folder / "run.log").write_text(f"GET /?{urlencode({'apikey': text})}&lang=en")


def in_basic(folder: Path, text: str) -> None:
    pair = base64.b64encode(f"the-app:{quote(text, safe='')}".encode()).decode()
    (folder / "run.log").write_text(f"Authorization: Basic {pair}")


def in_gzip(folder: Path, text: str) -> None:
    (folder / "run.log.gz").write_bytes(gzip.compress(text.encode()))


def in_a_database(folder: Path, text: str) -> None:
    with closing(sqlite3.connect(folder / "runs.db")) as connection:
        connection.execute("CREATE TABLE snapshots (body BLOB)")
        connection.execute("INSERT INTO snapshots VALUES (?)", [zlib.compress(text.encode())])
        connection.commit()


def in_a_cursor(folder: Path, text: str) -> None:
    with closing(sqlite3.connect(folder / "ticks.db")) as connection:
        connection.execute("CREATE TABLE ticks (cursor TEXT)")
        cursor = base64.b64encode(zlib.compress(text.encode())).decode()
        connection.execute("INSERT INTO ticks VALUES (?)", [cursor])
        connection.commit()


def in_a_column(folder: Path, text: str) -> None:
    rows = pa.table({"code": [f"{text} {number}" for number in range(1000)]})
    pq.write_table(rows, folder / "trees.parquet", compression="zstd")


def in_a_footer(folder: Path, text: str) -> None:
    rows = pa.table({"code": ["a"]}).replace_schema_metadata({"source_url": text})
    pq.write_table(rows, folder / "trees.parquet")


def in_a_comment(folder: Path, text: str) -> None:
    with duckdb.connect(folder / "warehouse.duckdb") as connection:
        connection.execute("CREATE TABLE trees (code TEXT)")
        connection.execute(f"COMMENT ON COLUMN trees.code IS '{text}'")


def in_a_table(folder: Path, text: str) -> None:
    with duckdb.connect(folder / "warehouse.duckdb") as connection:
        connection.execute("CREATE TABLE trees AS SELECT ? || i AS c FROM range(9999) r(i)", [text])


PLANTS = [
    in_text,
    in_a_name,
    in_a_url,
    in_basic,
    in_gzip,
    in_a_database,
    in_a_cursor,
    in_a_column,
    in_a_footer,
    in_a_comment,
    in_a_table,
]


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_secret_that_is_planted_is_found(
    tmp_path: Path, plant: Callable[[Path, str], None]
) -> None:
    assert not Secrets([SECRET]).below(tmp_path)
    plant(tmp_path, SECRET)
    assert len(Secrets([SECRET, KEY]).below(tmp_path)) == 1
    assert not Secrets([KEY]).below(tmp_path)
