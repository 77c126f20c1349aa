"""Opens the warehouse that a URL names, and shortens URLs for messages.

No SQL: each engine is imported when its warehouse is opened.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import parse_qsl

from ods_pipeline.errors import ConfigurationError, WarehouseLocked
from ods_pipeline.lake.bucket import LakePath, ObjectPath
from ods_pipeline.lake.files import absolute, is_text, readable
from ods_pipeline.tables.forms import Form
from ods_pipeline.warehouse.iceberg.address import require_pyiceberg
from ods_pipeline.warehouse.names import AS_IS, LONGEST, TableNames
from ods_pipeline.warehouse.protocol import Warehouse

if TYPE_CHECKING:
    import duckdb

    from ods_pipeline.lake.lake import Lake
    from ods_pipeline.warehouse.last_look import LastLook

_Opened = TypeVar("_Opened")

#: What a warehouse is, as Dagster draws it.
Engine = Literal["duckdb", "postgresql", "iceberg"]
_SCHEMES = {"postgresql", "postgres"}
# Of libpq, and ours: parameters of a URL that may be shown.
_PUBLIC = frozenset(
    (
        "host",
        "hostaddr",
        "port",
        "dbname",
        "user",
        "sslmode",
        "sslrootcert",
        "sslcert",
        "sslkey",
        "sslcrl",
        "gssencmode",
        "options",
        "application_name",
        "connect_timeout",
        "target_session_attrs",
        "channel_binding",
        "service",
        "geometry",
        "keepalives",
        "keepalives_idle",
        "keepalives_interval",
        "keepalives_count",
        "passfile",
    )
)
_FIRST_WAIT = 0.05
_LONGEST_WAIT = 0.2


def default_url(data_dir: LakePath) -> str:
    """The URL of the warehouse in a data folder, for users who name none; empty for a bucket."""
    if isinstance(data_dir, ObjectPath):
        return ""
    return f"duckdb:///{data_dir / 'warehouse.duckdb'}"


def engine_of(url: str) -> Engine:
    """Which engine a warehouse's URL names."""
    if url.startswith("iceberg:"):
        return "iceberg"
    return "postgresql" if url.partition("://")[0].lower() in _SCHEMES else "duckdb"


def needs_one_writer(url: str) -> bool:
    """Whether one process at a time can load into the warehouse at a URL."""
    return engine_of(url) == "duckdb"


def open_warehouse(
    url: str,
    max_wait: float = 0.0,
    stop: Callable[[], bool] | None = None,
    names: TableNames = AS_IS,
) -> Warehouse:
    """Open the warehouse at a URL, made if it does not exist.

    Args:
        url: `duckdb:///PATH`, where a path after three slashes is relative, after four absolute;
            or `postgresql://…` as libpq reads it, or `iceberg:NAME`, a catalog of pyiceberg's.
        max_wait: Seconds to wait for another process to close it, or for a server that starts.
        stop: Called between two attempts; the wait ends when it returns true.
        names: What the schema and tables of the portal that is loaded are called.

    Raises:
        ConfigurationError: The URL names no warehouse that can be opened.
        WarehouseLocked: Another process still has it open, or the server takes nobody yet.
        WarehouseError: It cannot be opened for any other reason.
    """
    if engine_of(url) == "postgresql":
        from ods_pipeline.warehouse.postgres.warehouse import PostgresWarehouse

        return _patiently(lambda: PostgresWarehouse(url, names), max_wait, stop)
    if engine_of(url) == "iceberg":
        require_pyiceberg()
        from ods_pipeline.warehouse.iceberg.warehouse import IcebergWarehouse

        return IcebergWarehouse(url, names)
    path = _path(url)
    from ods_pipeline.warehouse.duckdb import DuckDBWarehouse

    return _patiently(lambda: DuckDBWarehouse(path, names), max_wait, stop)


def tables_of(url: str, schema: str, max_wait: float = 0.0) -> frozenset[str]:
    """The names of a schema's tables; none where there is no such schema, or no warehouse yet.

    Args:
        url: As for `open_warehouse`.
        schema: The schema.
        max_wait: Seconds to wait for a process that loads into it.

    Raises:
        ConfigurationError: The URL names no warehouse that can be opened.
        WarehouseError: It cannot be opened.
    """
    if engine_of(url) == "postgresql":
        from ods_pipeline.warehouse.postgres import reading as postgres

        return postgres.tables_in(url, schema)
    if engine_of(url) == "iceberg":
        require_pyiceberg()
        from ods_pipeline.warehouse.iceberg import reading as iceberg

        return iceberg.tables_in(url, schema)
    if not _path(url).exists():
        return frozenset()
    from ods_pipeline.warehouse.reading import tables_in

    with open_to_read(url, max_wait) as connection:
        return tables_in(connection, schema)


def rows_of(
    url: str, schema: str, tables: Mapping[str, str], form: Form, max_wait: float = 0.0
) -> Any:
    """The rows of tables of the warehouse at a URL.

    Args:
        url: As for `open_warehouse`.
        schema: Schema of the tables.
        tables: The tables by dataset, at least one.
        form: The form of the rows; see `frames`.
        max_wait: Seconds to wait for a process that loads into it.

    Raises:
        ConfigurationError: The tables cannot be had in that form.
        WarehouseError: The warehouse cannot be opened.
    """
    from ods_pipeline.warehouse.frames import from_arrow, from_tables

    if engine_of(url) == "postgresql":
        from ods_pipeline.warehouse.postgres import reading as postgres

        readers = {name: postgres.reader(url, schema, table) for name, table in tables.items()}
        return from_arrow(readers, form)
    if engine_of(url) == "iceberg":
        require_pyiceberg()
        from ods_pipeline.warehouse.iceberg import reading as iceberg

        readers = {name: iceberg.reader(url, schema, table) for name, table in tables.items()}
        return from_arrow(readers, form)
    return from_tables(lambda: open_to_read(url, max_wait), schema, tables, form)


