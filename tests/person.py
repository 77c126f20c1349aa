"""A person with a browser, played with `requests`: logs in at the emulator and answers it.

The commands under test run in processes of their own; one that waits meanwhile is a `Waiting`.
"""

from __future__ import annotations

import functools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path

import requests

from tests.warm import Warm

COMMAND = Path(sys.executable).parent / "ods-pipeline"


def environment(**ours: str) -> dict[str, str]:
    """The tests' own environment without anybody's settings, and with these."""
    others = {name: text for name, text in os.environ.items() if not name.startswith("ODS_")}
    return {**others, **ours}


def typed(folder: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """A command typed in a folder by somebody who has these settings and no others."""
    done = warm().run(words, folder, environment(**settings))
    assert "Traceback" not in done.stderr
    return done


def started(folder: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """The same in a process that is started for it, and taken down as any other."""
    done = subprocess.run(
        [COMMAND, *words],
        cwd=folder,
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done


@functools.cache
def warm() -> Warm:
    """The process that runs the commands of these tests."""
    return Warm()


def answered(consent_url: str, decision: str = "allow", who: str = "ada") -> str:
    """Where the browser is led after a person has logged in and answered."""
    with requests.Session() as browser:
        browser.trust_env = False
        form = browser.get(consent_url, timeout=60)
        name = {"next": _hidden(form.text, "next"), "username": who, "password": who}
        question = browser.post(form.url, data=name, timeout=60)
        answer = {"csrfmiddlewaretoken": _hidden(question.text, "csrfmiddlewaretoken")}
        sent = browser.post(
            question.url, data={**answer, "decision": decision}, timeout=60, allow_redirects=False
        )
        return sent.headers["Location"]


def _hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, page
    return unescape(found.group(1))


def visited(url: str) -> requests.Response:
    """What a browser is shown."""
    with requests.Session() as browser:
        browser.trust_env = False
        return browser.get(url, timeout=60)


class Waiting:
    """`ods-pipeline login` in its own process, with what it has said so far.

    Attributes:
        said: What stderr holds.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Listen to it."""
        self.process, self.said = process, ""
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.said += line

    def hears(self, pattern: str, seconds: float = 120) -> re.Match[str]:
        """Wait until it has said something."""
        end = time.monotonic() + seconds
        while not (found := re.search(pattern, self.said, re.MULTILINE)):
            assert time.monotonic() < end, f"never said {pattern!r}: {self.said}"
            assert self.process.poll() is None or self._listener.is_alive(), self.said
            time.sleep(0.02)
        return found

    @property
    def consent_url(self) -> str:
        """The address that it prints, once it waits."""
        url = self.hears(r"^(http\S+/oauth2/authorize/\S+)$").group(1)
        self.hears(r"seconds; Ctrl-C gives up")
        return url

    def types(self, line: str) -> None:
        """Paste a line."""
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def closes_input(self) -> None:
        """End its input."""
        assert self.process.stdin
        self.process.stdin.close()

    def presses_ctrl_c(self) -> None:
        """Interrupt it."""
        self.process.send_signal(signal.SIGINT)

    def ends(self, seconds: float = 120) -> tuple[int, str]:
        """Wait for its end: exit status and stdout."""
        status = self.process.wait(seconds)
        self._listener.join(60)
        assert self.process.stdout
        told = self.process.stdout.read()
        assert "Traceback" not in self.said, self.said
        return status, told


@contextmanager
def waiting(folder: Path, *words: str, **settings: str) -> Iterator[Waiting]:
    """A login under way; ended in any case."""
    with subprocess.Popen(
        [COMMAND, "login", *words],
        cwd=folder,
        env=environment(**settings),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Waiting(process)
        finally:
            process.kill()


def logged_in(folder: Path, *words: str, who: str = "ada", **settings: str) -> str:
    """Log in as a person would, and give what the command said about it."""
    with waiting(folder, "--no-browser", *words, **settings) as login:
        visited(answered(login.consent_url, who=who))
        status, told = login.ends()
    assert status == 0, login.said
    return told
