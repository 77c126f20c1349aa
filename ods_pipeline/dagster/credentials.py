"""A portal's credentials in Dagster: in a resource, in YAML, and from the environment by default.

Secrets appear only by the names of their environment variables. Signing requests and renewing
tokens belongs to `portal`.
"""

import os
from typing import Annotated, Any, Literal

import dagster as dg
from pydantic import Field, ValidationError

from ods_pipeline.dagster.env import UNQUOTED, FromEnv, Setting, as_setting, env_ref
from ods_pipeline.errors import ConfigurationError
from ods_pipeline.lake.bucket import LakePath
from ods_pipeline.portal.auth import TWO_KINDS, OAuth2
from ods_pipeline.portal.auth.store import default_place
from ods_pipeline.portal.http.address import Address


class OAuth2Resource(dg.Config):
    """An OAuth2 application to which a person has given access with `ods-pipeline login`.

    Examples:
        >>> OAuth2Resource(client_id="abc", client_secret=dg.EnvVar("SECRET")).client_secret
        FromEnv(env='SECRET')
    """

    model_config = UNQUOTED
    client_id: Setting = Field(
        description="Client id of the application registered on the portal's account page; "
        "no secret: `abc`, or `{env: NAME}`."
    )
    client_secret: FromEnv | None = Field(
        default=None,
        description="Variable with the application's secret, `{env: ODS_CLIENT_SECRET}`; "
        "a public application has none.",
    )
    token_file: Setting | None = Field(
        default=None,
        description="Where the login is kept: a file, or for several hosts a postgresql:// URL. "
        "One with a password is only named: `{env: ODS_TOKEN_FILE}`. Without it "
        "the shared `state`, else a file in `tokens` of the data folder, where `ods-pipeline "
        "login` puts it as well.",
    )
    client_auth: Literal["auto", "body", "basic"] = Field(
        default="auto",
        description="How the application proves itself when a token is renewed; auto: as at login.",
    )
    placement: Literal["header", "query", "body"] = Field(
        default="header",
        description="Where requests carry the token; servers on the way log what is in a query.",
    )

    def __init__(self, **values: Any) -> None:
        """Take `dagster.EnvVar` for any of them, and plain text for what is no secret.

        Raises:
            ConfigurationError: A secret is given as plain text, or there is no client id.
        """
        secret = env_ref("client_secret", values.get("client_secret"))
        plain = {key: as_setting(key, values.get(key)) for key in ("client_id", "token_file")}
        if plain["client_id"] is None:
            raise ConfigurationError(
                "oauth2 needs the client_id of an application; the portal's account page shows "
                "it, where the application is registered"
            )
        super().__init__(**{**values, "client_secret": secret, **plain})

    def at(self, address: Address, data_dir: LakePath, state: str = "") -> OAuth2:
        """The application, with the path of its login at a portal.

        Raises:
            ConfigurationError: A variable that it needs is not set.
        """
        client_id = self.client_id.read("client_id")
        kept = self.token_file.read("token_file") if self.token_file else None
        return OAuth2(
            client_id,
            self.client_secret.read("client_secret") if self.client_secret else "",
            kept or default_place(data_dir, state, address, client_id),
            client_auth=None if self.client_auth == "auto" else self.client_auth,
            placement=self.placement,
        )


def application(given: object) -> OAuth2Resource | None:
    """An application, from what a user wrote for `oauth2`.

    Raises:
        ConfigurationError: It is not one; the message does not repeat what was written.
    """
    if given is None or isinstance(given, OAuth2Resource):
        return given
    fields = OAuth2Resource.model_fields
    if not isinstance(given, dict) or not given.keys() <= fields.keys():
        raise ConfigurationError(f"oauth2 is a block of these attributes: {', '.join(fields)}")
    try:
        return OAuth2Resource(**given)
    except ValidationError as error:
        reasons = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigurationError(f"oauth2 cannot be used: {reasons}") from None


def from_environment() -> tuple[FromEnv | None, OAuth2Resource | None]:
    """The API key or application that the environment holds for the portal in ODS_PORTAL, if any.

    Raises:
        ConfigurationError: There are two kinds of them.
    """
    held = {key for key in _VARIABLES if os.environ.get(key)}
    if {"ODS_API_KEY", "ODS_CLIENT_ID"} <= held:
        raise ConfigurationError(TWO_KINDS)
    if "ODS_API_KEY" in held:
        return FromEnv(env="ODS_API_KEY"), None
    if "ODS_CLIENT_ID" in held:
        named = {_VARIABLES[key]: dg.EnvVar(key) for key in held}
        return None, OAuth2Resource(**named)
    return None, None


_VARIABLES = {
    "ODS_API_KEY": "api_key",
    "ODS_CLIENT_ID": "client_id",
    "ODS_CLIENT_SECRET": "client_secret",
    "ODS_TOKEN_FILE": "token_file",
}


def _public_parts_filled_in(context: dg.ResolutionContext, given: Any) -> Any:
    """A block with its templates filled in, but for the secret's, which are refused later."""
    if not isinstance(given, dict):
        return given
    return {
        key: value if key == "client_secret" else context.resolve_value(value)
        for key, value in given.items()
    }


# Any value passes here; a wrong one is refused when definitions are built. Errors of YAML quote the
# lines around them, and those may hold a secret that was written out by mistake.
ApiKeyAttribute = Annotated[
    Any,
    dg.Resolver(
        lambda _, given: given,
        model_field_type=Any,
        inject_before_resolve=False,
        description="Environment variable with an API key of the portal; never the key itself.",
        examples=[{"env": "ODS_API_KEY"}],
    ),
]
OAuth2Attribute = Annotated[
    Any,
    dg.Resolver(
        _public_parts_filled_in,
        model_field_type=Any,
        inject_before_resolve=False,
        description="OAuth2 application to which a person has given access with "
        "`ods-pipeline login`; instead of an API key.",
        examples=[{"client_id": "abc", "client_secret": {"env": "ODS_CLIENT_SECRET"}}],
        json_schema_extra={
            "properties": {
                name: {"description": field.description}
                for name, field in OAuth2Resource.model_fields.items()
            }
        },
    ),
]
