"""What a command works on, as the user gave it: portal, folders and credentials.

Nothing is opened or connected to here. What credentials do belongs to `portal`; Dagster's resources
take theirs in `dagster`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ods_pipeline.errors import ConfigurationError
from ods_pipeline.lake.bucket import LakePath

if TYPE_CHECKING:
    from ods_pipeline.portal.auth import ApiKey, OAuth2
    from ods_pipeline.portal.http.address import Address
    from ods_pipeline.sync.configuration import PortalConfiguration
    from ods_pipeline.sync.options import Options
    from ods_pipeline.sync.selection import Selection


#: What names the sample portal where a portal's address is asked for.
SAMPLE = "sample"


@dataclass(frozen=True)
class Access:
    """Credentials as they were given; what is empty was not.

    Attributes:
        api_key_in_query: Whether the key goes into the address instead of a header.
        client_id: An OAuth2 application.
        token_file: Where its login is kept: a file, or a `postgresql://` URL.
    """

    api_key: str = field(default="", repr=False)
    api_key_in_query: bool = False
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    token_file: str = field(default="", repr=False)

    @property
    def given(self) -> bool:
        """Whether there is anything that could be shown to a portal."""
        return bool(self.api_key or self.client_id or self.client_secret)

    def credentials(
        self, address: Address, data_dir: LakePath, state: str = ""
    ) -> ApiKey | OAuth2 | None:
        """What is shown to a portal; None where nothing was given.

        Raises:
            ConfigurationError: What was given does not go together, or cannot be used.
        """
        from ods_pipeline.portal.auth import TWO_KINDS, ApiKey

        if self.api_key and self.client_id:
            raise ConfigurationError(TWO_KINDS)
        if self.api_key:
            return ApiKey(self.api_key, in_query=self.api_key_in_query)
        if self.api_key_in_query:
            raise ConfigurationError("--api-key-in-query says how: set ODS_API_KEY too")
        if self.client_id or self.client_secret:
            return self.application(address, data_dir, state)
        return None

    def application(
        self,
        address: Address,
        data_dir: LakePath,
        state: str = "",
        *,
        client_auth: Literal["body", "basic"] | None = None,
        pkce: bool = False,
    ) -> OAuth2:
        """The application, whatever else was given; see `OAuth2` for the options.

        Raises:
            ConfigurationError: None was given.
        """
        from ods_pipeline.portal.auth import OAuth2
        from ods_pipeline.portal.auth.store import default_place

        if not self.client_id:
            lead = "ODS_CLIENT_SECRET is set, but " if self.client_secret else ""
            raise ConfigurationError(
                f"{lead}ODS_CLIENT_ID is not set: give the client ID of an application that is "
                f"registered on your account page at {address.base}"
            )
        return OAuth2(
            self.client_id,
            self.client_secret,
            self.token_file or default_place(data_dir, state, address, self.client_id),
            client_auth=client_auth,
            pkce=pkce,
        )


@dataclass(frozen=True)
class Target:
    """What a command works on.

    Attributes:
        portal: Domain or URL; `sample`, or empty, for the sample portal.
        data_dir: Root of lake, warehouse and tokens.
        warehouse: URL of the warehouse.
        state: URL of what processes of several hosts share; empty where they share local files.
        access: Credentials for the portal.
        name: Its name in the configuration file; empty where it is not from one.
        configured: What the file says of it.
        problem: Why it cannot be worked on, such as a variable that is not set.
    """

    portal: str
    data_dir: LakePath
    # It may hold a password.
    warehouse: str = field(repr=False)
    access: Access
    state: str = field(default="", repr=False)
    name: str = ""
    configured: PortalConfiguration | None = None
    problem: ConfigurationError | None = None

    def require_usable(self) -> None:
        """Refuse to work on it where that is impossible.

        Raises:
            ConfigurationError: It is.
        """
        if self.problem:
            raise self.problem

    @property
    def sample(self) -> bool:
        """Whether the sample portal is meant."""
        return self.portal in {"", SAMPLE}

    @property
    def options(self) -> Options:
        """How a run over it is made, apart from what the command line says."""
        from ods_pipeline.sync.options import DEFAULT

        return self.configured.options() if self.configured else DEFAULT

    @property
    def selection(self) -> Selection:
        """The datasets that it is about, apart from what the command line says."""
        from ods_pipeline.sync.selection import EVERYTHING

        return self.configured.selection if self.configured else EVERYTHING


@dataclass(frozen=True)
class Targets:
    """The portals that a command works on: one, or all of a configuration file.

    Attributes:
        quiet: Whether nothing is to be told of what is in order.
    """

    all: tuple[Target, ...]
    quiet: bool = False

    @property
    def one(self) -> Target:
        """The only one.

        Raises:
            ConfigurationError: There are several, or it cannot be worked on.
        """
        if len(self.all) > 1:
            names = ", ".join(target.name for target in self.all)
            raise ConfigurationError(
                f"the configuration file has several portals: choose one with --portal ({names})"
            )
        self.all[0].require_usable()
        return self.all[0]
