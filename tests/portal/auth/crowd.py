"""A crowd of processes that share a login, and one of them killed while it renews."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TextIO

from ods_pipeline.portal.auth.store import TokenStore
from tests.portal.auth.world import World

ROOT = Path(__file__).parents[3]
RIGHT = "private-towns"


@dataclass(frozen=True)
class Member:
    """A process of the crowd, and the pipes from and to it."""

    pid: int
    times: TextIO
    answers: TextIO

    def kill(self) -> None:
        """SIGKILL it, and wait until it is dead."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.answers.read()
        self.answers.close()
        with suppress(BrokenPipeError):
            self.times.close()


@dataclass
class Crowd:
    """So many processes of so many threads, all forked from one."""

    world: World
    store: TokenStore
    threads: int
    _first: subprocess.Popen[str]
    _folder: Path
    members: list[Member] = field(default_factory=list)
    _renewals: int = 0
    _numbers: Iterator[int] = field(default_factory=count)

    def grow(self, processes: int) -> None:
        grown = [self._forked() for _ in range(processes)]
        for member in grown:
            assert member.answers.readline() == "ready\n"
        self.members += grown

    def _forked(self) -> Member:
        number = next(self._numbers)
        times, answers = (self._folder / f"{number}-{kind}" for kind in ("times", "answers"))
        for pipe in (times, answers):
            os.mkfifo(pipe)
        assert self._first.stdin
        assert self._first.stdout
        self._first.stdin.write(json.dumps([str(times), str(answers)]) + "\n")
        self._first.stdin.flush()
        pid = int(self._first.stdout.readline())
        return Member(pid, times.open("w"), answers.open())

    def begin(self) -> None:
        """Let all threads of all processes ask at once."""
        self._renewals = self._asked_for_tokens()
        for member in self.members:
            member.times.write(f"{self.world.clock.now}\n")
            member.times.flush()

    def _asked_for_tokens(self) -> int:
        return sum("/oauth2/token" in request.path for request in self.world.emulator.requests)

    def end(self) -> list[str]:
        """What became of each thread of those that live."""
        became: list[str] = []
        for member in self.members:
            became += json.loads(member.answers.readline())
        return became

    def kill_the_one_that_renews(self) -> None:
        """SIGKILL the process that has noted that it is renewing."""
        deadline = time.monotonic() + 120
        while (kept := self.store.load()) is None or kept.pending is None:
            assert time.monotonic() < deadline, "nobody renews"
            time.sleep(0.01)
        pid = int(re.findall(r"process (\d+) ", kept.pending_by)[0])
        # The request itself is on its way a moment later.
        while self._asked_for_tokens() == self._renewals:
            assert time.monotonic() < deadline, "the portal is not asked"
            time.sleep(0.01)
        (victim,) = [member for member in self.members if member.pid == pid]
        victim.kill()
        self.members.remove(victim)


@contextmanager
def crowd(
    world: World, store: TokenStore, place: str, processes: int, threads: int
) -> Iterator[Crowd]:
    words = ["tests.portal.auth.worker", world.emulator.url, place, str(threads)]
    with (
        tempfile.TemporaryDirectory(prefix="ods-pipeline-crowd-") as folder,
        subprocess.Popen(
            [sys.executable, "-m", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        ) as first,
    ):
        gathered = Crowd(world, store, threads, first, Path(folder))
        try:
            gathered.grow(processes)
            yield gathered
        finally:
            for member in gathered.members:
                member.kill()