def names_in(url: str, names: TableNames) -> TableNames:
    """The names of tables as the engine at a URL has them, which may have to shorten some."""
    return replace(names, longest=LONGEST) if engine_of(url) == "postgresql" else names


def open_to_read(url: str, max_wait: float = 0.0) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB file for reading only; what reads it is in `reading`.

    Args:
        url: As for `open_warehouse`.
        max_wait: Seconds to wait for a process that loads into it.

    Raises:
        ConfigurationError: The URL names no warehouse that can be opened.
        WarehouseLocked: A process still has it open for writing.
        WarehouseError: It does not exist, or cannot be opened for any other reason.
    """
    path = _path(url)
    from ods_pipeline.warehouse.reading import connect_to_read

    return _patiently(lambda: connect_to_read(path), max_wait)


def exists(url: str) -> bool:
    """Whether there is a warehouse at a URL; a server counts as one without being asked.

    Raises:
        ConfigurationError: The URL names no warehouse that can be opened.
    """
    return engine_of(url) != "duckdb" or _path(url).exists()


def last_look(url: str, lake: Lake, names: TableNames = AS_IS) -> LastLook | None:
    """The last look at what a portal has loaded in the warehouse at a URL.

    Args:
        url: As for `open_warehouse`.
        lake: The portal's lake, where it is kept.
        names: What the portal's schema and tables are called.

    Returns:
        None for a server, which can be changed without a trace, and for a lake in a bucket.

    Raises:
        ConfigurationError: The URL names no warehouse that can be opened.
    """
    if engine_of(url) != "duckdb" or isinstance(lake.root, ObjectPath):
        return None
    from ods_pipeline.warehouse.last_look import LastLook

    return LastLook(_path(url), lake, names)


def _patiently(
    opening: Callable[[], _Opened], max_wait: float, stop: Callable[[], bool] | None = None
) -> _Opened:
    """Try again as long as another process has the warehouse open."""
    end, wait = time.monotonic() + max_wait, _FIRST_WAIT
    while True:
        try:
            return opening()
        except WarehouseLocked:
            left = end - time.monotonic()
            if left <= 0 or (stop and stop()):
                raise
        time.sleep(min(wait, left))
        wait = min(2 * wait, _LONGEST_WAIT)


def _path(url: str) -> Path:
    """The file that a warehouse's URL names."""
    scheme, _, rest = url.partition("://")
    if engine_of(url) != "duckdb":
        reader = "a driver of PostgreSQL" if scheme in _SCHEMES else "pyiceberg or polars"
        raise ConfigurationError(f"{public_url(url)} is no file of DuckDB's: read it with {reader}")
    if not url:
        raise ConfigurationError(
            "a data folder in a bucket has no place for a warehouse: set ODS_WAREHOUSE to "
            "postgresql://HOST/DATABASE or iceberg:NAME, or to duckdb:///PATH on one machine"
        )
    path = rest.removeprefix("/")
    if scheme != "duckdb" or rest == path or path in ("", ":memory:"):
        raise ConfigurationError(
            f"{public_url(url)!r} names no warehouse: set ODS_WAREHOUSE to duckdb:///PATH, "
            "with three slashes before a relative path and four before an absolute one, or to "
            "postgresql://HOST/DATABASE or iceberg:NAME"
        )
    _require_openable(path)
    return Path(path)


def _require_openable(path: str) -> None:
    """Refuse a path that DuckDB takes for another one, which it would read or write instead."""
    whole = absolute(path)
    if not is_text(whole):
        problem = "has a name that is not UTF-8, or a NUL in it"
    elif "\\" in whole:
        problem = "has a backslash in it, which DuckDB takes for a slash"
    elif "?" in os.path.dirname(whole):
        problem = "is in a folder with a question mark, where DuckDB takes the path to end"
    else:
        return
    raise ConfigurationError(
        f"the warehouse {readable(whole)} {problem}; set ODS_WAREHOUSE to duckdb:///PATH with "
        "another path"
    )


def public_url(url: str) -> str:
    """A warehouse's URL without password, and without parameters that may be one, for messages.

    Of a URL that cannot be split with certainty only the scheme is left.
    """
    if engine_of(url) == "iceberg":
        # A name is no secret, nor are days; what has one in it is neither.
        return "iceberg:***" if set("@:") & set(url.removeprefix("iceberg:")) else url
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "***" if set("=@:") & set(url) else url
    if scheme == "duckdb":
        return url
    end = min((index for mark in "/?#" if (index := rest.find(mark)) >= 0), default=len(rest))
    authority, tail = rest[:end], rest[end:]
    if "@" in tail:
        # In a parameter, or in an unescaped password that begins in the authority.
        return f"{scheme}://***"
    user, has_user, host = authority.rpartition("@")
    who = user.partition(":")[0] + (":***" if ":" in user else "") + has_user
    place, _, query = tail.partition("#")[0].partition("?")
    names = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
    shown = f"?{query}" if names and names <= _PUBLIC and scheme in _SCHEMES else ""
    return f"{scheme}://{who}{host}{place}{shown}"
