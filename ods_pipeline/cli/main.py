"""`ods-pipeline`: its options, what it prints when it fails, and its exit statuses.

What the commands do is in files of their own.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import click
from click.core import ParameterSource

from ods_pipeline.cli import account, commands, exports
from ods_pipeline.cli.process import prepare
from ods_pipeline.cli.target import SAMPLE, Access, Target, Targets
from ods_pipeline.errors import OUT_OF_FILES, ConfigurationError, OdsPipelineError, out_of_files
from ods_pipeline.lake.files import data_folder
from ods_pipeline.warehouse.opening import default_url

#: The file that is read without being named, where the working folder has it.
DEFAULT_FILE = "ods-pipeline.toml"

_LAST_WAIT = 60

_EPILOG = """\b
Settings can be given as options or in the environment:
  ODS_PORTAL         domain or URL of the portal; `sample`, or on a terminal nothing, is the
                     sample portal of this package
  ODS_CONFIG         file of portals and tables (default: ods-pipeline.toml in this
                     folder, if there is one); ODS_PORTAL is a name in it, or an address
  ODS_DATA_DIR       folder of lake, warehouse and logins (default: data)
  ODS_WAREHOUSE      duckdb:///PATH (default: warehouse.duckdb in the data folder)
  ODS_API_KEY        API key, or instead of it:
  ODS_CLIENT_ID      OAuth2 application; log in once with `ods-pipeline login`
  ODS_CLIENT_SECRET  its secret
  ODS_TOKEN_FILE     where its login is kept: a file, or a postgresql:// URL
                     (default: a file of its own in the data folder)
