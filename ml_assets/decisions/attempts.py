"""When automation tries again what has failed or was cancelled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

# An outage of minutes must not use up all attempts, nor a fault that stays cost a run every few seconds.
PAUSES = (timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6))
DAILY = timedelta(days=1)


def next_attempt(ended: Sequence[datetime], now: datetime, *, is_endless: bool = False) -> str | None:
    """Return why there is no attempt now; None where there may be one.

    Parameters
    ----------
    ended
        When each attempt that did not succeed ended.
    is_endless
        After the last pause try once a day, for work that differs from attempt to attempt. Otherwise a person is asked.

    Examples
    --------
    >>> from datetime import UTC
    >>> failed = datetime(2026, 1, 1, 4, 0, tzinfo=UTC)
    >>> next_attempt([], failed)
    >>> next_attempt([failed], failed + timedelta(seconds=30))
    'failed once; tried again from 2026-01-01 04:01 UTC'
    >>> next_attempt([failed], failed + timedelta(minutes=2))
    >>> next_attempt([failed] * 5, failed + timedelta(days=9))
    'failed 5 times: it is not tried again until somebody mends the cause'
    """
    if not ended:
        return None
    times = len(ended)
    if times > len(PAUSES) and not is_endless:
        return f"failed {times} times: it is not tried again until somebody mends the cause"
    again = max(ended) + (PAUSES[times - 1] if times <= len(PAUSES) else DAILY)
    counted = "once" if times == 1 else f"{times} times"
    return f"failed {counted}; tried again from {again:%Y-%m-%d %H:%M} UTC" if now < again else None
