"""PostgreSQL as every room finds it: its URL, what messages may show of it, its words, its locks.

Nothing is connected to here.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ods_pipeline.errors import ConfigurationError
from ods_pipeline.redaction import keep_secret

if TYPE_CHECKING:
    import psycopg as driver

_SECRETS = ("password", "sslpassword")

# As libpq's own, except where the URL or libpq's variable says otherwise.
_DEFAULTS: Mapping[str, tuple[Any, str]] = {
    "connect_timeout": (10, "PGCONNECT_TIMEOUT"),
    "application_name": ("ods-pipeline", "PGAPPNAME"),
    # A server that vanished without a word is noticed after 20 seconds.
    "keepalives_idle": (5, ""),
    "keepalives_interval": (5, ""),
    "keepalives_count": (3, ""),
    "tcp_user_timeout": (20_000, ""),
}

_UNREADABLE = (
    "{} is no URL that libpq can read, such as postgresql://USER@HOST/DATABASE; write special "
    "characters of a password with %, such as %40 for @ and %2F for /"
)


@dataclass(frozen=True)
class Address:
    """Where a database is.

    Attributes:
        parameters: What libpq is given.
        where: Host and database, for messages.
    """

    parameters: Mapping[str, Any] = field(repr=False)
    where: str


def parse(url: str, setting: str) -> Address:
    """Read a URL as libpq does.

    Args:
        url: Whatever libpq understands.
        setting: What it was given for, for messages.

    Raises:
        ConfigurationError: It is no such URL, or psycopg is not installed.
    """
    driver = psycopg()
    # libpq takes what follows such a sign in a password for host or database, and shows it.
    place = url.partition("?")[0].partition("://")[2]
    if place.count("@") > 1 or "@" in place.partition("/")[2]:
        raise ConfigurationError(_UNREADABLE.format(setting))
    try:
        given = driver.conninfo.conninfo_to_dict(url)
    except driver.Error:
        given = None
    # Not as its cause or context: libpq quotes what it could not read, and that may be a password.
    if given is None:
        raise ConfigurationError(_UNREADABLE.format(setting))
    keep_secret(*(str(given[name]) for name in _SECRETS if given.get(name)))
    keep_secret(os.environ.get("PGPASSWORD", ""))
    defaults = {
        name: value
        for name, (value, variable) in _DEFAULTS.items()
        if name not in given and not os.environ.get(variable)
    }
    parameters = {**defaults, **given, "client_encoding": "utf8"}
    return Address(parameters, _where(given))


def psycopg() -> ModuleType:
    """The library, imported when it is needed.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        import psycopg
    except ImportError as error:
        raise ConfigurationError(
            "PostgreSQL is reached with the help of psycopg, which is not installed here; run "
            '`pip install "ods-pipeline[postgres]"`'
        ) from error
    return psycopg


def made_by_another() -> tuple[type[driver.Error], ...]:
    """What the server says of a table that somebody else makes at the same moment.

    Which of them depends on how far the other one is: on its type alone, or on the table itself.
    """
    errors = psycopg().errors
    return errors.DuplicateTable, errors.DuplicateObject, errors.UniqueViolation


def said(error: driver.Error) -> str:
    """What the server or libpq says of an error, without the address and what is added to it."""
    first = error.diag.message_primary or str(error).strip().partition("\n")[0]
    # The address goes before the reason, and is in our sentence already.
    return re.sub(r"^(connection failed: )?(connection to server .*? failed: )?", "", first).strip(
        ". "
    )


def lock_number(*names: str) -> int:
    """The number of an advisory lock, which the whole database knows it by."""
    text = "\0".join(("ods-pipeline", *names))
    return int.from_bytes(
        hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "big", signed=True
    )


def _where(given: Mapping[str, Any]) -> str:
    """Host and database as far as the URL or libpq's variables name them."""
    environment = os.environ.get
    host = str(given.get("host") or given.get("hostaddr") or environment("PGHOST") or "")
    port = str(given.get("port") or environment("PGPORT") or "")
    database = str(given.get("dbname") or environment("PGDATABASE") or "")
    service = str(given.get("service") or environment("PGSERVICE") or "")
    if service and not host:
        return f"postgresql:///?service={service}"
    return f"postgresql://{host}{':' if port else ''}{port}/{database}"
