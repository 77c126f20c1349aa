"""Waiting for a person: the consent page in a browser, and the answer from there or pasted.

What the answer means is `portal.auth.consent`'s business; nothing here sees a token.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Protocol

import click

from ods_pipeline.cli.loopback import ListenAddress, Page, listening
from ods_pipeline.errors import AccessDenied, ConfigurationError, LoginNeeded, OdsPipelineError
from ods_pipeline.portal.auth.consent import NotThisLogin

# How long a glance at the input or at the browser takes.
_BEAT = 0.1
# How long an answer that came before Ctrl-C may take to become a login.
_LAST_WAIT = 5
# So much that answers nothing is no person's.
_MOST_LINES, _MOST_BYTES = 10, 1 << 20
_OPEN = "import sys, webbrowser; sys.exit(not webbrowser.open(sys.argv[1]))"


class Asked(Protocol):
    """A consent that was asked for; see `portal.auth.consent`."""

    @property
    def url(self) -> str:
        """Address of the consent page."""

    @property
    def redirect_uri(self) -> str:
        """Where the browser comes back to."""

    def login(self, text: str) -> object:
        """Take the answer; see `portal.auth.consent`."""


def log_in(
    consent: Asked, portal: str, place: ListenAddress | None, *, browser: bool, timeout: float
) -> None:
    """Wait until a person has consented and the login is kept.

    Args:
        consent: What was asked for.
        portal: Base URL of the portal, for people.
        place: Where the browser comes back to; None where that is out of hearing.
        browser: Whether to open a browser; without it pasted addresses are read as well.
        timeout: Seconds to wait.

    Raises:
        AccessDenied: The person or the portal refused.
        LoginNeeded: Nobody answered in time.
        ConfigurationError: It cannot be waited for.
        OdsPipelineError: The login cannot be had, or not be kept.
        KeyboardInterrupt: Before an answer had been dealt with.
    """
    waiter = ConsentWaiter(consent, portal)
    try:
        _receive(waiter, consent, portal, place, browser=browser, timeout=timeout)
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


def _receive(
    waiter: ConsentWaiter,
    consent: Asked,
    portal: str,
    place: ListenAddress | None,
    *,
    browser: bool,
    timeout: float,
) -> None:
    with ExitStack() as stack:
        if place:
            stack.enter_context(listening(place, waiter.page, waiter.leave))
        pasted = StdinReader()
        if not browser or not place:
            pasted.start()
        opening = Opening(consent.url) if browser else None
        _tell(consent, portal, opened=browser, heard=bool(place), timeout=timeout)
        _wait(waiter, pasted, opening, heard=bool(place), until=time.monotonic() + timeout)


def _tell(consent: Asked, portal: str, *, opened: bool, heard: bool, timeout: float) -> None:
    lead = "The browser should show it now; if not, open" if opened else "Open"
    click.echo(f"{portal} asks for your consent. {lead} this address:\n\n{consent.url}\n", err=True)
    if not heard:
        told = (
            f"Nothing on this machine can hear {consent.redirect_uri}: paste the whole address "
            "that the browser shows in the end, and press Enter"
        )
    elif opened:
        told = f"Waiting for the browser to come back to {consent.redirect_uri}"
    else:
        told = (
            f"Waiting for the browser to come back to {consent.redirect_uri}; where it cannot, "
            "paste the whole address that it shows in the end, and press Enter"
        )
    click.echo(f"{told} ({timeout:g} seconds; Ctrl-C gives up).", err=True)


def _wait(
    waiter: ConsentWaiter,
    pasted: StdinReader,
    opening: Opening | None,
    *,
    heard: bool,
    until: float,
) -> None:
    while (left := until - time.monotonic()) > 0 and not waiter.over.is_set():
        if opening and opening.failed:
            opening = None
            pasted.start()
            told = "No browser could be opened: open the address yourself"
            click.echo(f"{told}, or on another machine and paste where it ends.", err=True)
        if pasted.open:
            pasted.read(min(left, _BEAT), waiter.paste)
        elif heard or opening:
            waiter.over.wait(min(left, _BEAT))
        else:
            ended = "the input ended before the address was pasted"
            told = "nothing in the input answers" if pasted.given_up else ended
            raise ConfigurationError(f"{told}, so no login was stored")
    # An answer that came in the last moment is being exchanged: that ends by itself.
    waiter.finish()


class ConsentWaiter:
    """Takes the first answer, whichever way it comes: by the browser or pasted.

    Attributes:
        over: Set when the person has been told what came of it.
        failure: Why there is no login.
    """

    def __init__(self, consent: Asked, portal: str) -> None:
        self._consent, self._portal = consent, portal
        self._lock = threading.Lock()
        self._ended = False
        self.over = threading.Event()
        self.failure: Exception | None = None

    def page(self, text: str) -> Page:
        """What to show to a browser that came with an answer."""
        try:
            self._take(text)
        except NotThisLogin:
            told = "This is not the answer that is waited for. Go on at the page that was opened."
            return Page(400, "Not this login", told)
        if self.failure is None:
            told = "The terminal says where the login is kept. This page can be closed."
            return Page(200, f"Logged in to {self._portal}", told)
        known = isinstance(self.failure, OdsPipelineError)
        told = str(self.failure) if known else "The terminal says why."
        return Page(403 if isinstance(self.failure, AccessDenied) else 500, "Not logged in", told)

    def paste(self, text: str) -> bool:
        """Take a line that somebody pasted; False where it is no answer, and what it lacks said."""
        try:
            self._take(text)
        except NotThisLogin as error:
            click.echo(f"{error}; still waiting", err=True)
            return False
        self.leave()
        return True

    def leave(self) -> None:
        """Hear that the person has been told; where it was no answer, the waiting goes on."""
        if self._ended:
            self.over.set()

    def finish(self) -> None:
        """Let an exchange that has begun come to its end, and the browser hear of it."""
        with self._lock:
            ended = self._ended
        if ended:
            self.over.wait(1)
            self.over.set()

    def close(self, seconds: float) -> bool:
        """Take no answer any more; True where one was taken, to its end, before or meanwhile."""
        with suppress(KeyboardInterrupt):
            # Nobody gets it again: this is the end.
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
            except Exception as error:  # Raised again where the command ends.
                self.failure = error
            self._ended = True


class StdinReader:
    """Lines of the standard input as they come, without a thread that could not be ended.

    Attributes:
        open: Whether there may be more.
        given_up: Whether there was too much that answers nothing.
    """

    def __init__(self) -> None:
        self.open = self.given_up = False
        self._rest = b""
        self._bytes = self._lines = 0

    def start(self) -> None:
        """Begin to read, where there is anything to read from."""
        self.open = sys.stdin is not None and not sys.stdin.closed and not self.given_up

    def read(self, seconds: float, take: Callable[[str], bool]) -> None:
        """Hand on the lines that have come, until one is taken; waits so long for the first."""
        for line in self._come(seconds):
            if take(line):
                return
            self._lines += 1
            if self._lines >= _MOST_LINES:
                break
        if self._lines >= _MOST_LINES or self._bytes >= _MOST_BYTES:
            self.open, self.given_up = False, True
            click.echo("The input is read no further, since nothing in it answers.", err=True)

    def _come(self, seconds: float) -> list[str]:
        if not select.select([sys.stdin], [], [], seconds)[0]:
            return []
        came = os.read(sys.stdin.fileno(), 1 << 16)
        self.open = bool(came)
        self._bytes += len(came)
        *whole, self._rest = (self._rest + came).split(b"\n")
        if not self.open:
            whole.append(self._rest)
        return [text for line in whole if (text := line.decode(errors="replace").strip())]


class Opening:
    """A browser being opened by a process of its own.

    Some programs return only when they are closed, print, or take the terminal over.
    """

    def __init__(self, url: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - the address is ours
            # Isolated, or a webbrowser.py of the current folder would run.
            [sys.executable, "-I", "-c", _OPEN, url],
            env={name: text for name, text in os.environ.items() if not name.startswith("ODS_")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def failed(self) -> bool:
        """Whether there turned out to be none."""
        return bool(self._process.poll())
