"""What the steps of a retraining did, as named facts: numbers, texts, and Markdown where it is `Formatted`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ml_assets.pipeline.champion.promote import RecordedVerdict
from ml_assets.pipeline.evaluation.verdict import JudgedCandidate
from ml_assets.pipeline.training.candidate import FittedCandidate
from ml_assets.pipeline.training.training_set import TrainingSetResult
from ml_assets.reports.candidate_tables import candidates_table, date_like_list, importance_table
from ml_assets.reports.evidence_tables import reason_table, record_list
from ml_assets.reports.markdown import Formatted
from ml_assets.reports.pictures import Picture
from ml_assets.spec.use_case import UseCaseSpec

Facts = dict[str, Any]


def drawn_facts(drawn: TrainingSetResult) -> Facts:
    """Give the facts of a training set."""
    plan = drawn.plan
    return {
        "as_of": str(plan.as_of),
        "train": drawn.rows["train"],
        "holdout": drawn.rows["holdout"],
        "holdout from": plan.holdout_after,
        "matured until": plan.matured_until,
        "left out, with a broken feed": ", ".join(plan.excluded) or "none",
        "resolved without label": drawn.without_label,
        "content hash": drawn.content_hash,
        "lake version": drawn.version,
        **{f"input version/{table}": number for table, number in drawn.inputs.items()},
    }


def fitted_facts(fitted: FittedCandidate, plots: Mapping[str, bytes]) -> Facts:
    """Give the facts of a candidate, with its pictures on the holdout."""
    chosen, stored, bundle = fitted.fitted_candidates.chosen, fitted.stored, fitted.bundle
    importance = dict(sorted(chosen.model.importance().items(), key=lambda item: -item[1]))
    calibration = Picture(plots["calibration.png"], "holdout: observed share against mean score")
    scores = Picture(plots["scores.png"], "holdout: distribution of scores")
    return {
        "as_of": bundle.as_of,
        "candidate": chosen.candidate.name,
        "model version": stored.model_version,
        "artifact sha256": stored.artifact_sha256,
        "artifact bytes": sum(path.stat().st_size for path in stored.folder.rglob("*") if path.is_file()),
        "training set version": fitted.training_set_version,
        "candidates": Formatted(candidates_table(fitted.fitted_candidates)),
        "top features": Formatted(importance_table(importance)),
        "features that act as a date": Formatted(date_like_list(fitted.rows, bundle.features)),
        **{key: float(value) for key, value in chosen.measures.items() if math.isfinite(value)},
        "calibration": Formatted(calibration.to_markdown()),
        "scores": Formatted(scores.to_markdown()),
    }


def judged_facts(judged: JudgedCandidate) -> Facts:
    """Give the facts of a verdict."""
    found, gain, days = judged.comparison, judged.gain, judged.comparison.days
    return {
        "verdict": judged.verdict.outcome,
        "as_of": str(found.row.as_of),
        "candidate": found.row.model_version,
        "champion before": found.incumbent.model_version if found.incumbent else "none",
        "window": f"{min(days)} to {max(days)}" if days else "empty",
        "examples": int(found.labels.size),
        "reasons": Formatted(reason_table(judged.verdict)),
        **({"gain": gain.estimate, "gain lower": gain.lower, "gain upper": gain.upper} if gain else {}),
    }


def recorded_facts(spec: UseCaseSpec, recorded: RecordedVerdict) -> Facts:
    """Give the facts of what was added to the record of champions."""
    verdict, serving = recorded.verdict, recorded.serving
    return {
        "verdict": verdict["verdict"],
        "model version": verdict["model_version"],
        "gate": verdict["gate"],
        "serves from": recorded.serves_from(spec),
        "recorded": "as a new verdict" if recorded.is_new else "before: the same verdict stands",
        "record": Formatted(record_list(recorded.record, None if serving is None else serving["sequence"])),
    }