\b
Give secrets in the environment: other users of the machine can read the options of a process.
\b
Exit status: 0 all good, 1 some datasets failed, 2 bad usage or configuration,
3 put off because the portal's request quota is spent, 130 interrupted (Ctrl-C),
143 terminated (SIGTERM).
"""


@click.group(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--portal",
    envvar="ODS_PORTAL",
    metavar="ADDRESS",
    help="Domain or URL of the portal; `sample` for the sample portal.",
)
@click.option("--data-dir", envvar="ODS_DATA_DIR", metavar="FOLDER", help="Lake and warehouse.")
@click.option("--warehouse", envvar="ODS_WAREHOUSE", metavar="URL", help="Where tables are loaded.")
@click.option("--api-key", envvar="ODS_API_KEY", metavar="KEY", help="API key.")
@click.option(
    "--api-key-in-query",
    is_flag=True,
    help="Send the key in the address, for proxies that lose headers; servers log addresses.",
)
@click.option("--client-id", envvar="ODS_CLIENT_ID", metavar="ID", help="OAuth2 application.")
@click.option("--client-secret", envvar="ODS_CLIENT_SECRET", metavar="SECRET", help="Its secret.")
@click.option(
    "--token-file", envvar="ODS_TOKEN_FILE", metavar="PLACE", help="Where its login is kept."
)
@click.option(
    "--config",
    envvar="ODS_CONFIG",
    metavar="FILE",
    help="Portals and their tables (default: ods-pipeline.toml in this folder, if there is one).",
)
@click.version_option(package_name="ods-pipeline")
@click.pass_context
def cli(
    context: click.Context,
    portal: str | None,
    data_dir: str | None,
    warehouse: str | None,
    api_key: str | None,
    api_key_in_query: bool,
    client_id: str | None,
    client_secret: str | None,
    token_file: str | None,
    config: str | None,
) -> None:
    """Keep a warehouse in step with an Opendatasoft portal.

    Start with `ods-pipeline plan`, which fetches no data, then `ods-pipeline sync`.
    """
    given = {
        "--portal": portal,
        "--data-dir": data_dir,
        "--warehouse": warehouse,
        "--config": config,
    }
    empty = [name for name, text in given.items() if text is not None and not text.strip()]
    if os.environ.get("ODS_PORTAL", "unset").strip() == "" and not portal:
        empty.append("ODS_PORTAL")
    if empty:
        raise ConfigurationError(f"{empty[0]} is empty: give it a value, or leave it out")
    access = Access(
        api_key or "", api_key_in_query, client_id or "", client_secret or "", token_file or ""
    )
    typed = {
        name: getattr(access, name)
        for name in ("api_key", "api_key_in_query", "client_id", "client_secret", "token_file")
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    context.obj = _targets(config, portal or "", data_dir, warehouse, access, typed)


def _targets(
    config: str | None,
    portal: str,
    data_dir: str | None,
    warehouse: str | None,
    access: Access,
    typed: Mapping[str, Any],
) -> Targets:
    """The portals to work on: of the configuration file, or by the address alone.

    A portal of the file is shown the credentials that the file names, or that were `typed`; those
    of the environment may be another portal's.
    """
    if config is None and not Path(DEFAULT_FILE).exists():
        folder = data_folder(data_dir)
        return Targets((Target(portal, folder, warehouse or default_url(folder), access),))
    # Imported where there is a file: pydantic takes longer than all the rest.
    from ods_pipeline.cli.config_file import read_config

    file = read_config(Path(config or DEFAULT_FILE))
    folder = data_folder(data_dir or file.content.data_dir or None)
    url = warehouse or file.content.warehouse or default_url(folder)
    named = portal in file.content.portals
    chosen = {} if portal == SAMPLE and not named else file.chosen(portal)
    if not chosen:
        return Targets((Target(portal, folder, url, access),))
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
        targets.append(Target(found.portal, folder, url, access, name, found, problem))
    return Targets(tuple(targets))


for _command in (
    commands.sync,
    commands.plan,
    exports.catalog,
    exports.export,
    exports.attachments,
    commands.verify,
    account.login,
    account.logout,
    account.whoami,
    commands.doctor,
    commands.emulator,
):
    cli.add_command(_command)


def main() -> NoReturn:
    """Run the command line; what a user can cause ends in one sentence and an exit status."""
    if sys.stdout is None:  # The next file that is opened, even a table, would take its place.
        click.echo("ods-pipeline: the standard output is closed; give it /dev/null", err=True)
        sys.exit(1)
    prepare()
    # A terminal that cannot show a title in Japanese shows its code points.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    # Or connections that a failure's traceback still holds are reported as leaks on stderr.
    atexit.register(gc.collect)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        status = _run()
        sys.stdout.flush()
    except OSError as error:
        if _stdout_works():
            raise
        if not isinstance(error, BrokenPipeError):
            click.echo(f"ods-pipeline: the output cannot be written ({error.strerror})", err=True)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    sys.exit(status)


def _load_dotenv() -> None:
    """Take the variables of `.env` in this folder, which go before others, as with Dagster."""
    if Path(".env").is_file():
        from dotenv import dotenv_values

        try:
            given = dotenv_values(".env")
        except UnicodeDecodeError as error:
            raise ConfigurationError(f".env is not UTF-8: {error.reason}") from error
        os.environ.update({name: value for name, value in given.items() if value is not None})


def _run() -> int:
    try:
        _load_dotenv()
        cli(standalone_mode=False)
    except SystemExit as end:
        return int(end.code or 0)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except OdsPipelineError as error:
        click.echo(f"ods-pipeline: {error}", err=True)
        return error.exit_status
    except (OSError, ImportError) as error:
        if not out_of_files(error):
            raise
        click.echo(f"ods-pipeline: {OUT_OF_FILES}", err=True)
        return 1
    except (KeyboardInterrupt, click.Abort) as stop:
        _interrupted(commands.status_of(stop.__cause__ or stop))
    return 0


def _stdout_works() -> bool:
    """Whether stdout can be written: if it can, the error was about another file."""
    try:
        sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError:
        return False
    return True


def _terminated(*_: object) -> NoReturn:
    raise commands.Terminated


def _interrupted(status: int) -> NoReturn:
    from ods_pipeline.lake.files import discard_unfinished

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    message = "\nods-pipeline: interrupted; what is landed is whole, run again to go on"
    try:
        discard_unfinished()
        renewals = sys.modules.get("ods_pipeline.portal.auth.uninterrupted")
        if renewals:
            # A login is lost if its renewal is interrupted; Ctrl-C again ends the wait.
            renewals.finish(_LAST_WAIT)
        click.echo(message, err=True)
        if sys.stderr:
            sys.stderr.flush()
    except KeyboardInterrupt:
        click.echo(message, err=True)
    finally:
        # Threads may wait for a portal that is silent for minutes; nothing they hold is needed.
        os._exit(status)
