"""What is predicted is the task's to know: outside it the code says neither AUC nor positive nor probability."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

import ml_assets

PACKAGE = Path(ml_assets.__file__).parent
WORDS = re.compile(r"auc(?![a-z])|\bpositives?\b|probabilit", re.IGNORECASE)

# Where the words stand for what they say, whatever is predicted.
OTHER_MEANINGS = {
    "spec/duration.py": "a positive number",
    "experiments/": "the probability of an arm, of being shown, of an error",
    "reports/experiment_page.py": "the probability of an error",
    "cli/models/experiment.py": "the probability of finding a difference, and the share that a plan rests on",
    "spec/tables/experiments.py": "the probability of an arm",
    "labeling/": "label models give probabilities of a class; weak labels are of two classes",
    "pipeline/labeling/": "as labeling/",
    "cli/labels/": "as labeling/",
    "reports/label_page.py": "as labeling/",
    "spec/tables/labeling.py": "as labeling/",
    "monitoring/text_drift.py": "how well a classifier tells two sets of texts apart",
    "cli/operate/drift.py": "as monitoring/text_drift.py",
    "training/domain_classifier.py": "how well a classifier tells two sets of examples apart",
    "cli/models/diagnose.py": "as training/domain_classifier.py",
    "spec/tables/text_drift.py": "as monitoring/text_drift.py",
    "spec/tables/review.py": "the probability of being asked for",
    "spec/review.py": "a question that people are asked",
    "spec/key_meanings.py": "meanings of keys, those of the binary task among them",
    "ingestion/proposal.py": "a name of a column that is taken for a score",
}
# The binary task: what a model of it is, how it is measured, and what only it has.
OF_THE_TASK = {
    "stats/binary.py": "the task",
    "stats/classification.py": "its metrics",
    "stats/measured_intervals.py": "its metrics with intervals",
    "stats/metric_conformance.py": "examples of it",
    "stats/decision_costs.py": "the cost of acting on a score",
    "stats/expected_performance.py": "its metrics, expected before labels",
    "pipeline/monitoring/expected_quality.py": "as stats/expected_performance.py; it refuses other tasks",
    "stats/logit.py": "log odds",
    "stats/quality_words.py": "how its labels are told",
    "spec/tasks.py": "what each task measures and what only it has",
    "pipeline/audit/outcomes.py": "its limit of a column that tells the outcome",
    "cli/declare/new_facts.py": "what a person is asked about its labels",
    "stats/window_measures.py": "counts of the rarer class",
    "training/calibration.py": "curves of probabilities",
    "training/augmentation.py": "adds rows of the rarer class",
    "reports/learning_curve_page.py": "curves of its headline metric by labels",
    "features/outcome_leakage.py": "absence by outcome",
    "features/split_overlap.py": "how well what is remembered ranks the outcome",
    "features/target_leakage.py": "how well one column ranks the outcome",
    "reports/audit_tables.py": "as features/target_leakage.py",
    "pipeline/features/labels.py": "the share noted of a drop",
    "serving/scoring.py": "refuses a score that is no probability",
    "monitoring/performance_verdict.py": "how well the baseline ranks while it serves",
    "reports/model_card.py": "the limits that its scores have",
    "pipeline/experiments/whatif.py": "what a list finds",
    "decisions/evidence.py": "asks for enough of each class",
    "decisions/metric_bars.py": "the bars of its gate",
    "decisions/reasons.py": "the codes of these bars",
    "decisions/findings.py": "the share that left the scores",
    "spec/gate.py": "the keys of its gate",
    "spec/tables/models.py": "its columns",
    "spec/tables/monitoring.py": "its columns",
}
EXCEPTIONS = OTHER_MEANINGS | OF_THE_TASK


def task_words(source: str) -> list[int]:
    """List the lines of code, without docstrings and comments, that say what only a binary task knows."""
    documented: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Module(body=body) | ast.ClassDef(body=body) | ast.FunctionDef(body=body):
                match body:
                    case [ast.Expr(value=ast.Constant(value=str()), lineno=first, end_lineno=last), *_]:
                        documented |= set(range(first, (last or first) + 1))
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return [
        token.start[0]
        for token in tokens
        if token.type in (tokenize.NAME, tokenize.STRING)
        and token.start[0] not in documented
        and WORDS.search(token.string)
    ]


def _is_excepted(name: str) -> bool:
    return any(name == known or (known.endswith("/") and name.startswith(known)) for known in EXCEPTIONS)


def test_nothing_but_the_binary_task_says_auc_positive_or_probability() -> None:
    found = {
        name: lines
        for path in sorted(PACKAGE.rglob("*.py"))
        if not _is_excepted(name := str(path.relative_to(PACKAGE))) and (lines := task_words(path.read_text()))
    }

    assert found == {}


@pytest.mark.parametrize("name", sorted(EXCEPTIONS))
def test_every_exception_is_needed(name: str) -> None:
    paths = PACKAGE.glob(f"{name}*.py") if name.endswith("/") else [PACKAGE / name]

    assert any(task_words(path.read_text()) for path in paths)


def test_words_are_found_in_code_and_not_in_docstrings() -> None:
    assert task_words('"""Of positives."""\nx = "AUC"  # auc\nmin_auc = 1\ncauchy = 2\n') == [2, 3]
