"""The URL of a PostgreSQL warehouse, with the one parameter of it that is ours.

Nothing is connected to here.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from ods_pipeline.errors import ConfigurationError
from ods_pipeline.state import postgres

#: `geometry=wkb` makes geometries `bytea`, without PostGIS.
GEOMETRY = "geometry"
_WKB = "wkb"


@dataclass(frozen=True)
class Address(postgres.Address):
    """Where a warehouse is, and how its geometries are kept.

    Attributes:
        wkb: Whether the user wants geometries as bytes, where there is no PostGIS.
    """

    wkb: bool = False


def parse(url: str) -> Address:
    """Read a URL as libpq does, with the one parameter of ours.

    Raises:
        ConfigurationError: It is no such URL, or psycopg is not installed.
    """
    bare, geometry = _without_ours(url)
    found = postgres.parse(bare, "the warehouse")
    if geometry not in {None, _WKB}:
        raise ConfigurationError(
            f"{GEOMETRY}= in the warehouse's URL can be {_WKB} alone, which keeps geometries as "
            "bytes of WKB where there is no PostGIS"
        )
    return Address(found.parameters, found.where, geometry == _WKB)


def _without_ours(url: str) -> tuple[str, str | None]:
    base, separator, query = url.partition("?")
    if f"{GEOMETRY}=" not in query:
        return url, None
    pairs = parse_qsl(query, keep_blank_values=True)
    rest = [(name, value) for name, value in pairs if name != GEOMETRY]
    ours = dict(pairs).get(GEOMETRY)
    return (f"{base}{separator}{urlencode(rest)}" if rest else base), ours
