"""Opens the warehouse that a URL names, and shortens URLs for messages.

No SQL: each engine is imported when its warehouse is opened.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from ods_pipeline.errors import ConfigurationError, WarehouseLocked
from ods_pipeline.lake.files import absolute, is_text, readable
from ods_pipeline.warehouse.protocol import Warehouse

_FIRST_WAIT = 0.05
_LONGEST_WAIT = 0.2


def default_url(data_dir: Path) -> str:
    """The URL of the warehouse in a data folder, for users who name none."""
    return f"duckdb:///{data_dir / 'warehouse.duckdb'}"


def open_warehouse(
    url: str, max_wait: float = 0.0, stop: Callable[[], bool] | None = None
) -> Warehouse:
    """Open the warehouse at a URL, made if it does not exist.

    Args:
        url: `duckdb:///PATH`; a path after three slashes is relative, after four absolute.
        max_wait: Seconds to wait for another process to close it.
        stop: Called between two attempts; the wait ends when it returns true.

    Raises:
        ConfigurationError: The URL names no warehouse that can be opened.
        WarehouseLocked: Another process still has it open.
        WarehouseError: It cannot be opened for any other reason.
    """
    scheme, _, rest = url.partition("://")
    if scheme.startswith("postgres"):
        raise ConfigurationError(
            f"the warehouse {public_url(url)} cannot be used: this version loads into DuckDB "
            "alone, so set ODS_WAREHOUSE to duckdb:///PATH"
        )
    path = rest.removeprefix("/")
    if scheme != "duckdb" or rest == path or path in ("", ":memory:"):
        raise ConfigurationError(
            f"{public_url(url)!r} names no warehouse: set ODS_WAREHOUSE to duckdb:///PATH, "
            "with three slashes before a relative path and four before an absolute one"
        )
    _require_openable(path)
    from ods_pipeline.warehouse.duckdb import DuckDBWarehouse

    end, wait = time.monotonic() + max_wait, _FIRST_WAIT
    while True:
        try:
            return DuckDBWarehouse(Path(path))
        except WarehouseLocked:
            left = end - time.monotonic()
            if left <= 0 or (stop and stop()):
                raise
        time.sleep(min(wait, left))
        wait = min(2 * wait, _LONGEST_WAIT)


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
    """A warehouse's URL without password and parameters, for messages.

    Of a URL that cannot be split with certainty only the scheme is left.
    """
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
    return f"{scheme}://{who}{host}{tail.partition('?')[0].partition('#')[0]}"
