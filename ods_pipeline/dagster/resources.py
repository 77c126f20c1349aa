"""What a run needs from outside: the portal, the lake and the warehouse, as Dagster resources.

Settings that are left empty are read from the environment here, when they are needed, and nowhere
else. Errors are turned into failures that Dagster's users can read.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field, PrivateAttr

from ods_pipeline.dagster.credentials import OAuth2Resource, application
from ods_pipeline.dagster.env import UNQUOTED, FromEnv, env_ref, given_or_set
from ods_pipeline.dagster.one_place import launcher_of, require_one_place
from ods_pipeline.dagster.settings import Settings
from ods_pipeline.errors import (
    ConfigurationError,
    HeldBack,
    OdsPipelineError,
    QuotaExhausted,
    WarehouseLocked,
)
from ods_pipeline.lake.bucket import LakePath
from ods_pipeline.lake.data_folder import data_folder
from ods_pipeline.lake.lake import Lake
from ods_pipeline.portal.auth import ApiKey, Credentials
from ods_pipeline.portal.http.address import Address
from ods_pipeline.portal.portal import Portal
from ods_pipeline.state.database import shared
from ods_pipeline.tables.forms import Form
from ods_pipeline.warehouse import opening
from ods_pipeline.warehouse.names import AS_IS, TableNames
from ods_pipeline.warehouse.opening import default_url, open_warehouse
from ods_pipeline.warehouse.protocol import Warehouse

if TYPE_CHECKING:
    import duckdb

#: Another process may be loading, a person looking: waited for, some 20 minutes at most.
WAIT_FOR_THE_WAREHOUSE = dg.RetryPolicy(max_retries=8, delay=5, backoff=dg.Backoff.EXPONENTIAL)

# Seconds to wait for another process before a try counts as failed; loads come in short sessions.
_PATIENCE = 30.0
_STATE = "What processes of several hosts share, `postgresql://…`; $ODS_STATE, else local files."
_ACCEPT = "run it with `accept: true` in the launchpad, once you have looked at it"


class PortalResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """A conversation with one portal, by an API key, by an application's login, or by neither.

    Examples:
        >>> PortalResource(address="data.test", api_key=dg.EnvVar("ODS_API_KEY")).api_key
        FromEnv(env='ODS_API_KEY')
    """

    model_config = UNQUOTED
    address: str = Field(description="Domain or base URL of the portal.")
    lang: str = Field(default="en", description="Language of the metadata asked for.")
    connect_timeout: float = Field(default=10, description="Seconds for a connection.")
    read_timeout: float = Field(default=120, description="Seconds of silence before giving up.")
    api_key: FromEnv | None = Field(
        default=None, description="Environment variable with an API key of the portal."
    )
    api_key_in_query: bool = Field(
        default=False,
        description="Send the key in the URL, for proxies that lose the header it belongs in.",
    )
    oauth2: OAuth2Resource | None = Field(
        default=None, description="Application to which a person has given access."
    )
    data_dir: str = Field(
        default="",
        description="Root of the data, with the logins in `tokens`; $ODS_DATA_DIR, else `data`.",
    )
    state: str = Field(default="", description=_STATE)
    _portal: Portal | None = PrivateAttr(default=None)

    def __init__(self, **values: Any) -> None:
        """Take `dagster.EnvVar` where a secret is needed.

        Raises:
            ConfigurationError: A secret is given as plain text, or there are two kinds of them.
        """
        key = env_ref("api_key", values.get("api_key"))
        oauth2 = application(values.get("oauth2"))
        if key and oauth2:
            raise ConfigurationError(
                f"{values.get('address')} is given both an api_key and oauth2; leave one of them "
                "out, for a portal takes one credential with a request"
            )
        super().__init__(**{**values, "api_key": key, "oauth2": oauth2})

    @property
    def portal(self) -> Portal:
        """The portal; one conversation for as long as the resource lives."""
        if self._portal is None:
            self._portal = self.connect(self.read_timeout)
        return self._portal

    def connect(self, read_timeout: float, max_wait: float = 60) -> Portal:
        """A conversation of its own, with other limits than the resource's.

        Args:
            read_timeout: Seconds of silence before giving up.
            max_wait: Seconds to wait at most for a spent quota.

        Raises:
            ConfigurationError: The address is unusable, or a variable with a secret is not set.
        """
        return Portal(
            self.address,
            self.credentials(),
            lang=self.lang,
            connect_timeout=min(self.connect_timeout, read_timeout),
            read_timeout=read_timeout,
            max_wait=max_wait,
            state=state_url(self.state),
        )

    def credentials(self) -> Credentials | None:
        """The credentials, read from the environment now; None for none.

        Raises:
            ConfigurationError: A variable that it needs is not set.
        """
        if self.api_key:
            return ApiKey(self.api_key.read("api_key"), in_query=self.api_key_in_query)
        if self.oauth2:
            address, folder = Address.parse(self.address), data_dir(self.data_dir)
            return self.oauth2.at(address, folder, state_url(self.state))
        return None


class LakeResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Where one portal's partitions are."""

    portal: str = Field(description="The portal's name on disk.")
    data_dir: str = Field(default="", description="Root of the data; $ODS_DATA_DIR, else `data`.")
    state: str = Field(default="", description=_STATE)

    @property
    def lake(self) -> Lake:
        """The portal's lake."""
        return Lake.of(data_dir(self.data_dir), self.portal, shared(state_url(self.state)))


class WarehouseResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Where partitions are loaded."""

    url: str = Field(
        default="",
        description="`duckdb:///PATH`, `postgresql://…` or `iceberg:NAME`; $ODS_WAREHOUSE, else "
        "warehouse.duckdb in the data folder.",
    )
    data_dir: str = Field(default="", description="Root of the data; $ODS_DATA_DIR, else `data`.")

    def open(self, names: TableNames = AS_IS) -> Warehouse:
        """Open the warehouse; a context manager, closed to other processes until it is left.

        Args:
            names: What the schema and tables of the portal that is loaded are called.

        Raises:
            WarehouseError: It cannot be opened, or another process has it.
        """
        return open_warehouse(self.address, max_wait=_PATIENCE, names=names)

    def open_to_read(self) -> "duckdb.DuckDBPyConnection":
        """Open a DuckDB file for reading only; nothing can be loaded until it is closed.

        Raises:
            ConfigurationError: The warehouse is no file of DuckDB's.
            WarehouseError: It cannot be opened, or another process is loading into it.
        """
        return opening.open_to_read(self.address, max_wait=_PATIENCE)

    def tables_of(self, schema: str) -> frozenset[str]:
        """The names of a schema's tables; none where nothing was ever loaded.

        Raises:
            WarehouseError: It cannot be opened, or another process is loading into it.
        """
        return opening.tables_of(self.address, schema, _PATIENCE)

    def rows_of(self, schema: str, tables: Mapping[str, str], form: Form) -> Any:
        """The rows of tables, by dataset, in a form.

        Raises:
            ConfigurationError: They cannot be had in that form.
            WarehouseError: It cannot be opened, or another process is loading into it.
        """
        return opening.rows_of(self.address, schema, tables, form, _PATIENCE)

    def names_in(self, names: TableNames) -> TableNames:
        """The names of tables as the warehouse's engine has them."""
        return opening.names_in(self.address, names)

    @property
    def exists(self) -> bool:
        """Whether anything was ever loaded."""
        return opening.exists(self.address)

    @property
    def address(self) -> str:
        """The URL, from the environment or beside the lake where none is given."""
        url = given_or_set(self.url, "ODS_WAREHOUSE")
        return url or default_url(data_dir(self.data_dir))


def data_dir(given: str) -> LakePath:
    """The root of lake and warehouse; the environment's where the settings say nothing.

    Raises:
        ConfigurationError: It is no folder of this machine.
    """
    return data_folder(given_or_set(given, "ODS_DATA_DIR"))


def state_url(given: str) -> str:
    """The URL of what processes share; the environment's where the settings say nothing."""
    return given_or_set(given, "ODS_STATE")


def failure(error: OdsPipelineError) -> dg.Failure:
    """An error as Dagster's users see it: one sentence and no stack.

    Only a warehouse that another process is writing to is worth another try within the run. The
    client has already tried again what a portal refused, and a quota is full again tomorrow.
    """
    entries = {"portal": error.portal, "dataset": error.dataset, "url": error.url}
    if isinstance(error, HeldBack):
        views = ", ".join(error.views)
        entries |= {"held": error.verdict, "views": views, "to_accept": "" if views else _ACCEPT}
    put_off = isinstance(error, QuotaExhausted)
    return dg.Failure(
        description=f"deferred: {error}" if put_off else str(error),
        metadata={
            **{key: value for key, value in entries.items() if value},
            **(until([error]) if put_off else {}),
        },
        allow_retries=isinstance(error, WarehouseLocked),
    )


def until(errors: Iterable[OdsPipelineError]) -> dict[str, dg.MetadataValue[Any]]:
    """When a spent quota is full again, where the portal says so."""
    resets = [e.reset for e in errors if isinstance(e, QuotaExhausted) and e.reset]
    return {"deferred_until": dg.MetadataValue.timestamp(max(resets))} if resets else {}


@contextmanager
def errors_as_failures() -> Iterator[None]:
    """Turn errors of ours into failures that Dagster shows as one sentence.

    Raises:
        dagster.Failure: Instead of any OdsPipelineError.
    """
    try:
        yield
    except OdsPipelineError as error:
        raise failure(error) from None


def portal_of(context: Any, settings: Settings) -> Portal:
    """The portal's client among a run's resources."""
    portal: Portal = getattr(context.resources, settings.resource("portal")).portal
    return portal


def lake_of(context: Any, settings: Settings) -> Lake:
    """The portal's lake among a run's resources.

    Raises:
        ConfigurationError: Runs may be on several hosts, each of which would have one of its own.
    """
    require_one_place(settings.places, launcher_of(context.instance))
    lake: Lake = getattr(context.resources, settings.resource("lake")).lake
    return lake


def warehouse_of(context: Any, settings: Settings) -> Warehouse:
    """The warehouse among a run's resources, opened."""
    resource: WarehouseResource = getattr(context.resources, settings.resource("warehouse"))
    return resource.open(settings.run_options.names)
