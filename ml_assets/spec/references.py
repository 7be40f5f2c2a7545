"""Which names in a declaration refer to nothing, in a declaration that may not be sound."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ml_assets.spec.declared import Fault
from ml_assets.spec.features import known_features
from ml_assets.spec.names import KeyPath, did_you_mean, not_among
from ml_assets.spec.raw_yaml import list_of, mapping_of, named_parts, names_in
from ml_assets.spec.sampling import sampling_features

_TIMES = ("event_at", "known_at")


def wrong_references(declared: Mapping[str, Any]) -> Iterator[Fault]:
    """Find every name that refers to nothing, each with where it stands.

    Examples
    --------
    >>> sources = [{"name": "weather", "columns": {"temp_f": {"type": "float"}}}]
    >>> list(wrong_references({"sources": sources, "labels": {"from": ["wether"]}}))
    [(('labels', 'from', 0), "found 'wether'; allowed: weather; nearest: weather")]
    """
    yield from _wrong_owners(declared)
    yield from _wrong_sources(declared)
    yield from _wrong_columns(declared)
    yield from _wrong_features(declared)


def source_columns(declared: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Give the columns of each source as they were written, by its name; none of a name that two sources have."""
    parts = named_parts(declared.get("sources"))
    names = [name for _, name, _ in parts]
    return {name: mapping_of(part.get("columns")) for _, name, part in parts if names.count(name) == 1}


def _wrong_owners(declared: Mapping[str, Any]) -> Iterator[Fault]:
    owners = names_in(declared.get("owners"))
    said: list[tuple[KeyPath, Any]] = [(("owners", place), owner) for place, owner in owners]
    features = mapping_of(declared.get("features"))
    said.append((("features", "owner"), features.get("owner")))
    for part in ("views", "expressions"):
        for place, each in enumerate(list_of(features.get(part))):
            said.append((("features", part, place, "owner"), mapping_of(each).get("owner")))
    labeling = mapping_of(declared.get("labeling"))
    said.append((("labeling", "owner"), labeling.get("owner")))
    for place, each in enumerate(list_of(labeling.get("functions"))):
        said.append((("labeling", "functions", place, "owner"), mapping_of(each).get("owner")))
    for path, owner in said:
        if isinstance(owner, str) and not re.fullmatch(r"team:[\w-]+|[^@\s]+@[^@\s]+\.[^@\s]+", owner):
            nearest = did_you_mean(owner, [name for _, name in owners if name != owner])
            yield path, f"found {owner!r}; allowed: team:NAME or an e-mail address{nearest}"


def _wrong_sources(declared: Mapping[str, Any]) -> Iterator[Fault]:
    known: list[str] = []
    for place, name, _ in named_parts(declared.get("sources")):
        if name in known:
            yield ("sources", place, "name"), f"found {name!r} again; allowed: a name once"
        known.append(name)
    is_complete = bool(known) and len(known) == len(list_of(declared.get("sources")))
    known = list(dict.fromkeys(known))
    if not is_complete:
        return  # a source without a name: nobody knows which are meant
    for part in ("examples", "labels"):
        for place, name in names_in(mapping_of(declared.get(part)).get("from")):
            if name not in known:
                yield (part, "from", place), not_among(name, known)
    for place, view in enumerate(list_of(mapping_of(declared.get("features")).get("views"))):
        name = mapping_of(view).get("from")
        if isinstance(name, str) and name not in known:
            yield ("features", "views", place, "from"), not_among(name, known)
    annotators = mapping_of(mapping_of(declared.get("labeling")).get("annotators"))
    if isinstance(annotators.get("from"), str) and annotators["from"] not in known:
        yield ("labeling", "annotators", "from"), not_among(annotators["from"], known)
    yield from _wrong_reads(declared, known)


