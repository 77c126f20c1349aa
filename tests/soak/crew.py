"""Processes that sync the same folder at the same time; some are killed on the way."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

Answer = dict[str, Any]
ROOT = Path(__file__).parents[2]


class Worker:
    """One process."""

    def __init__(self, url: str, folder: Path, pause: float) -> None:
        """Start it."""
        command = [sys.executable, "-m", "tests.soak.worker", url, str(folder), str(pause)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def tell(self, *words: str) -> None:
        """Let it sync; it is not waited for."""
        assert self._process.stdin
        self._process.stdin.write(" ".join(words) + "\n")
        self._process.stdin.flush()

    def answer(self) -> Answer | None:
        """What its sync came to; None when it was killed."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        if line:
            found: Answer = json.loads(line)
            return found
        status = self._process.wait()
        assert status == -9, f"a worker ended with {status}"
        return None

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def end(self) -> None:
        """Let it go."""
        for stream in (self._process.stdin, self._process.stdout):
            assert stream
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        self._process.wait()


class Crew:
    """So many workers. The first lives long; of the others one may be killed in a round."""

    def __init__(self, count: int, url: str, folder: Path, pause: float, *, fresh: bool) -> None:
        """Start them.

        Args:
            count: How many.
            url: The portal.
            folder: Where all of them land and load.
            pause: Seconds before a request is repeated for the first time.
            fresh: Whether all but the first are started anew for each round.
        """
        self._place = url, folder, pause
        self._fresh = fresh
        self._workers = [Worker(*self._place) for _ in range(count)]

    def round(self) -> list[Answer | None]:
        """Let all sync at once."""
        for worker in self._workers:
            worker.tell("sync")
        answers = [worker.answer() for worker in self._workers]
        for place, answer in enumerate(answers):
            if answer is None or (self._fresh and place):
                self._workers[place].end()
                self._workers[place] = Worker(*self._place)
        return answers

    def kill_one(self) -> None:
        """End the last one, whatever it is at; another one takes its place after the round."""
        self._workers[-1].kill()

    def alone(self, *words: str) -> Answer:
        """Let the first one sync while nobody else does."""
        self._workers[0].tell("sync", *words)
        answer = self._workers[0].answer()
        assert answer
        return answer

    def end(self) -> None:
        """Let all go."""
        for worker in self._workers:
            worker.end()


@contextlib.contextmanager
def crew(
    count: int, url: str, folder: Path, *, pause: float = 1, fresh: bool = True
) -> Iterator[Crew]:
    """Workers until the end of the block."""
    found = Crew(count, url, folder, pause, fresh=fresh)
    try:
        yield found
    finally:
        found.end()


def figures(answers: Sequence[Answer | None]) -> dict[str, int]:
    """What the syncs of a round came to, added up."""
    total: dict[str, int] = {"killed": sum(answer is None for answer in answers)}
    for answer in filter(None, answers):
        for action, count in answer["actions"].items():
            total[action] = total.get(action, 0) + count
    return total
