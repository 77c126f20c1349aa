"""The URL of an Iceberg warehouse: which catalog of pyiceberg's configuration it names.

How long replaced rows are kept is part of it. No tables here.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from ods_pipeline.errors import ConfigurationError
from ods_pipeline.redaction import keep_secret

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

SCHEME = "iceberg:"
#: Days for which rows can still be read after they were replaced, or `all`.
KEEP = "keep_days"
#: `own_tables=plain` gives our own tables names that begin with a letter.
OWN = "own_tables"
_DAYS = 5
_SECRETS = ("password", "secret", "token", "credential", "key", "sas", "connection-string", "auth")

# What it says of its own retries needs nobody: without a handler Python writes that to stderr.
logging.getLogger("pyiceberg").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Address:
    """Which catalog, and how long replaced rows stay.

    Attributes:
        name: The catalog's name in pyiceberg's configuration.
        keep_days: Days for which replaced rows can still be read; None for ever.
        plain: Whether names of tables begin with letters alone, as S3 Tables demands.
    """

    name: str
    keep_days: int | None = _DAYS
    plain: bool = False

    @property
    def where(self) -> str:
        """The catalog, for messages."""
        return f"{SCHEME}{self.name}"


def parse(url: str) -> Address:
    """Read a URL.

    Raises:
        ConfigurationError: It names no catalog.
    """
    name, _, query = url.removeprefix(SCHEME).partition("?")
    given = dict(parse_qsl(query, keep_blank_values=True))
    days = given.pop(KEEP, str(_DAYS))
    own = given.pop(OWN, "")
    sound = own in {"", "plain"} and (days == "all" or (days.isdecimal() and len(days) < 6))
    if not name or not name.replace("-", "_").isidentifier() or given or not sound:
        raise ConfigurationError(
            "an Iceberg warehouse is iceberg:NAME, the name of a catalog in pyiceberg's "
            f"configuration; ?{KEEP}=N with a number of days or `all`, and {OWN}=plain, may follow"
        )
    return Address(name, None if days == "all" else int(days), own == "plain")


def require_pyiceberg() -> None:
    """See that pyiceberg can be used, before anything of it is imported.

    Raises:
        ConfigurationError: It is not installed, or cannot read its configuration.
    """
    if importlib.util.find_spec("pyiceberg") is None:
        raise ConfigurationError(
            "an Iceberg warehouse is loaded with the help of pyiceberg, which is not installed "
            'here; run `pip install "ods-pipeline[iceberg]"`'
        )
    try:
        import pyiceberg.catalog  # noqa: F401 - it reads its configuration when it is imported
    except ImportError:
        raise
    except Exception as error:  # Of the library that reads YAML, or of pyiceberg.
        # Not as its cause: it quotes the line that it could not read.
        problem = type(error).__name__
        raise ConfigurationError(
            f"pyiceberg cannot read its configuration ({problem}): correct .pyiceberg.yaml and the "
            "variables PYICEBERG_CATALOG__…; values stand alone on their lines, without brackets"
        ) from None


def open_catalog(address: Address) -> Catalog:
    """The catalog, as pyiceberg's configuration describes it at this moment.

    Raises:
        ConfigurationError: There is no such catalog there, or it needs a library that is missing.
    """
    from pyiceberg.catalog import load_catalog
    from pyiceberg.exceptions import NotInstalledError
    from pyiceberg.utils.config import Config

    # Not as pyiceberg remembers it from the moment of its import.
    properties = Config().get_catalog_config(address.name)
    if not properties:
        variable = f"PYICEBERG_CATALOG__{address.name.upper()}__URI"
        raise ConfigurationError(
            f"pyiceberg's configuration has no catalog {address.name}: describe it in "
            f".pyiceberg.yaml, or with {variable} and its other variables"
        )
    plain = {key: value for key, value in properties.items() if isinstance(value, str)}
    keep_secret(*_secrets(plain))
    # pyiceberg says so by refusing later, when a table is made.
    if plain.get("uri", "").startswith(("sqlite", "postgresql")) and not plain.get("warehouse"):
        raise ConfigurationError(
            f"the catalog {address.name} does not say where its tables' files are to be: give it "
            "`warehouse` in pyiceberg's configuration"
        )
    try:
        return load_catalog(address.name, **plain)
    except (ImportError, NotInstalledError) as error:
        raise ConfigurationError(
            f"the catalog {address.name} needs a library that is not installed here "
            f"({error}): install pyiceberg with the extra for this kind of catalog"
        ) from None


def _secrets(properties: Mapping[str, str]) -> Iterator[str]:
    for key, value in properties.items():
        # Where a server for tokens is, is no secret: else no message could show an address.
        if "://" not in value and any(word in key for word in _SECRETS):
            yield value
            # A credential is an id and a secret.
            yield from value.split(":")[1:]
        try:
            password = urlsplit(value).password or ""
        except ValueError:
            continue
        yield password
        yield unquote(password)
