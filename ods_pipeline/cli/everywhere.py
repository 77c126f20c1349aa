"""The options that every command takes, before its name or after it.

They say which portal, as whom, where the data go, and how a run tells what it does. What they name
is found here; the options of single commands belong to `commands` and its neighbours.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from ods_pipeline.cli import log
from ods_pipeline.cli.target import SAMPLE, Access, Target, Targets
from ods_pipeline.errors import ConfigurationError
from ods_pipeline.lake.data_folder import data_folder
from ods_pipeline.warehouse.opening import default_url

#: The file that is read without being named, where the working folder has it.
DEFAULT_FILE = "ods-pipeline.toml"

_KEY = "ods_pipeline.cli.everywhere"
_ACCESS = ("api_key", "api_key_in_query", "client_id", "client_secret", "token_file")
_COLOR = {"auto": None, "always": True, "never": False}


@dataclass(frozen=True)
class _Option:
    """One of these options, as click wants it made for each command."""

    name: str
    help: str
    metavar: str = ""
    variable: str = ""
    choices: tuple[str, ...] = ()

    def made(self, *, outermost: bool) -> click.Option:
        """For the group, which reads the environment as well, or for one of its commands."""
        kind: dict[str, Any] = {"is_flag": True, "default": None}
        if self.metavar:
            kind = {"metavar": self.metavar}
        elif self.choices:
            kind = {"type": click.Choice(self.choices)}
        names = ["-q", self.name] if self.name == "--quiet" else [self.name]
        return click.Option(
            names,
            help=self.help,
            envvar=self.variable if outermost and self.variable else None,
            expose_value=False,
            callback=_remember,
            **kind,
        )


_OPTIONS = (
    _Option(
        "--portal",
        "Domain or URL of the portal, or its name in the configuration file; `sample` for the "
        "sample portal.",
        "ADDRESS",
        "ODS_PORTAL",
    ),
    _Option(
        "--config",
        f"Portals and their tables (default: {DEFAULT_FILE} in this folder, if there is one).",
        "FILE",
        "ODS_CONFIG",
    ),
    _Option("--data-dir", "Lake and warehouse.", "FOLDER", "ODS_DATA_DIR"),
    _Option("--warehouse", "Where tables are loaded.", "URL", "ODS_WAREHOUSE"),
    _Option(
        "--state",
        "What processes of several hosts share: quota, locks and logins.",
        "URL",
        "ODS_STATE",
    ),
    _Option("--api-key", "API key.", "KEY", "ODS_API_KEY"),
    _Option(
        "--api-key-in-query",
        "Send the key in the address, for proxies that lose headers; servers log addresses.",
    ),
    _Option("--client-id", "OAuth2 application.", "ID", "ODS_CLIENT_ID"),
    _Option("--client-secret", "Its secret.", "SECRET", "ODS_CLIENT_SECRET"),
    _Option("--token-file", "Where its login is kept.", "PLACE", "ODS_TOKEN_FILE"),
    _Option(
        "--quiet", "Print what needs somebody's attention, and nothing else; for cron and systemd."
    ),
    _Option(
        "--log-format",
        "Write what happens to stderr as it happens, a line each with its time, and no bar.",
        choices=log.FORMATS,
    ),
    _Option(
        "--color",
        "Colours: where a terminal has them and NO_COLOR is not set (auto), always or never.",
        choices=tuple(_COLOR),
    ),
)


def _remember(context: click.Context, option: click.Parameter, value: Any) -> Any:
    """Keep what was given, with where it came from; what follows the command goes before."""
    name = str(option.name)
    if value is not None:
        context.meta.setdefault(_KEY, {})[name] = (value, context.get_parameter_source(name))
    return value


_Group = TypeVar("_Group", bound=click.Group)


def before_the_command(group: _Group) -> _Group:
    """Let a group take these options in front of the name of a command."""
    group.params[:0] = [option.made(outermost=True) for option in _OPTIONS]
    return group


class Everywhere(click.Command):
    """A command that takes these options after its name too, and is given a `Targets`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """The command's own options come first."""
        super().__init__(*args, **kwargs)
        self._own = len(self.params)
        self.params += [option.made(outermost=False) for option in _OPTIONS]

    def invoke(self, context: click.Context) -> Any:
        """Find out what is meant, then do it."""
        given = {name: value for name, (value, _) in context.meta.get(_KEY, {}).items()}
        context.color = _COLOR[given.get("color") or "auto"]
        log.begin(given.get("log_format") or "", quiet=bool(given.get("quiet")))
        found = _targets(context.meta.get(_KEY, {}))
        context.obj = replace(found, quiet=bool(given.get("quiet")))
        return super().invoke(context)

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """List the command's own options, and these below them."""
        own, shared = self.params[: self._own], self.get_params(context)[self._own :]
        for heading, params in (("Options", own), ("Options of every command", shared)):
            options = [param for param in params if isinstance(param, click.Option)]
            records = [record for option in options if (record := option.get_help_record(context))]
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


