"""Work done ahead of whoever waits for it, in threads of its own, with its results in order.

For what engines do outside Python's lock: splitting text, packing numbers, compressing. Whatever
asks a portal stays in the thread that has set requests aside for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def ahead(
    work: Callable[[_Item], _Result], items: Iterable[_Item], most: int = 2
) -> Generator[_Result, None, None]:
    """The results for some items, in their order; a few are worked on while one is looked at.

    Args:
        work: What is done to each; calls run side by side.
        items: Taken one by one, in the thread that takes the results.
        most: How many are worked on, or wait to be taken, at once.

    Yields:
        A result for each item. The first failure ends it. Whoever leaves before the end closes it,
        or its threads wait.
    """
    waiting: deque[Future[_Result]] = deque()
    remaining = iter(items)
    begun = list(islice(remaining, 2))
    # Most datasets are one piece: no thread is begun for those.
    if len(begun) < 2:
        yield from map(work, begun)
        return
    with ThreadPoolExecutor(most, "ahead") as pool:
        try:
            for item in chain(begun, remaining):
                waiting.append(pool.submit(work, item))
                if len(waiting) > most:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for unseen in waiting:
                unseen.cancel()
