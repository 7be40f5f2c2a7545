"""Whether arms hold as many units as declared; where they do not, no comparison of them can be trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

CONCENTRATION = 100.0  # of the prior around the declared shares: departures of about a tenth are expected
LEVEL = 0.999  # a mismatch is an error of the system, not a finding: it is reported when it is all but sure


@dataclass(frozen=True)
class SampleRatio:
    """Units by arm, and what was declared.

    Attributes
    ----------
    p_value
        Valid at any look: a mismatch that is reported at level a is wrong with probability at most a over all looks.
    is_mismatch
        Whether the shares are surely others than declared.
    """

    counts: Mapping[str, int]
    expected: Mapping[str, float]
    p_value: float

    @property
    def is_mismatch(self) -> bool:
        """Whether the arms are not shared out as declared."""
        return self.p_value < 1 - LEVEL


def check_sample_ratio(counts: Mapping[str, int], shares: Mapping[str, float]) -> SampleRatio:
    """Compare units by arm with declared shares, by a test that may be looked at after every drop.

    The Bayes factor of a Dirichlet prior around the shares against the shares themselves is an e-value (Lindon and
    Malek, 2022, Anytime-valid inference for multinomial count data, NeurIPS).

    Parameters
    ----------
    counts
        Units in each arm. An arm that is missing has none.
    shares
        Declared share of each arm, adding up to 1.

    Raises
    ------
    ValueError
        Where units are in an arm that is not declared.

    >>> check_sample_ratio({"new": 5020, "old": 4980}, {"new": 0.5, "old": 0.5}).is_mismatch
    False
    >>> check_sample_ratio({"new": 5300, "old": 4700}, {"new": 0.5, "old": 0.5}).is_mismatch
    True
    """
    strays = [name for name in counts if name not in shares]
    if strays:
        raise ValueError(f"found units in arm {strays[0]!r}; allowed: {', '.join(shares)}")
    seen = {name: counts.get(name, 0) for name in shares}
    n = sum(seen.values())
    log_bayes = math.lgamma(CONCENTRATION) - math.lgamma(CONCENTRATION + n)
    for name, share in shares.items():
        prior = CONCENTRATION * share
        log_bayes += math.lgamma(prior + seen[name]) - math.lgamma(prior) - seen[name] * math.log(share)
    return SampleRatio(
        seen, {name: share * n for name, share in shares.items()}, min(1.0, math.exp(-min(log_bayes, 700)))
    )
