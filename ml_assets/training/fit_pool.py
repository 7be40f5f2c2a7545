"""Fits side by side, one thread each.

A model fitted by several threads waits for the slowest of them at every step, and OpenMP's threads spin while they
wait: two of them beside a busy core take four to seven times as long as one. Fits of one thread each keep the cores
busy without waiting for each other, and what they give does not depend on how many run at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def fit_pool(cores: int) -> Iterator[ThreadPoolExecutor]:
    """Give a pool that runs what is submitted, in that order, `cores` at once; at the end what waits is given up."""
    import sklearn.linear_model  # noqa: F401 - what it computes with has to be loaded to be held to one thread
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        pool = ThreadPoolExecutor(cores, thread_name_prefix="fit")
        try:
            yield pool
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def fit_side_by_side(tasks: Sequence[Callable[[], T]], cores: int) -> list[T]:
    """Run all tasks, `cores` at once, and give their results in order; raises what the first of them raised.

    >>> fit_side_by_side([lambda: 1, lambda: 2, lambda: 3], 2)
    [1, 2, 3]
    """
    if cores == 1 or len(tasks) < 2:
        return [task() for task in tasks]
    with fit_pool(cores) as pool:
        return [future.result() for future in [pool.submit(task) for task in tasks]]
