"""Faults that strike any reply, now and then: a portal on a bad day."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

from ods_pipeline.emulator import Fault
from ods_pipeline.emulator.faults.fault import PendingFaults

# What nobody can notice in the rows alone, such as one row twice instead of another, is not here.
KINDS: tuple[Fault, ...] = (
    *(Fault.status(status) for status in (500, 502, 503, 404)),
    *(Fault.cut(after) for after in (0, 150, -1)),
    *(Fault.short_body(after) for after in (0, 150, -1)),
    *(Fault.bad_gzip(damage) for damage in ("truncated", "checksum", "flipped")),
    *(Fault.content_length(off) for off in (-3, 3)),
    *(Fault.miscount(by) for by in (-1, 2)),
    *(Fault.html(), Fault.html(as_data=True), Fault.error_instead(), Fault.text_instead()),
    *(Fault.reset(), Fault.reset(100), Fault.empty_body(), Fault.stall(0.05)),
    *(Fault.header_only(), Fault.short_rows(1), Fault.doubled()),
    *(Fault.appended_error(), Fault.appended_text()),
    *(Fault.column("duplicate"), Fault.column("extra"), Fault.column("missing")),
    Fault.quota("", retry_after=1),
)


class Weather(PendingFaults):
    """Strikes a share of all replies, chosen by a seed; calm at first."""

    def __init__(self, seed: int) -> None:
        """Calm weather."""
        super().__init__()
        self._dice = random.Random(seed)
        self._turns = threading.Lock()
        self.share = 0.0
        self.strikes = 0
        self.replies = 0
        self._then: tuple[int, Callable[[], object]] = (0, lambda: None)

    def after(self, replies: int, act: Callable[[], object]) -> None:
        """Have something done when so many more replies are on their way."""
        self._then = self.replies + replies, act

    def take(self, target: str) -> Fault | None:
        """A fault for this reply, or none."""
        with self._turns:
            self.replies += 1
            if self.replies == self._then[0]:
                self._then[1]()
            if self._dice.random() >= self.share:
                return super().take(target)
            self.strikes += 1
            return self._dice.choice(KINDS)
