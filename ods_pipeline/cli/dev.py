"""`python -m ods_pipeline.cli.dev`: Dagster's pages over this checkout, and the address to open.

The sample portal runs beside them, unless ODS_PORTAL names another or somebody serves it already.
What Dagster prints goes to a file: the address would be lost in it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import click
import requests

from ods_pipeline.cli.sample_portal import sample_portal

_PAGES = 3000
_LOG = Path("data/dagster/dev.log")
# Dagster takes a quarter of a minute to start, on a busy machine many times that.
_PATIENCE = 300
_TOLD = 20  # lines of the log, if it does not


def main() -> None:
    """Start everything, say where it is, and end with Ctrl-C."""
    _LOG.parent.mkdir(parents=True, exist_ok=True)
    port = _free(_PAGES)
    own = os.environ.get("ODS_PORTAL")
    beside = contextlib.nullcontext() if own else sample_portal(named=True)
    with beside, _LOG.open("wb") as log:
        click.echo(f"Starting Dagster; what it prints goes to {_LOG}")
        dagster = subprocess.Popen(  # noqa: S603 - words of our own
            [Path(sys.executable).with_name("dg"), "dev", "--port", str(port)],
            env={**os.environ, "DAGSTER_HOME": os.getcwd()},
            stdout=log,
            stderr=subprocess.STDOUT,
            # Ctrl-C is for this program, which passes it on once.
            start_new_session=True,
        )
        try:
            _await(dagster, f"http://127.0.0.1:{port}")
            click.secho(f"\nDagster: http://127.0.0.1:{port} - Ctrl-C ends it", bold=True)
            dagster.wait()
            _give_up("Dagster ended")
        except KeyboardInterrupt:
            click.echo("\nEnding Dagster")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(dagster.pid, signal.SIGINT)
            dagster.wait()


def _await(dagster: subprocess.Popen[bytes], url: str) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        if dagster.poll() is not None:
            _give_up("Dagster did not start")
        with contextlib.suppress(requests.RequestException):
            if requests.get(f"{url}/server_info", timeout=5).ok:
                return
        time.sleep(0.3)
    _give_up(f"Dagster has not answered for {_PATIENCE} seconds")


def _give_up(why: str) -> None:
    lines = _LOG.read_text(encoding="utf-8", errors="replace").splitlines()[-_TOLD:]
    click.echo("\n".join([*lines, f"{why}: see {_LOG}"]), err=True)
    raise SystemExit(1)


def _free(port: int) -> int:
    """This port, or the next that nobody listens on."""
    while _answers(port):
        port += 1
    return port


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 2):
        return True
    return False


if __name__ == "__main__":
    main()
