"""What the declaration says that an asset depends on, in one short hash each: the code version of the asset."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, cast

from pydantic import BaseModel

from ml_assets.spec.contract import Source
from ml_assets.spec.feature_versions import feature_definitions, without_comments
from ml_assets.spec.file_format import FileFormat
from ml_assets.spec.model import ModelSpec
from ml_assets.spec.use_case import UseCaseSpec, Worklist

# keys that were added after a release, with the value that stands for what held before
_LATER: dict[str, Any] = {
    "file": FileFormat().model_dump(mode="json"),
    "date_order": "iso",
    "epoch": None,
    "asset": None,
    "extract": None,
    "like": None,
    "without": [],
    "forecast": None,
}
_FOR_PEOPLE = frozenset({"description", "owner", "unit", "null_means"})  # words that change no value


def asset_versions(spec: UseCaseSpec) -> dict[str, str]:
    """Give the version of the declaration of each asset, by `layer/name`: 12 hexadecimal digits.

    It covers the part of defs.yaml and of the SQL that decides the rows of this asset; what its inputs depend on is
    theirs. Descriptions and comments are no part of it.
    """
    model, monitoring, calendar = _of_model(spec.model), spec.monitoring, _plain(spec.calendar)
    monitors = [_plain(monitoring), calendar]
    parts: dict[str, Any] = {
        "raw/drops": [[source.name, source.arrives, source.when_missing, source.until] for source in spec.sources],
        "training/labels": [_plain(spec.labels), spec.review.answers] if spec.review else _plain(spec.labels),
        "features/examples": _plain(spec.examples),
        "features/features": feature_definitions(spec),
        "training/training_set": [
            _plain(spec.labels), model, *([_plain(spec.labeling)] if spec.trains_on_weak_labels else []),
            *([_plain(spec.sampling)] if spec.sampling else []),
        ],
        "models/candidate_model": model,
        **{f"models/{name}": [model, _plain(monitoring.costs)] for name in ("evaluation_measures",
           "evaluation_slices", "behaviours", "evaluation", "champion", "model_card")},
        "predictions/predictions": [_plain(spec.model.prior_correction), _plain(spec.model.abstain)],
        "predictions/shadow_predictions": [_plain(spec.model.prior_correction), _plain(spec.model.abstain)],
        "predictions/worklist": _of_worklist(spec.worklist),
        **{f"monitoring/{name}": monitors for name in ("feed_health", "drift_report", "performance_report")},
        "monitoring/decisions": [_plain(spec.retraining), *monitors],
    }  # fmt: skip
    if spec.labeling is not None:
        functions = [[each.name, each.definition] for each in spec.labeling.functions]
        parts |= {f"labels/{name}": [functions, _plain(spec.labeling)] for name in ("label_model", "training_labels")}
        parts["labels/weak_labels"] = [functions, list(spec.labeling.classes)]
    if spec.review is not None:
        parts["labels/review_queue"] = _plain(spec.review)
        if spec.review.looks_for_label_errors:
            parts["labels/label_errors"] = [_plain(spec.labels), model]
    if spec.experiments:
        parts["experiments/assignments"] = [_plain(each) for each in spec.experiments]
    for source in spec.sources:
        parts |= {f"raw/{source.name}": [_landed(source), calendar]}
        parts |= {f"{layer}/{source.name}": [_plain(source), calendar] for layer in ("validated", "quarantine")}
    return {asset: _hash(part) for asset, part in parts.items()}


def _of_worklist(worklist: Worklist) -> Any:
    """Give what decides a worklist; without routes it is what it was before there were any."""
    return {name: each for name, each in _plain(worklist).items() if name != "routes" or each is not None}


def _of_model(model: ModelSpec) -> Any:
    """Give what decides a model; without made-up rows it is what it was before there were any."""
    return {name: each for name, each in _plain(model).items() if name != "augmentation" or each is not None}


def _landed(source: Source) -> Any:
    """Give what decides how a file is read."""
    return [
        source.file_name,
        *([] if source.file == FileFormat() else [_plain(source.file)]),
        list(source.null_values),
        {name: _plain(column) for name, column in source.columns.items()},
    ]


def _plain(part: BaseModel | None) -> Any:
    return None if part is None else _without_words(_without_later_defaults(part.model_dump(mode="json")))


def _without_later_defaults(value: Any) -> Any:
    """Leave out keys that came later where they say what held before: nothing changed for who declares none."""
    if isinstance(value, Mapping):
        named = cast("Mapping[str, Any]", value)
        kept = {name: each for name, each in named.items() if name not in _LATER or each != _LATER[name]}
        return {name: _without_later_defaults(each) for name, each in kept.items()}
    return [_without_later_defaults(each) for each in cast("list[Any]", value)] if isinstance(value, list) else value


def _without_words(value: Any) -> Any:
    if isinstance(value, Mapping):
        named = cast("Mapping[str, Any]", value)
        return {name: _without_words(each) for name, each in named.items() if name not in _FOR_PEOPLE}
    if isinstance(value, list):
        return [_without_words(each) for each in cast("list[Any]", value)]
    return without_comments(value) if isinstance(value, str) else value


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:12]
