"""The URL of a PostgreSQL warehouse: what libpq is given of it, and what messages may show.

Nothing is connected to here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl, urlencode

from ods_pipeline.errors import ConfigurationError
from ods_pipeline.redaction import keep_secret

#: The one parameter that is ours: `geometry=wkb` makes geometries `bytea`, without PostGIS.
GEOMETRY = "geometry"
_WKB = "wkb"
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
    "the warehouse is no URL that libpq can read, such as postgresql://USER@HOST/DATABASE; write "
    "special characters of a password with %, such as %40 for @ and %2F for /"
)


@dataclass(frozen=True)
class Address:
    """Where a warehouse is, and how its geometries are kept.

    Attributes:
        parameters: What libpq is given.
        where: Host and database, for messages.
        wkb: Whether the user wants geometries as bytes, where there is no PostGIS.
    """

    parameters: Mapping[str, Any] = field(repr=False)
    where: str
    wkb: bool = False


def parse(url: str) -> Address:
    """Read a URL as libpq does, with the one parameter of ours.

    Raises:
        ConfigurationError: It is no such URL, or psycopg is not installed.
    """
    driver = psycopg()
    bare, geometry = _without_ours(url)
    # libpq takes what follows such a sign in a password for host or database, and shows it.
    place = bare.partition("?")[0].partition("://")[2]
    if place.count("@") > 1 or "@" in place.partition("/")[2]:
        raise ConfigurationError(_UNREADABLE)
    if geometry not in {None, _WKB}:
        raise ConfigurationError(
            f"{GEOMETRY}= in the warehouse's URL can be {_WKB} alone, which keeps geometries as "
            "bytes of WKB where there is no PostGIS"
        )
    try:
        given = driver.conninfo.conninfo_to_dict(bare)
    except driver.Error:
        given = None
    # Not as its cause or context: libpq quotes what it could not read, and that may be a password.
    if given is None:
        raise ConfigurationError(_UNREADABLE)
    keep_secret(*(str(given[name]) for name in _SECRETS if given.get(name)))
    keep_secret(os.environ.get("PGPASSWORD", ""))
    defaults = {
        name: value
        for name, (value, variable) in _DEFAULTS.items()
        if name not in given and not os.environ.get(variable)
    }
    parameters = {**defaults, **given, "client_encoding": "utf8"}
    return Address(parameters, _where(given), geometry == _WKB)


def psycopg() -> ModuleType:
    """The library, imported when it is needed.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        import psycopg
    except ImportError as error:
        raise ConfigurationError(
            "a warehouse in PostgreSQL is loaded with the help of psycopg, which is not installed "
            'here; run `pip install "ods-pipeline[postgres]"`'
        ) from error
    return psycopg


def _without_ours(url: str) -> tuple[str, str | None]:
    base, separator, query = url.partition("?")
    if f"{GEOMETRY}=" not in query:
        return url, None
    pairs = parse_qsl(query, keep_blank_values=True)
    rest = [(name, value) for name, value in pairs if name != GEOMETRY]
    ours = dict(pairs).get(GEOMETRY)
    return (f"{base}{separator}{urlencode(rest)}" if rest else base), ours


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
