"""Reads `ods-pipeline.toml`: several portals, with what to keep of each, in one file.

The keys of a portal are the model's in `sync.configuration`, which the YAML of Dagster has as well.
What is added here stands beside them in a file: folders, and secrets by their variables' names.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import (
    BaseModel,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from ods_pipeline.cli.target import Access
from ods_pipeline.errors import ConfigurationError
from ods_pipeline.portal.http.address import Address
from ods_pipeline.sync.configuration import PortalConfiguration, name_problem
from ods_pipeline.sync.file_choices import Configured
from ods_pipeline.warehouse.opening import public_url


class Variable(Configured):
    """A value that an environment variable holds; secrets are given in no other way."""

    env: str = Field(description="Name of the environment variable, such as `ODS_API_KEY`.")

    def read(self, what: str) -> str:
        """The value, as it is now; messages call it `what`.

        Raises:
            ConfigurationError: The variable is not set, or empty.
        """
        value = os.environ.get(self.env, "").strip()
        if not value:
            raise ConfigurationError(
                f"{what} is to come from the environment variable {self.env}, which is not set"
            )
        return value


class Application(Configured):
    """An OAuth2 application to which a person has given access with `ods-pipeline login`."""

    client_id: str | Variable = Field(description="Client id of the application; no secret.")
    client_secret: Variable | None = Field(
        default=None, description="Variable with its secret; a public application has none."
    )
    token_file: str | Variable = Field(
        default="",
        description="Where its login is kept: a file, or the variable of a `postgresql://` URL.",
    )

    @field_validator("token_file")
    @classmethod
    def _place_is_public(cls, place: str | Variable) -> str | Variable:
        if isinstance(place, str) and public_url(place) != place:
            raise ValueError('a password is not written out: write { env = "NAME" }')
        return place


class FilePortal(PortalConfiguration):
    """One portal of the file."""

    portal: str = Field(description="Domain or URL of the portal.")
    api_key: Variable | None = Field(
        default=None, description='Variable with an API key: `{ env = "ODS_API_KEY" }`.'
    )
    oauth2: Application | None = Field(
        default=None, description="OAuth2 application, instead of an API key."
    )

    @field_validator("portal")
    @classmethod
    def _is_an_address(cls, portal: str) -> str:
        if "@" in portal or "apikey=" in portal.lower():
            raise ValueError("a portal's address holds no credentials: name them in `api_key`")
        try:
            Address.parse(portal)
        except ConfigurationError as error:
            raise ValueError(error.message) from None
        return portal

    @model_validator(mode="after")
    def _credentials_are_of_one_kind(self) -> FilePortal:
        if self.api_key and self.oauth2:
            raise ValueError("a portal takes api_key or oauth2: leave one of them out")
        return self

    def access(self) -> Access:
        """Its credentials, read from the environment now.

        Raises:
            ConfigurationError: A variable is not set.
        """
        key, application = self.api_key, self.oauth2
        return Access(
            api_key=key.read("api_key") if key else "",
            api_key_in_query=self.api_key_in_query,
            client_id=_text(application.client_id, "client_id") if application else "",
            client_secret=application.client_secret.read("client_secret")
            if application and application.client_secret
            else "",
            token_file=_text(application.token_file, "token_file") if application else "",
        )


class Configuration(Configured):
    """All of a file."""

    data_dir: str = Field(
        default="", description="Root of lake and warehouse; ODS_DATA_DIR's without it."
    )
    warehouse: str = Field(
        default="",
        description="`duckdb:///PATH`, `postgresql://…` without a password, or `iceberg:NAME`; "
        "ODS_WAREHOUSE's without it.",
    )
    state: str = Field(
        default="",
        description="What processes of several hosts share, `postgresql://…` without a password; "
        "ODS_STATE's without it, else local files.",
    )
    portals: dict[str, FilePortal] = Field(
        default={}, description="The portals, by the names that they have in Dagster."
    )

    @field_validator("warehouse", "state")
    @classmethod
    def _urls_are_public(cls, url: str, field: ValidationInfo) -> str:
        if public_url(url) != url:
            variable = f"ODS_{str(field.field_name).upper()}"
            raise ValueError(f"a password is not written out: leave it out and set {variable}")
        return url

    @field_validator("portals")
    @classmethod
    def _portals_differ(cls, portals: dict[str, FilePortal]) -> dict[str, FilePortal]:
        names: dict[str, str] = {}
        for name, portal in portals.items():
            other = names.setdefault(Address.parse(portal.portal).slug, name)
            if other != name:
                raise ValueError(
                    f"{other} and {name} are one portal, and would overwrite each other: "
                    "put all of it into one block"
                )
        return portals

    @field_validator("portals")
    @classmethod
    def _schemas_differ(cls, portals: dict[str, FilePortal]) -> dict[str, FilePortal]:
        names: dict[str, str] = {}
        for name, portal in portals.items():
            schema = portal.names().schema_of(Address.parse(portal.portal).slug)
            other = names.setdefault(schema, name)
            if other != name:
                raise ValueError(f"{other} and {name} would both fill the schema {schema}")
        return portals

    @field_validator("portals")
    @classmethod
    def _names_are_plain(cls, portals: dict[str, FilePortal]) -> dict[str, FilePortal]:
        for problem in filter(None, map(name_problem, portals)):
            raise ValueError(problem)
        return portals


@dataclass(frozen=True)
class ConfigFile:
    """A configuration, and the file that it was read from."""

    path: Path
    content: Configuration

    def chosen(self, portal: str) -> Mapping[str, FilePortal]:
        """The portals that are meant, by name.

        Args:
            portal: A name of the file, or the address of one of its portals; all without it.

        Returns:
            Nothing where the file has no such portal: it is an address then.
        """
        portals = self.content.portals
        if not portal:
            return portals
        if portal in portals:
            return {portal: portals[portal]}
        if not set(portal) & {".", ":", "/"} and portal != "localhost":
            raise ConfigurationError(
                f"{self.path} has no portal {portal!r}: choose one of {', '.join(portals)}, or an "
                "address"
            )
        try:
            slug = Address.parse(portal).slug
        except ConfigurationError:
            return {}
        same = {n: p for n, p in portals.items() if Address.parse(p.portal).slug == slug}
        return dict([*same.items()][:1])


def read_config(path: Path) -> ConfigFile:
    """Read a configuration file.

    Raises:
        ConfigurationError: It cannot be read, or has a key or value that cannot be used.
    """
    try:
        with path.open("rb") as file:
            raw = tomllib.loads(file.read().decode("utf-8-sig"))
    except FileNotFoundError:
        raise ConfigurationError(f"there is no configuration file {path}") from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is no TOML: {error}") from error
    try:
        found = Configuration.model_validate(raw)
        for name, portal in found.portals.items():
            _require_rules(name, portal)
    except ValidationError as error:
        sentences = [_sentence(problem) for problem in error.errors(include_url=False)]
        raise ConfigurationError(f"{path}: {'; '.join(dict.fromkeys(sentences))}") from None
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error.message}") from None
    if not found.portals:
        raise ConfigurationError(f"{path} has no portals: begin one with [portals.NAME]")
    return ConfigFile(path, found)


def _require_rules(name: str, portal: FilePortal) -> None:
    try:
        portal.rules()
    except ConfigurationError as error:
        raise ConfigurationError(f"portals.{name}: {error.message}") from None


def _sentence(problem: Any) -> str:
    """One problem of pydantic's, with its key; the value is not repeated, it may be a secret."""
    where = [str(part) for part in problem["loc"] if part not in ("str", "Variable")]
    if problem["type"] == "extra_forbidden":
        *_, key = where
        known = [*_model_at(where[:-1]).model_fields]
        if key in _DAGSTERS:
            return f"{'.'.join(where)} is a key of Dagster's YAML alone"
        close = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"its keys are {', '.join(known)}"
        return f"{'.'.join(where)} is no key here; {hint}"
    if problem["type"] == "missing":
        return f"{'.'.join(where)} is missing"
    message = _FORMS.get(problem["type"]) or str(problem["msg"]).removeprefix("Value error, ")
    if any(part in {"api_key", "client_secret"} for part in where):
        message = 'a secret is only named: write { env = "NAME" } and set that variable'
    return f"{'.'.join(where)}: {message[:1].lower()}{message[1:]}"


#: What a value should look like, where pydantic would name a class.
_FORMS = {
    **dict.fromkeys(("model_type", "dict_type"), "a block of keys belongs here, such as { … }"),
    "list_type": 'a list belongs here, such as ["a", "b"]',
}
#: Keys of the component that say something of Dagster.
_DAGSTERS = frozenset({"asset", "sensor", "schedule", "translation", "group_name", "catalog_hours"})


def _model_at(where: Sequence[str]) -> type[BaseModel]:
    """The block of the configuration that a path of keys leads to."""
    model: type[BaseModel] = Configuration
    blocks: dict[str, type[BaseModel]] = {"portals": FilePortal, "oauth2": Application}
    for key in where:
        field = model.model_fields.get(key)
        kinds = [field.annotation, *getattr(field.annotation, "__args__", ())] if field else []
        inner = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if key in blocks:
            model = blocks[key]
        elif inner:
            model = inner[-1]
    return model


def _text(value: str | Variable, what: str) -> str:
    return value.read(what) if isinstance(value, Variable) else value
