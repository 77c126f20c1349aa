"""Datasets brought up to date side by side, in threads, until the request quota is spent.

What comes of each is an outcome for `run` and an event for `dagster`; neither is made here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from ods_pipeline.errors import OdsPipelineError, QuotaExhausted, unexpected_error
from ods_pipeline.sync.options import RunContext
from ods_pipeline.sync.plan import Planned
from ods_pipeline.sync.update import UpdateResult, update_dataset


@dataclass(frozen=True)
class Ended:
    """A dataset that a run is done with.

    Attributes:
        step: What it needed.
        result: What came of it, or why it could not be brought up to date.
        requests: Sent for it, also where it failed.
    """

    step: Planned
    result: UpdateResult | OdsPipelineError
    requests: int = 0


class SideBySide:
    """Brings the datasets of one run up to date; a failure of one stops no other."""

    def __init__(self, context: RunContext) -> None:
        """Begin with nothing; `context` is what the run works with."""
        self._context = context
        self._lock = threading.Lock()
        self._spent: QuotaExhausted | None = None

    def fetches(self, step: Planned) -> bool:
        """Whether requests are to be made for a dataset."""
        if self._context.options.verifies:
            return step.landed is not None and not step.formerly and not step.verdict.skips
        return step.verdict.fetches

    def all(self, steps: Iterable[Planned]) -> Iterator[Ended]:
        """The datasets, each as soon as it is done.

        Args:
            steps: The most urgent first, since a spent quota leaves those that have not begun.
        """
        steps = list(steps)
        # By one thread: the others would see half a library where files run out meanwhile.
        from ods_pipeline.sync import landing  # noqa: F401

        for extractor in {step.extractor for step in steps}:
            extractor.load()
        pool = ThreadPoolExecutor(self._context.options.workers, "landing")
        futures = [pool.submit(self.one, step) for step in steps]
        try:
            for future in as_completed(futures):
                yield future.result()
        except (
            BaseException
        ):  # Ctrl-C as well: threads that go on would land data that no run loads.
            self._context.portal.client.cancelled.set()
            raise
        finally:
            # Not waited for: a thread may hang on a portal that is silent for minutes.
            pool.shutdown(wait=False, cancel_futures=True)

    def one(self, step: Planned) -> Ended:
        """One dataset, in this thread."""
        if self._spent and self.fetches(step):
            return Ended(step, before_its_turn(self._spent))
        client = self._context.portal.client
        before = client.requests_by_this_thread
        result: UpdateResult | OdsPipelineError
        try:
            result = update_dataset(self._context, step)
        except OdsPipelineError as error:
            if isinstance(error, QuotaExhausted) and not error.of_dataset:
                with self._lock:
                    self._spent = self._spent or error
            result = error
        except Exception as error:  # One dataset's bug must not cost the others theirs.
            result = unexpected_error(error, step.dataset_id)
        return Ended(step, result, client.requests_by_this_thread - before)


def before_its_turn(spent: QuotaExhausted) -> QuotaExhausted:
    """Why a dataset was not tried, after the error of the one that found the quota spent."""
    again = f"; it starts anew at {spent.reset:%Y-%m-%d %H:%M} UTC" if spent.reset else ""
    return QuotaExhausted(
        f"the request quota was spent before its turn{again}",
        reset=spent.reset,
        portal=spent.portal,
    )
