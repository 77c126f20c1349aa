"""Waits for a person's consent in a browser: the answer comes from there, or is pasted.

What the answer means is decided in `portal`; no token is seen here.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

import click

from ods_pipeline.cli.loopback import ListenAddress, Page, listening
from ods_pipeline.errors import AccessDenied, ConfigurationError, LoginNeeded, OdsPipelineError
from ods_pipeline.portal.auth.consent import NotThisLogin

if TYPE_CHECKING:
    from ods_pipeline.portal.auth.consent import Consent

# Seconds between two looks at the input and the browser.
_PAUSE = 0.1
# Seconds that an answer which came before Ctrl-C may take to become a login.
_LAST_WAIT = 5
# A person does not paste more than this without an answer in it.
_MOST_LINES, _MOST_BYTES = 10, 1 << 20
_OPEN = "import sys, webbrowser; sys.exit(not webbrowser.open(sys.argv[1]))"


def log_in(
    consent: Consent, portal: str, address: ListenAddress | None, *, browser: bool, timeout: float
) -> None:
    """Wait so many seconds until a person has consented and the login is kept.

    The browser comes back to `address`; if that is None, to another machine. Then, and where this
    process opens no browser, pasted addresses are read as well.

    Raises:
        AccessDenied: The person or the portal refused.
        LoginNeeded: There was no answer in time.
        ConfigurationError: No answer can come.
        OdsPipelineError: The portal gives no login, or it cannot be stored.
        KeyboardInterrupt: Interrupted before an answer was processed.
    """
    waiter = ConsentWaiter(consent, portal)
    server = listening(address, waiter.page, waiter.leave) if address else nullcontext()
    try:
        with server:
            pasted = StdinReader()
            if not browser or not address:
                pasted.start()
            opening = _open_browser(consent.url) if browser else None
            _instruct(consent, portal, opened=browser, listens=bool(address), timeout=timeout)
            _wait(waiter, pasted, opening, listens=bool(address), until=time.monotonic() + timeout)
    except KeyboardInterrupt:
        if not waiter.close(_LAST_WAIT):
            raise
    if waiter.failure:
        raise waiter.failure
    if not waiter.over.is_set():
        raise LoginNeeded(
            f"nobody answered within {timeout:g} seconds, so no login was stored; where the portal "
            "shows an error instead of a question, compare client ID and redirection URL "
            f"{consent.redirect_uri} with what the application is registered with",
            portal=portal,
        )


def _open_browser(url: str) -> subprocess.Popen[bytes]:
    # A process of its own: some browsers return only when they are closed, print, or take over
    # the terminal.
    return subprocess.Popen(  # noqa: S603 - the address is ours
        # Isolated, or a webbrowser.py of the current folder would run.
        [sys.executable, "-I", "-c", _OPEN, url],
        env={name: text for name, text in os.environ.items() if not name.startswith("ODS_")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _instruct(
    consent: Consent, portal: str, *, opened: bool, listens: bool, timeout: float
) -> None:
    lead = "The browser should show it now; if not, open" if opened else "Open"
    click.echo(f"{portal} asks for your consent. {lead} this address:\n\n{consent.url}\n", err=True)
    instruction = f"Waiting for the browser to come back to {consent.redirect_uri}"
    if not listens:
        instruction = (
            f"Nothing on this machine can hear {consent.redirect_uri}: paste the whole address "
            "that the browser shows in the end, and press Enter"
        )
    elif not opened:
        instruction += (
            "; where it cannot, paste the whole address that it shows in the end, and press Enter"
        )
    click.echo(f"{instruction} ({timeout:g} seconds; Ctrl-C gives up).", err=True)


def _wait(
    waiter: ConsentWaiter,
    pasted: StdinReader,
    opening: subprocess.Popen[bytes] | None,
    *,
    listens: bool,
    until: float,
) -> None:
    while (left := until - time.monotonic()) > 0 and not waiter.over.is_set():
        if opening and opening.poll():
            opening = None
            pasted.start()
            click.echo(
                "No browser could be opened: open the address yourself, or on another machine and "
                "paste where it ends.",
                err=True,
            )
        if pasted.open:
            pasted.read(min(left, _PAUSE), waiter.paste)
        elif listens or opening:
            waiter.over.wait(min(left, _PAUSE))
        else:
            ended = "the input ended before the address was pasted"
            reason = "nothing in the input answers" if pasted.given_up else ended
            raise ConfigurationError(f"{reason}, so no login was stored")
    # An answer that came at the last moment may still be exchanged for a login.
    waiter.finish()


class ConsentWaiter:
    """Takes the first answer, from the browser or pasted.

    Attributes:
        over: Set when the person has been shown the result.
        failure: Why there is no login.
    """

    def __init__(self, consent: Consent, portal: str) -> None:
        self._consent, self._portal = consent, portal
        self._lock = threading.Lock()
        self._ended = False
        self.over = threading.Event()
        self.failure: Exception | None = None

    def page(self, text: str) -> Page:
        """Take the answer that a browser brings, and return the page to show."""
        try:
            self._take(text)
        except NotThisLogin:
            text = "This is not the answer that is waited for. Go on at the page that was opened."
            return Page(400, "Not this login", text)
        if self.failure is None:
            text = "The terminal says where the login is kept. This page can be closed."
            return Page(200, f"Logged in to {self._portal}", text)
        ours = isinstance(self.failure, OdsPipelineError)
        text = str(self.failure) if ours else "The terminal says why."
        return Page(403 if isinstance(self.failure, AccessDenied) else 500, "Not logged in", text)

    def paste(self, text: str) -> bool:
        """Take a pasted line; False, with a message of what it lacks, if it is not an answer."""
        try:
            self._take(text)
        except NotThisLogin as error:
            click.echo(f"{error}; still waiting", err=True)
            return False
        self.leave()
        return True

    def leave(self) -> None:
        """Called when the person has seen the page; ends the wait if there was an answer."""
        if self._ended:
            self.over.set()

    def finish(self) -> None:
        """Let an exchange that has begun end, and the browser show its result."""
        with self._lock:
            ended = self._ended
        if ended:
            self.over.wait(1)
            self.over.set()

    def close(self, seconds: float) -> bool:
        """Accept no more answers; True if one was taken, and processed, before or meanwhile."""
        with suppress(KeyboardInterrupt):
            # Never released: no other answer may be taken.
            self._lock.acquire(timeout=seconds)
        if self._ended:
            self.over.wait(1)
            self.over.set()
        return self._ended

    def _take(self, text: str) -> None:
        with self._lock:
            if self._ended:
                return
            try:
                self._consent.login(text)
            except NotThisLogin:
                raise
            except Exception as error:  # Raised again by `log_in`.
                self.failure = error
            self._ended = True


class StdinReader:
    """Lines of the standard input as they come, without a thread that could not be stopped.

    Attributes:
        open: Whether there may be more.
        given_up: Whether there was too much without an answer in it.
    """

    def __init__(self) -> None:
        self.open = self.given_up = False
        self._rest = b""
        self._bytes = self._lines = 0

    def start(self) -> None:
        """Begin to read, if there is a standard input."""
        self.open = sys.stdin is not None and not sys.stdin.closed and not self.given_up

    def read(self, seconds: float, take: Callable[[str], bool]) -> None:
        """Pass lines to `take` until it accepts one; wait so many seconds for the first."""
        if not select.select([sys.stdin], [], [], seconds)[0]:
            return
        read = os.read(sys.stdin.fileno(), 1 << 16)
        self.open = bool(read)
        self._bytes += len(read)
        *whole, self._rest = (self._rest + read).split(b"\n")
        if not self.open:
            whole.append(self._rest)
        for line in whole:
            text = line.decode(errors="replace").strip()
            if not text:
                continue
            if take(text):
                return
            self._lines += 1
            if self._lines >= _MOST_LINES:
                break
        if self._lines >= _MOST_LINES or self._bytes >= _MOST_BYTES:
            self.open, self.given_up = False, True
            click.echo("The input is read no further, since nothing in it answers.", err=True)