def command(function: Callable[..., Any]) -> Everywhere:
    """Make a function a command that takes these options."""
    return click.command(cls=Everywhere)(function)


def require_filled(option: str, value: str | None) -> None:
    """Refuse an option that was given without a value, as an empty variable of a shell is.

    Raises:
        ConfigurationError: It was.
    """
    if value is not None and not value.strip():
        raise ConfigurationError(f"{option} is empty: give it a value, or leave it out")


def _targets(found: Mapping[str, tuple[Any, ParameterSource | None]]) -> Targets:
    """What the options and the environment name.

    Raises:
        ConfigurationError: A value is empty, or the configuration file cannot be used.
    """
    given = {name: value for name, (value, _) in found.items()}
    for name in ("portal", "data_dir", "warehouse", "state", "config"):
        require_filled(f"--{name.replace('_', '-')}", given.get(name))
    # click takes an empty variable for one that is not set.
    if os.environ.get("ODS_PORTAL", "unset").strip() == "" and not given.get("portal"):
        raise ConfigurationError("ODS_PORTAL is empty: give it a value, or leave it out")
    access = Access(**{name: given[name] for name in _ACCESS if given.get(name)})
    typed = {
        name: getattr(access, name)
        for name in _ACCESS
        if name in found and found[name][1] is ParameterSource.COMMANDLINE
    }
    return _chosen(
        given.get("config"),
        given.get("portal", ""),
        given.get("data_dir"),
        given.get("warehouse"),
        given.get("state"),
        access,
        typed,
    )


def _chosen(
    config: str | None,
    portal: str,
    data_dir: str | None,
    warehouse: str | None,
    state: str | None,
    access: Access,
    typed: Mapping[str, Any],
) -> Targets:
    """The portals to work on: of the configuration file, or by the address alone.

    A portal of the file is shown the credentials that the file names, or that were `typed`; those
    of the environment may be another portal's.
    """
    if config is None and not Path(DEFAULT_FILE).exists():
        folder = data_folder(data_dir)
        url = warehouse or default_url(folder)
        return Targets((Target(portal, folder, url, access, state or ""),))
    # Imported where there is a file: pydantic takes longer than all the rest.
    from ods_pipeline.cli.config_file import read_config

    file = read_config(Path(config or DEFAULT_FILE))
    folder = data_folder(data_dir or file.content.data_dir or None)
    url = warehouse or file.content.warehouse or default_url(folder)
    state = state or file.content.state
    named = portal in file.content.portals
    chosen = {} if portal == SAMPLE and not named else file.chosen(portal)
    if not chosen:
        return Targets((Target(portal, folder, url, access, state),))
    if typed and len(chosen) > 1:
        raise ConfigurationError(
            f"{next(iter(typed))} is for one portal: choose it with --portal ({', '.join(chosen)})"
        )
    targets = []
    for name, found in chosen.items():
        access, problem = Access(), None
        try:
            access = replace(found.access(), **typed)
        except ConfigurationError as error:
            problem = ConfigurationError(f"{file.path}: portals.{name}: {error.message}")
        targets.append(Target(found.portal, folder, url, access, state, name, found, problem))
    return Targets(tuple(targets))
