"""Commands on a terminal of some width, and what a person reads there."""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.person import warm

COMMAND = Path(sys.executable).with_name("ods-pipeline")
# A bar that is over is wiped away, with the line that it was on.
_WIPED = re.compile(r"[^\n]*\n(?:\r|\x1b\[\?25h)*\x1b\[1A\x1b\[2K")
_CODES = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07)")
_LINES = 50
#: What is another one in each run, and as wide as that.
_CHANCE = (
    (re.compile(r"((?:127\.0\.0\.1|127_0_0_1)[:_])\d{5}\b"), r"\g<1>#####"),
    (re.compile(r"\d+\.\d (?=s\b)"), "#.# "),
    (re.compile(r"(fetched +)\d{4}-\d\d-\d\d \d\d:\d\d"), r"\g<1>####-##-## ##:##"),
    (re.compile(r"(\d\d:\d\d +)\d{4}-\d\d-\d\d$", re.MULTILINE), r"\g<1>####-##-##"),
    (re.compile(r"(until|since) \d{4}-\d\d-\d\d"), r"\1 ####-##-##"),
    (re.compile(r"\d{5}(?=\s+of\s+15000)"), "#####"),
    (re.compile(r"\d+\.\d GB free"), "##.# GB free"),
    (re.compile(r" \d\.\d (?= +\d+)"), " #.# "),
)


@contextlib.contextmanager
def terminal(width: int) -> Iterator[tuple[int, int]]:
    """A pseudo-terminal: the side of the person, and that of the command."""
    person, command = os.openpty()
    try:
        size = struct.pack("HHHH", _LINES, width, 0, 0)
        fcntl.ioctl(command, termios.TIOCSWINSZ, size)
        yield person, command
    finally:
        os.close(person)


def shown(
    folder: Path,
    settings: dict[str, str],
    width: int,
    *words: str,
    then: Callable[[int, str], object] = lambda person, text: None,
    program: str | Path = COMMAND,
) -> tuple[int, str]:
    """Type a command, and read the screen until it ends; a process is started for it.

    Args:
        folder: Where it is typed.
        settings: Variables of the environment.
        width: Columns of the terminal.
        words: The command's.
        then: Called with the person's side and all that was shown so far, after each piece.
        program: What is run; the command line without it.

    Returns:
        Its exit status, and what was shown, with codes for colours and movements.
    """
    with terminal(width) as (person, command):
        running = subprocess.Popen(
            # The terminal is the command's own, so that Ctrl-C reaches it.
            ["setsid", "--ctty", "--wait", program, *words],
            cwd=folder,
            env=_environment(settings),
            stdin=command,
            stdout=command,
            stderr=command,
        )
        os.close(command)
        pieces = _read(person, then)
        return running.wait(120), pieces


def glimpsed(folder: Path, settings: dict[str, str], width: int, *words: str) -> tuple[int, str]:
    """The same of a command whose process is forked from one that has imported everything."""
    with terminal(width) as (person, command), ThreadPoolExecutor(1) as typing:
        running = typing.submit(
            warm().show, words, folder, _environment(settings), os.ttyname(command)
        )
        # A terminal that nobody had open any more would be at its end before it began.
        running.add_done_callback(lambda _: os.close(command))
        pieces = _read(person, lambda person, text: None)
        return running.result(120), pieces


def _environment(settings: dict[str, str]) -> dict[str, str]:
    left_out = {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "CI"}
    ours = {name: text for name, text in os.environ.items() if name not in left_out}
    return {**ours, "TERM": "xterm-256color", **settings}


def _read(person: int, then: Callable[[int, str], object]) -> str:
    pieces = ""
    # A character may come in two pieces.
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    # A terminal ends with an error.
    with contextlib.suppress(OSError):
        while piece := os.read(person, 100_000):
            pieces += decoder.decode(piece)
            then(person, pieces)
    return pieces


def plain(text: str) -> str:
    """What a person reads, the same in each run: no codes, and `#` for what is chance."""
    told = _CODES.sub("", _WIPED.sub("", text.replace("\r\n", "\n")))
    # What comes after a return is written over what was there.
    told = "\n".join(line.rpartition("\r")[2].rstrip() for line in told.split("\n"))
    for pattern, instead in _CHANCE:
        told = pattern.sub(instead, told)
    return told.strip("\n") + "\n"