def _wrong_reads(declared: Mapping[str, Any], known: list[str]) -> Iterator[Fault]:
    """A rule may read sources whose own rules read nothing: so no source waits for itself."""
    reading = [
        name
        for _, name, source in named_parts(declared.get("sources"))
        if any(names_in(mapping_of(rule).get("reads")) for rule in list_of(source.get("rules")))
    ]
    for place, owner, source in named_parts(declared.get("sources")):
        may_read = [name for name in known if name != owner and name not in reading]
        for position, rule in enumerate(list_of(source.get("rules"))):
            for which, name in names_in(mapping_of(rule).get("reads")):
                if name not in may_read:
                    yield ("sources", place, "rules", position, "reads", which), not_among(name, may_read)


def _wrong_columns(declared: Mapping[str, Any]) -> Iterator[Fault]:
    columns_of = source_columns(declared)
    annotators = mapping_of(mapping_of(declared.get("labeling")).get("annotators"))
    of_answers = columns_of.get(str(annotators.get("from")))
    for key in ("example", "annotator", "label", "guideline"):
        name = annotators.get(key)
        if of_answers and isinstance(name, str) and name not in of_answers:
            yield ("labeling", "annotators", key), not_among(name, list(of_answers))
    for place, each in enumerate(list_of(mapping_of(declared.get("features")).get("views"))):
        view = mapping_of(each)
        of_source = columns_of.get(str(view.get("from")))
        if not of_source:
            continue
        derived = list(mapping_of(view.get("derive")))
        for name in derived:
            if name in of_source or name in _TIMES:
                found = f"found {name!r}; allowed: a name that is no column of {view['from']}"
                yield ("features", "views", place, "derive", name), found
        columns = [*of_source, *derived, *_TIMES]
        for part in ("entity", "latest"):
            for position, name in names_in(view.get(part)):
                if name not in columns:
                    yield ("features", "views", place, part, position), not_among(name, columns)


def _wrong_features(declared: Mapping[str, Any]) -> Iterator[Fault]:
    features = known_features(mapping_of(declared.get("features")))
    asked: list[tuple[KeyPath, str]] = [
        (("monitoring", "slices", position), name)
        for position, name in names_in(mapping_of(declared.get("monitoring")).get("slices"))
    ]
    for place, candidate in enumerate(list_of(mapping_of(declared.get("model")).get("candidates"))):
        for key in ("group_by", "features"):
            named = names_in(mapping_of(candidate).get(key))
            asked += [(("model", "candidates", place, key, position), name) for position, name in named]
    for place, each in enumerate(list_of(mapping_of(declared.get("features")).get("accepted"))):
        name = mapping_of(each).get("name")
        asked += [(("features", "accepted", place, "name"), name)] if isinstance(name, str) else []
    asked += _named_in_evidence(mapping_of(declared.get("model")))
    asked += list(sampling_features(declared))
    for path, name in asked:
        if not features.may_have(name):
            yield path, f"found {name!r}; allowed: a feature{did_you_mean(name, features.names)}"


def _named_in_evidence(model: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Features that behaviours change and groups are told apart by, each with where it stands."""
    for place, each in enumerate(list_of(model.get("behaviours"))):
        behaviour, at = mapping_of(each), ("model", "behaviours", place)
        for name in mapping_of(behaviour.get("change")):
            yield (*at, "change", name), name
        for key in ("missing", "unseen"):
            for position, name in names_in(behaviour.get(key)):
                yield (*at, key, position), name
        for position, case in enumerate(list_of(behaviour.get("cases"))):
            for name in mapping_of(mapping_of(case).get("values")):
                yield (*at, "cases", position, "values", name), name
    for position, name in names_in(mapping_of(model.get("abstain")).get("features")):
        yield ("model", "abstain", "features", position), name
    groups = [(("model", "intervals", "by"), mapping_of(model.get("intervals")).get("by"))]
    groups += [(("model", "sensitive", place, "column"), mapping_of(each).get("column"))
               for place, each in enumerate(list_of(model.get("sensitive")))]  # fmt: skip
    yield from ((path, name) for path, name in groups if isinstance(name, str))
