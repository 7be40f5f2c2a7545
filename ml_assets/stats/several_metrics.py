"""P-values of several metrics, corrected so that any false finding among them is as rare as stated."""

from __future__ import annotations

from collections.abc import Mapping


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjust p-values by Holm's step-down method (1979, Scandinavian Journal of Statistics 6).

    A metric is found at level a where its adjusted value is at most a; the chance of any false finding is then at most
    a, however the metrics depend on each other. P-values that are valid at any look stay so.

    >>> holm({"clicks": 0.01, "revenue": 0.04, "latency": 0.03})
    {'clicks': 0.03, 'revenue': 0.06, 'latency': 0.06}
    """
    adjusted: dict[str, float] = {}
    highest = 0.0
    for rank, (name, value) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        highest = max(highest, min(1.0, value * (len(p_values) - rank)))
        adjusted[name] = highest
    return {name: adjusted[name] for name in p_values}
