"""Values of Dagster resources that come from environment variables; secrets only by their names.

Everything in a resource can be read in snapshots, run configurations and the UI. So variables are
read when their values are needed, and no secret is stored. What a value is used for is not known
here.
"""

import os
import re
from urllib.parse import urlsplit

import dagster as dg
from pydantic import ConfigDict, Field

from ods_pipeline.errors import ConfigurationError

# Thirty characters without a `_` are a key or a token that was put where its name belongs.
_NAME = re.compile(r"(?![^_]{30})[A-Za-z_][A-Za-z0-9_]*")
#: For models that a secret may be put into by mistake: errors of pydantic quote what they refuse.
UNQUOTED = ConfigDict(hide_input_in_errors=True)


class FromEnv(dg.Config):
    """A secret, by the name of the environment variable that holds it."""

    model_config = UNQUOTED
    env: str = Field(description="Name of the environment variable, such as ODS_API_KEY.")

    def read(self, what: str) -> str:
        """The value, as it is now; messages call it `what`.

        Raises:
            ConfigurationError: The variable is not set, or empty.
        """
        return _read(self.env, what)


class Setting(dg.Config):
    """A value that everybody may read, or the name of the environment variable that holds it."""

    model_config = UNQUOTED
    text: str | None = Field(default=None, description="The value itself; no secrets.")
    env: str | None = Field(default=None, description="Name of the environment variable.")

    def read(self, what: str) -> str:
        """The value, as it is now; see `FromEnv.read`."""
        return _read(self.env, what) if self.env else self.text or ""


def given_or_set(given: str, name: str) -> str:
    """What the settings say; where they say nothing a variable's value as it is now, or empty."""
    return given or os.environ.get(name, "")


def env_ref(attribute: str, given: object) -> FromEnv | None:
    """A secret's variable, from what a user wrote for it.

    Args:
        attribute: What it was written for.
        given: `dagster.EnvVar`, `{"env": name}`, or nothing; anything else may be the secret.

    Raises:
        ConfigurationError: It is not named but written out; the message does not repeat it.
    """
    if given is None or isinstance(given, FromEnv):
        return given
    name = _name(given)
    if name is None:
        raise ConfigurationError(
            f"{attribute} is not to be written out, nor filled in by a template: Dagster would "
            "show it to everybody; keep it in an environment variable and give the variable's "
            f'name, in YAML as `{attribute}: {{env: NAME}}`, in Python as EnvVar("NAME")'
        )
    return FromEnv(env=name)


def as_setting(attribute: str, given: object) -> Setting | None:
    """A value that may be written out: from text, or from what `env_ref` takes.

    Raises:
        ConfigurationError: It is neither, or a URL with a password in it.
    """
    text = given.get("text") if isinstance(given, dict) else getattr(given, "text", given)
    plain = isinstance(text, str | int) and not isinstance(text, dg.EnvVar | bool)
    if plain:
        if _has_password(str(text)):
            raise ConfigurationError(
                f"{attribute} has a password in it, which Dagster would show to everybody: keep "
                f"it in an environment variable and write `{attribute}: {{env: NAME}}`"
            )
        return Setting(text=str(text)) if text != "" else None
    name = env_ref(attribute, given)
    return Setting(env=name.env) if name else None


def _name(given: object) -> str | None:
    """The variable's name, however it was written; None where none was given."""
    if isinstance(given, dg.EnvVar):
        given = {"env": given.env_var_name}
    elif isinstance(given, Setting):
        given = {"env": given.env}
    if not isinstance(given, dict) or {key for key, value in given.items() if value} != {"env"}:
        return None
    name = given["env"]
    return name if isinstance(name, str) and _NAME.fullmatch(name) else None


def _read(name: str, what: str) -> str:
    value = os.environ.get(name, "").strip()
    if not value:
        state = "empty" if name in os.environ else "not set"
        raise ConfigurationError(
            f"{what} is to come from the environment variable {name}, which is {state}; "
            "set it where Dagster's code location and its runs are started"
        )
    return value


def _has_password(text: str) -> bool:
    if re.search(r"(?i)password\s*=", text):
        return True
    if "://" not in text:
        return False
    try:
        return urlsplit(text).password is not None
    except ValueError:
        # A URL that cannot be parsed may hold a password anywhere.
        return True
