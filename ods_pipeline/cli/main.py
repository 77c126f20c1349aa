"""`ods-pipeline`: its options, what it prints when it fails, and its exit statuses.

What the commands do is in files of their own.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

import click

from ods_pipeline.cli import account, attachments, commands, everywhere, exports, log, show
from ods_pipeline.cli.process import prepare
from ods_pipeline.errors import OUT_OF_FILES, ConfigurationError, OdsPipelineError, out_of_files

_LAST_WAIT = 60

_EPILOG = """\b
Settings can be given as options or in the environment:
  ODS_PORTAL         domain or URL of the portal; `sample`, or on a terminal nothing, is the
                     sample portal of this package
  ODS_CONFIG         file of portals and tables (default: ods-pipeline.toml in this
                     folder, if there is one); ODS_PORTAL is a name in it, or an address
  ODS_DATA_DIR       folder of lake, warehouse and logins (default: data), or for the lake
                     a place in a bucket: s3://…, gs://… or az://…
  ODS_WAREHOUSE      duckdb:///PATH, or postgresql://HOST/DATABASE, which libpq's own
                     variables and .pgpass complete, or iceberg:NAME, a catalog of
                     pyiceberg's (default: warehouse.duckdb in the data folder)
  ODS_STATE          postgresql://HOST/DATABASE of what processes of several hosts share:
                     quota, locks and logins (default: local files)
  ODS_API_KEY        API key, or instead of it:
  ODS_CLIENT_ID      OAuth2 application; log in once with `ods-pipeline login`
  ODS_CLIENT_SECRET  its secret
  ODS_TOKEN_FILE     where its login is kept: a file, or a postgresql:// URL
                     (default: ODS_STATE, else a file of its own in the data folder)
\b
Give secrets in the environment: other users of the machine can read the options of a process.
\b
Exit status: 0 all good, 1 some datasets failed, 2 bad usage or configuration,
3 put off because the portal's request quota is spent, 130 interrupted (Ctrl-C),
143 terminated (SIGTERM).
"""


@everywhere.before_the_command
@click.group(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ods-pipeline")
def cli() -> None:
    """Keep a warehouse in step with an Opendatasoft portal.

    Start with `ods-pipeline plan`, which fetches no data, then `ods-pipeline sync`.
    """


for _command in (
    commands.sync,
    commands.plan,
    exports.catalog,
    exports.export,
    attachments.attachments,
    show.show,
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
        log.error("the standard output is closed; give it /dev/null")
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
            log.error(f"the output cannot be written ({error.strerror})")
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
        log.error(str(error))
        return error.exit_status
    except (OSError, ImportError) as error:
        if not out_of_files(error):
            raise
        log.error(OUT_OF_FILES)
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


def _told_apart(message: str) -> None:
    """Say something on a line of its own: the terminal shows `^C` where the cursor was."""
    if not log.written():
        click.echo(err=True)
    log.warning(message)
    if sys.stderr:
        sys.stderr.flush()


def _interrupted(status: int) -> NoReturn:
    from ods_pipeline.lake.files import discard_unfinished

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    message = "interrupted; what is landed is whole, run again to go on"
    try:
        discard_unfinished()
        renewals = sys.modules.get("ods_pipeline.portal.auth.uninterrupted")
        if renewals:
            # A login is lost if its renewal is interrupted; Ctrl-C again ends the wait.
            renewals.finish(_LAST_WAIT)
        _told_apart(message)
    except KeyboardInterrupt:
        _told_apart(message)
    finally:
        # Threads may wait for a portal that is silent for minutes; nothing they hold is needed.
        os._exit(status)
