"""Keys and values of earlier releases: a declaration that has them is read as if it had those of now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ml_assets.spec.declared import Declared
from ml_assets.spec.gate import GateRule
from ml_assets.spec.model import Abstain, ModelSpec
from ml_assets.spec.monitoring import MonitoringSpec, RetrainingSpec
from ml_assets.spec.names import KeyPath
from ml_assets.spec.raw_yaml import list_of, mapping_of

PARTS: dict[KeyPath, type[Declared]] = {
    ("model",): ModelSpec,
    ("model", "abstain"): Abstain,
    ("model", "gate"): GateRule,
    ("monitoring",): MonitoringSpec,
    ("retraining",): RetrainingSpec,
}
_ARRIVALS = {"every drop": "every_drop"}


@dataclass(frozen=True)
class FormerName:
    """A key or value of an earlier release: where it stands, where that is by the names of now, and what to say."""

    path: KeyPath
    now: KeyPath
    message: str


def named_as_now(declared: Mapping[str, Any]) -> tuple[dict[str, Any], list[FormerName]]:
    """Give a declaration by the names of now, and the former ones in it. One that has both names of a key keeps both.

    >>> named_as_now({"model": {"margin": 0.1}, "sources": [{"arrives": "every drop"}]})[0]
    {'model': {'min_relative_gain': 0.1}, 'sources': [{'arrives': 'every_drop'}]}
    """
    found = [*_former_keys(declared), *_former_arrivals(declared)]
    changed = dict(declared)
    for former in sorted(found, key=lambda each: -len(each.path)):
        changed = _renamed(changed, former)
    return changed, found


def _former_keys(declared: Mapping[str, Any]) -> Iterator[FormerName]:
    for path, part in PARTS.items():
        inner = mapping_of(declared)
        for key in path:
            inner = mapping_of(inner.get(str(key)))
        for before, now in part.renamed.items():
            if before in inner and now not in inner:
                yield FormerName((*path, before), (*path, now), f"it is called {now} now")


def _former_arrivals(declared: Mapping[str, Any]) -> Iterator[FormerName]:
    for place, source in enumerate(list_of(declared.get("sources"))):
        said = mapping_of(source).get("arrives")
        if isinstance(said, str) and said in _ARRIVALS:
            path = ("sources", place, "arrives")
            yield FormerName(path, path, f"found {said!r}; it is called {_ARRIVALS[said]} now")


def _renamed(declared: Mapping[str, Any], former: FormerName) -> dict[str, Any]:
    """Copy what lies around a former name, with the name of now in its place."""
    first, *rest = former.path
    inner = declared[str(first)]
    if first == "sources":
        sources = list(inner)
        sources[int(rest[0])] = {**sources[int(rest[0])], "arrives": _ARRIVALS[sources[int(rest[0])]["arrives"]]}
        return {**declared, "sources": sources}
    if len(rest) > 1:
        below = FormerName(tuple(rest), former.now[1:], former.message)
        return {**declared, str(first): _renamed(inner, below)}
    kept = {(str(former.now[-1]) if key == rest[0] else key): value for key, value in inner.items()}
    return {**declared, str(first): kept}
