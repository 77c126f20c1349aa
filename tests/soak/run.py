"""Rounds of syncs in bad weather, and what they came to: the soak, of any size."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ods_pipeline.emulator import Emulator
from tests.soak.crew import Answer, crew, figures
from tests.soak.publisher import Publisher
from tests.soak.settled import findings
from tests.soak.truth import Chronicle
from tests.soak.weather import Weather

MB = 1e6


@dataclass(frozen=True)
class Size:
    """How long and how hard.

    Attributes:
        edits: Between two rounds.
        share: Of all replies that are spoilt.
        pause: Seconds before a request is repeated for the first time.
        fresh: Whether all workers but one are started anew for each round.
        dying: In every second round one process is killed, so many seconds at most after some
            reply.
        settling: The round from which on the memory of the long-lived worker may not grow.
    """

    datasets: int = 2000
    rounds: int = 20
    processes: int = 4
    edits: int = 40
    rows: int = 10
    share: float = 0.05
    pause: float = 1.0
    fresh: bool = True
    dying: float = 3.0
    settling: int = 5
    seed: int = 0


@dataclass
class Soaked:
    """What it came to.

    Attributes:
        problems: What is wrong, in sentences.
        held: Bytes and open files of the long-lived worker after each round.
    """

    problems: list[str] = field(default_factory=list)
    held: list[tuple[int, int]] = field(default_factory=list)
    requests: int = 0
    strikes: int = 0
    kills: int = 0
    seconds: float = 0.0


def soak(size: Size, folder: Path, say: Callable[[str], object] = lambda line: None) -> Soaked:
    """Run it; `say` hears a line after each round."""
    dice, done, started = random.Random(size.seed), Soaked(), time.monotonic()
    with Emulator(sample=False, quota=10**9) as emulator:
        emulator.make_up(size.datasets, rows=size.rows)
        chronicle = Chronicle(emulator)
        weather = Weather(size.seed)
        emulator._server.context.faults = weather
        publisher = Publisher(emulator, size.seed)
        with crew(
            size.processes, emulator.url, folder, pause=size.pause, fresh=size.fresh
        ) as workers:
            for number in range(1, size.rounds + 1):
                weather.share = size.share
                began = time.monotonic()
                if number % 2 == 0:
                    timer = threading.Timer(dice.uniform(0, size.dying), workers.kill_one)
                    weather.after(dice.randrange(1, size.processes + size.edits), timer.start)
                    answers = workers.round()
                    timer.cancel()
                else:
                    answers = workers.round()
                _note(done, answers)
                emulator.requests.clear()
                say(_line(number, time.monotonic() - began, answers, weather))
                publisher.edit(size.edits)
            weather.share = 0.0
            # What a 429 of the last round has closed opens again.
            time.sleep(1.5)
            workers.alone()  # What nobody was shown cannot be accepted.
            final = [workers.alone("accept"), workers.alone()]
        done.problems += _unfinished(final)
        done.problems += findings(chronicle, folder)
        done.requests, done.strikes = weather.replies, weather.strikes
    done.problems += _growth(done, size)
    done.seconds = time.monotonic() - started
    return done


def _note(done: Soaked, answers: list[Answer | None]) -> None:
    first = answers[0]
    assert first
    done.held.append((first["rss"], first["descriptors"]))
    done.kills += sum(answer is None for answer in answers)
    for answer in filter(None, answers):
        for reasons in answer["reasons"].values():
            surprises = [reason for reason in reasons if "please report" in reason.lower()]
            done.problems += surprises


def _line(number: int, seconds: float, answers: list[Answer | None], weather: Weather) -> str:
    first = answers[0] or {"rss": 0, "descriptors": 0}
    came_to = ", ".join(f"{count} {action}" for action, count in figures(answers).items() if count)
    failures = [
        reasons for answer in filter(None, answers) for reasons in answer["reasons"].values()
    ]
    such_as = f"; such as {failures[0][0]}" if failures else ""
    return (
        f"round {number:2}: {seconds:5.0f} s, {weather.replies} requests, {weather.strikes} "
        f"spoilt; {first['rss'] / MB:.0f} MB, {first['descriptors']} files; {came_to}{such_as}"
    )


def _unfinished(final: list[Answer]) -> list[str]:
    accepted, after = final
    reasons = [reason for found in accepted["reasons"].values() for reason in found]
    left = {action: n for action, n in after["actions"].items() if action not in _QUIET}
    return [*reasons, *([f"a second sync in fine weather found work: {left}"] if left else [])]


_QUIET = {"unchanged", "held", "skipped"}


def _growth(done: Soaked, size: Size) -> list[str]:
    if len(done.held) <= size.settling:
        return []
    (before, opened), (after, left) = done.held[size.settling - 1], done.held[-1]
    found = []
    if after > before * 1.15 + 20 * MB:
        found.append(f"memory grew from {before / MB:.0f} to {after / MB:.0f} MB")
    if left > opened + 2:
        found.append(f"open files grew from {opened} to {left}")
    return found
