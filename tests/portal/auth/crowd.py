"""A crowd of processes that share a login, and one of them killed while it renews."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ods_pipeline.portal.auth.store import TokenStore
from tests.portal.auth.world import World

ROOT = Path(__file__).parents[3]
RIGHT = "private-towns"


@dataclass
class Crowd:
    """So many processes of so many threads."""

    world: World
    store: TokenStore
    place: str
    threads: int
    members: list[subprocess.Popen[str]] = field(default_factory=list)
    _renewals: int = 0

    def grow(self, processes: int) -> None:
        arguments = [self.world.emulator.url, self.place, str(self.threads)]
        grown = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.portal.auth.worker", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
            )
            for _ in range(processes)
        ]
        for member in grown:
            assert member.stdout
            assert member.stdout.readline() == "ready\n"
        self.members += grown

    def begin(self) -> None:
        """Let all threads of all processes ask at once."""
        self._renewals = self._asked_for_tokens()
        for member in self.members:
            assert member.stdin
            member.stdin.write(f"{self.world.clock.now}\n")
            member.stdin.flush()

    def _asked_for_tokens(self) -> int:
        return sum("/oauth2/token" in request.path for request in self.world.emulator.requests)

    def end(self) -> list[str]:
        """What became of each thread of those that live."""
        became: list[str] = []
        for member in self.members:
            assert member.stdout
            became += json.loads(member.stdout.readline())
        return became

    def kill_the_one_that_renews(self) -> None:
        """SIGKILL the process that has noted that it is renewing."""
        deadline = time.monotonic() + 20
        while (kept := self.store.load()) is None or kept.pending is None:
            assert time.monotonic() < deadline, "nobody renews"
            time.sleep(0.01)
        pid = int(re.findall(r"process (\d+) ", kept.pending_by)[0])
        # The request itself is on its way a moment later.
        while self._asked_for_tokens() == self._renewals:
            assert time.monotonic() < deadline, "the portal is not asked"
            time.sleep(0.01)
        (victim,) = [member for member in self.members if member.pid == pid]
        os.kill(pid, signal.SIGKILL)
        victim.communicate()
        self.members.remove(victim)


@contextmanager
def crowd(
    world: World, store: TokenStore, place: str, processes: int, threads: int
) -> Iterator[Crowd]:
    gathered = Crowd(world, store, place, threads)
    try:
        gathered.grow(processes)
        yield gathered
    finally:
        for member in gathered.members:
            member.kill()
            member.communicate()
