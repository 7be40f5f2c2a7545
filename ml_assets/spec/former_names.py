"""Which keys and values of a declaration are those of an earlier release, and what they are called now.

Each part reads its former keys itself (`Declared.renamed`), and `arrives` its former value. They are found here so that
`validate` can name them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ml_assets.spec.behaviours import FORMER_KINDS
from ml_assets.spec.contract import FORMER_ARRIVALS
from ml_assets.spec.declared import Declared
from ml_assets.spec.gate import GateRule
from ml_assets.spec.model import Abstain, ModelSpec
from ml_assets.spec.monitoring import MonitoringSpec, RetrainingSpec
from ml_assets.spec.names import KeyPath
from ml_assets.spec.raw_yaml import list_of, mapping_of

PARTS: dict[tuple[str, ...], type[Declared]] = {
    ("model",): ModelSpec,
    ("model", "abstain"): Abstain,
    ("model", "gate"): GateRule,
    ("monitoring",): MonitoringSpec,
    ("retraining",): RetrainingSpec,
}


@dataclass(frozen=True)
class FormerName:
    """A key or value of an earlier release: its path as written, its path by the names of now, and the message."""

    path: KeyPath
    now: KeyPath
    message: str


def former_names(declared: Mapping[str, Any]) -> Iterator[FormerName]:
    """Find the former names in a declaration as it was written.

    >>> [each.message for each in former_names({"model": {"margin": 0.1}, "sources": [{"arrives": "every drop"}]})]
    ['it is called min_relative_gain now', "found 'every drop'; it is called every_drop now"]
    """
    for path, part in PARTS.items():
        inner = mapping_of(declared)
        for key in path:
            inner = mapping_of(inner.get(key))
        for before, now in part.renamed.items():
            if before in inner and now not in inner:
                yield FormerName((*path, before), (*path, now), f"it is called {now} now")
    for place, source in enumerate(list_of(declared.get("sources"))):
        found = mapping_of(source).get("arrives")
        if isinstance(found, str) and found in FORMER_ARRIVALS:
            path = ("sources", place, "arrives")
            yield FormerName(path, path, f"found {found!r}; it is called {FORMER_ARRIVALS[found]} now")
    for place, behaviour in enumerate(list_of(mapping_of(declared.get("model")).get("behaviours"))):
        found = mapping_of(behaviour).get("kind")
        if isinstance(found, str) and found in FORMER_KINDS:
            path = ("model", "behaviours", place, "kind")
            yield FormerName(path, path, f"found {found!r}; it is called {FORMER_KINDS[found]} now")
