"""The sample portal for a command that names no other: one that runs already, or one started here.

What it serves belongs to `emulator`.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import requests

from ods_pipeline.cli import log
from ods_pipeline.emulator import Emulator
from ods_pipeline.errors import ConfigurationError

PORT = 8765


@contextlib.contextmanager
def sample_portal(*, named: bool, withheld: bool = False) -> Iterator[str]:
    """The sample portal at its usual address, so that tables keep their names; else anywhere.

    Args:
        named: Whether it was asked for by name.
        withheld: Whether there are credentials, which are not sent to it.

    Raises:
        ConfigurationError: It was not, and nobody sits at a terminal: a script forgot its address.
    """
    streams = (sys.stdin, sys.stdout, sys.stderr)
    if not named and not any(stream and stream.isatty() for stream in streams):
        raise ConfigurationError(
            "ODS_PORTAL is not set: give the portal's address, or `--portal sample` for the sample "
            "portal of this package"
        )
    # The user's credentials are meant for some other portal.
    note = "; your credentials are not sent to it" if withheld else ""
    why = "using" if named else "ODS_PORTAL is not set: using"
    log.warning(f"{why} the sample portal of this package{note}")
    if _answers(f"http://127.0.0.1:{PORT}/_emulator"):
        yield f"http://127.0.0.1:{PORT}"
        return
    try:
        emulator = Emulator(port=PORT)
    except OSError:
        emulator = Emulator()
    with emulator:
        yield emulator.url


def _answers(url: str) -> bool:
    with requests.Session() as session:
        session.trust_env = False  # A proxy does not reach this machine's own addresses.
        try:
            return session.get(url, timeout=1).ok
        except requests.RequestException:
            return False
