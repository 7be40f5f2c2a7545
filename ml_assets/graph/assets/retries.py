"""What is tried again, and what is not."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

_TIMES, _SECONDS = 2, 10
_SURE = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)  # waiting mends none of them


@contextmanager
def retried_reads() -> Iterator[None]:
    """Ask Dagster to try the step again where the operating system failed to read or write, as a network drive does.

    For steps that replace whole partitions by what they read, such as those that take landed files. Nothing else is
    retried: a refusal is the same the second time, and a verdict is recorded once.
    """
    try:
        yield
    except _SURE:
        raise
    except OSError as error:
        raise dg.RetryRequested(max_retries=_TIMES, seconds_to_wait=_SECONDS) from error
