"""What a feature means, in one hash each: equal as long as its declaration says the same."""

from __future__ import annotations

import hashlib
import json
import re

from ml_assets.spec.aggregates import AGGREGATES, added_aggregate
from ml_assets.spec.features import Aggregate, FeatureView
from ml_assets.spec.use_case import UseCaseSpec


def feature_definitions(spec: UseCaseSpec) -> dict[str, str]:
    """Give the definition of each feature, 12 hexadecimal digits.

    It is made of all that decides a value: the SELECT that draws the examples; of a view its source with its key and
    times, entity, derived columns, filter, window and aggregate, or column and age; of an expression its text and the
    features it names. Descriptions, comments and the order of declaration are no part of it.
    """
    found: dict[str, str] = {}
    for view in spec.features.views:
        found |= _of_view(spec, view)
    of_views = dict(found)
    for expression in spec.features.expressions:
        named = {name: of_views[name] for name in _words(expression.sql) if name in of_views}
        holidays = spec.features.holidays if "holiday" in expression.sql else None
        found[expression.name] = _hash([expression.sql, named, without_comments(spec.examples.sql), holidays])
    return found


def _of_view(spec: UseCaseSpec, view: FeatureView) -> dict[str, str]:
    source = spec.source(view.source)
    shared = [
        without_comments(spec.examples.sql),
        source.name,
        source.key,
        source.event_at,
        source.known_at,
        view.entity,
        view.derive,
        view.where,
    ]
    if source.forecast is not None:
        shared += [source.forecast.valid_at, view.moment, str(view.max_age), str(view.within)]
    names = view.feature_names()
    if view.latest:
        columns = [*view.latest, *(["age"] if view.with_age else []), *(["lead"] if view.with_lead else [])]
        ahead = [[] if step is None else [str(step)] for step in view.steps for _ in columns]
        asked = zip(names, columns * len(view.steps), ahead, strict=True)
        return {name: _hash([shared, column, str(view.max_age), *step]) for name, column, step in asked}
    aggregates = [_versioned(aggregate, view.aggregates[aggregate.name]) for aggregate in view.parsed_aggregates()]
    measured = [(str(window), aggregate) for window in view.spans for aggregate in aggregates]
    return {name: _hash([shared, each]) for name, each in zip(names, measured, strict=True)}


def _versioned(aggregate: Aggregate, text: str) -> str:
    """Give the text of an aggregate, with the version of one that a package adds."""
    if aggregate.function in AGGREGATES:
        return text
    return f"{text} version {added_aggregate(aggregate.function).version}"


def without_comments(sql: str) -> str:
    """Give SQL without comments and layout."""
    return " ".join(re.sub(r"--[^\n]*|/\*.*?\*/", " ", sql, flags=re.DOTALL).split())


def _words(sql: str) -> list[str]:
    return sorted(set(re.findall(r"\w+", sql)))


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:12]


def changed_features(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """List the features of `now` that meant something else before, or were not there, in order.

    >>> changed_features({"a": "1", "b": "1", "gone": "1"}, {"a": "1", "b": "2", "c": "1"})
    ['b', 'c']
    """
    return sorted(name for name, definition in now.items() if before.get(name) != definition)
