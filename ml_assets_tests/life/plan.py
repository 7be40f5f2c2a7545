"""What goes wrong, and when: decided by the seed before the life begins.

Each drop has at most one trouble, drawn from a shuffled round of all kinds, so that a short life meets nearly all of
them and a long one each of them often.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Literal, get_args

import numpy as np

from ml_assets_tests.life.use_case import Edition, Setting

Trouble = Literal[
    "late_file", "late_by_days", "early_file", "missing_file", "missing_for_good", "revised_while_open", "revised_file",
    "broken_rows", "broken_file", "duplicate_rows", "same_file_again", "unread_file", "cancelled_run", "killed_run",
    "failed_run", "failed_retraining", "killed_retraining", "outage", "restart", "alerts_fail", "alerts_hang",
    "rollback",
]  # fmt: skip
TROUBLES: tuple[Trouble, ...] = get_args(Trouble)
_QUIET_START = 3  # drops without a trouble: something has to be there to go wrong
_QUIET_END = 7  # what comes late has a drop that receives it
_CHANGES = (0.3, 0.45, 0.6)  # when the contract gains a column, is broken, and renames one, as parts of the life
OUTAGE_DAYS = (2, 9)


class Plan:
    """The troubles of a life, and the editions of its declaration."""

    def __init__(
        self, setting: Setting, drops: Sequence[date], seed: int, *, share: float, outages_often: bool
    ) -> None:
        rng = np.random.default_rng([seed, 7])
        self.drops, self._setting = list(drops), setting
        self.priority_from, self.broken_in, self.renamed_from = (
            self.drops[int(len(self.drops) * part)] for part in _CHANGES
        )
        self._changes = sorted(map(self.drops.index, (self.priority_from, self.broken_in, self.renamed_from)))
        self._outages = {drop: int(rng.integers(*OUTAGE_DAYS)) for drop in self.drops}
        self._troubles: dict[date, Trouble] = {}
        if outages_often:
            self._switch_off_often(rng)
        rounds = _rounds(rng)
        for place, drop in enumerate(self.drops[:-_QUIET_END]):
            is_quiet = place < _QUIET_START or any(0 <= change - place <= 1 for change in self._changes)
            if rng.random() < share and not is_quiet and drop not in self._troubles:
                self._troubles[drop] = next(rounds)
        for drop in [drop for drop, trouble in self._troubles.items() if trouble == "outage"]:
            self._end_before_change(drop)

    def _end_before_change(self, drop: date) -> None:
        """End an outage before a change: people declare while the machine is on, and nothing waits for the old."""
        place = self.drops.index(drop)
        room = [change - place - 1 for change in self._changes if change >= place]
        self._outages[drop] = min([self._outages[drop], *room])
        if self._outages[drop] < 1:
            del self._troubles[drop]

    def trouble_of(self, drop: date) -> Trouble | None:
        """Give what goes wrong around a drop."""
        return self._troubles.get(drop)

    def outage_of(self, drop: date) -> timedelta:
        """Give how long an outage lasts that begins with a drop."""
        return self._setting.every * self._outages[drop] - timedelta(hours=4)

    def edition_of(self, drop: date) -> Edition:
        """Give the edition of the declaration, and of the files, from a drop on."""
        return Edition("agent" if drop >= self.renamed_from else "clerk", drop >= self.priority_from)

    def _switch_off_often(self, rng: np.random.Generator) -> None:
        """Switch the machine off for two weeks or three in each month, as one that is used now and then."""
        place = 12
        while place < len(self.drops) - 45:
            length = int(rng.integers(14, 22))
            self._troubles[self.drops[place]], self._outages[self.drops[place]] = "outage", length
            place += length + int(rng.integers(7, 12))


def _rounds(rng: np.random.Generator) -> Iterator[Trouble]:
    while True:
        for place in rng.permutation(len(TROUBLES)):
            yield TROUBLES[int(place)]
