"""Which of several arms (models, actions) to give the next drop's units to, while learning which is best.

A bandit decides once a drop, from the decisions whose outcomes have matured: labels that come late make it slower and
not wrong. What it gives is the share of each arm, which is also the propensity that is recorded: whoever asks later
what another policy would have earned needs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class MaturedOutcomes:
    """What is known of each arm: decisions that have matured, and how many of them ended well. In order of the arms."""

    decisions: FloatArray
    successes: FloatArray

    @classmethod
    def of(cls, arms: ArrayLike, outcomes: ArrayLike, n_arms: int) -> MaturedOutcomes:
        """Count matured decisions: `arms` from 0, `outcomes` 0 or 1, NaN where none became known.

        >>> MaturedOutcomes.of([0, 1, 1], [1.0, 0.0, float("nan")], 2).decisions.tolist()
        [1.0, 1.0]
        """
        taken, won = np.asarray(arms, dtype=np.int64), np.asarray(outcomes, dtype=np.float64)
        known = np.isfinite(won)
        counts = np.bincount(taken[known], minlength=n_arms).astype(np.float64)
        return cls(counts, np.bincount(taken[known], won[known], minlength=n_arms).astype(np.float64))

    def fade(self, kept: float) -> MaturedOutcomes:
        """Count older outcomes less, where the world changes: every one by the factor `kept`."""
        return MaturedOutcomes(self.decisions * kept, self.successes * kept)

    def __add__(self, other: MaturedOutcomes) -> MaturedOutcomes:
        """Add what became known since."""
        return MaturedOutcomes(self.decisions + other.decisions, self.successes + other.successes)


def thompson_shares(
    known: MaturedOutcomes, rng: np.random.Generator, least_share: float = 0.0, draws: int = 2000
) -> FloatArray:
    """Give each arm the probability that it is the best one, by what is known (Thompson, 1933, Biometrika 25).

    Outcomes are 0 or 1, and nothing is known before: the posterior of an arm is a beta distribution.

    Parameters
    ----------
    least_share
        What every arm keeps, so that its outcomes go on to be known and other policies can be judged from the log.

    >>> known = MaturedOutcomes(np.array([1000.0, 1000.0]), np.array([100.0, 200.0]))
    >>> thompson_shares(known, np.random.default_rng(1), least_share=0.05).round(3).tolist()
    [0.05, 0.95]
    """
    drawn = rng.beta(1 + known.successes, 1 + known.decisions - known.successes, (draws, known.decisions.size))
    wins = np.bincount(drawn.argmax(axis=1), minlength=known.decisions.size) / draws
    return with_least_share(wins, least_share)


def epsilon_greedy_shares(known: MaturedOutcomes, epsilon: float) -> FloatArray:
    """Give `epsilon` to all arms evenly, and the rest to the best so far; evenly while an arm was never tried.

    >>> epsilon_greedy_shares(MaturedOutcomes(np.array([10.0, 10.0]), np.array([1.0, 2.0])), 0.2).tolist()
    [0.1, 0.9]
    """
    n_arms = known.decisions.size
    if (known.decisions == 0).any():
        return np.full(n_arms, 1 / n_arms)
    shares = np.full(n_arms, epsilon / n_arms)
    shares[int((known.successes / known.decisions).argmax())] += 1 - epsilon
    return shares


def with_least_share(shares: FloatArray, least: float) -> FloatArray:
    """Raise each share to at least `least`, and take it from the others in proportion.

    Raises
    ------
    ValueError
        Where all of them together would be more than one.
    """
    if least * shares.size > 1:
        raise ValueError(f"found least share {least:g} of {shares.size} arms; allowed: at most {1 / shares.size:g}")
    return least + shares * (1 - least * shares.size)


def allocate(draws: FloatArray, shares: FloatArray) -> tuple[NDArray[np.int64], FloatArray]:
    """Give each unit an arm by its point in [0, 1), and the propensity to record.

    >>> arms, propensities = allocate(np.array([0.05, 0.5]), np.array([0.1, 0.9]))
    >>> arms.tolist(), propensities.tolist()
    ([0, 1], [0.1, 0.9])
    """
    edges = np.cumsum(shares)
    edges[-1] = 1.0
    arms = np.searchsorted(edges, draws, side="right").astype(np.int64)
    return arms, shares[arms]


@dataclass(frozen=True)
class Regret:
    """Give what a policy lost against the best fixed arm, which is known only afterwards.

    Attributes
    ----------
    total
        Expected successes that the best fixed arm would have had more; below zero the policy did better, as it can
        where the best arm changes.
    by_drop
        The same up to and with each drop.
    best_arm
        The arm with the highest mean over all drops.
    """

    total: float
    by_drop: FloatArray
    best_arm: int


def regret(shares: Sequence[FloatArray], means: Sequence[FloatArray], units: Sequence[int]) -> Regret:
    """Compare what a policy's shares earned with the best fixed arm, by the true means of each drop.

    Known in simulations; of real logs, `off_policy.estimate_policy` estimates what each fixed arm would have earned.

    >>> found = regret([np.array([0.5, 0.5])], [np.array([0.1, 0.3])], [100])
    >>> found.best_arm, round(found.total, 6)
    (1, 10.0)
    """
    weights = np.asarray(units, dtype=np.float64)
    by_arm = np.stack([np.asarray(each, dtype=np.float64) for each in means]) * weights[:, np.newaxis]
    earned = (np.stack(list(shares)) * by_arm).sum(axis=1)
    best = int(by_arm.sum(axis=0).argmax())
    lost = (by_arm[:, best] - earned).cumsum()
    return Regret(float(lost[-1]), lost, best)


def describe_shares(names: Sequence[str], shares: FloatArray) -> Mapping[str, float]:
    """Give the share of each arm by its name, as it is recorded."""
    return dict(zip(names, shares.tolist(), strict=True))
