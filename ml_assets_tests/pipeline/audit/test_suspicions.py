"""A strong column is suspected, never proven: what explains it, who accepts it, and when the gate refuses it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from ml_assets.cli import app
from ml_assets.features.leakage_audit import Leak
from ml_assets.features.outcome_leakage import LeakageSign
from ml_assets.pipeline.audit.leakage import Audit
from ml_assets.pipeline.audit.suspicions import AcceptanceError, accept_feature, judge_findings
from ml_assets.pipeline.audit.training_set_audit import TrainingSetAudit, audit_training_set
from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.features import AcceptedFeature
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.paths import state_paths
from ml_assets.stores.use_case_state import UseCaseState

DEFS = Path(__file__).parents[2] / "second_use_case"
NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def spec() -> UseCaseSpec:
    return load_use_case(DEFS / "late_loans")


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> UseCaseState:
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster_home"))
    monkeypatch.setenv("ML_ASSETS_PROJECT", str(tmp_path))
    (tmp_path / "ml_assets.toml").write_text(f'use_cases = "{DEFS}"')
    return UseCaseState("late_loans", state_paths())


def target(column: str, value: float) -> LeakageSign:
    return LeakageSign("target", column, value, 0.8, 500, f"alone it ranks the examples of a drop with AUC {value:.3f}")


def audited(spec: UseCaseSpec, state: UseCaseState, findings: list[LeakageSign], leaks: list[Leak]) -> TrainingSetAudit:
    """Audit a training set in which these are found."""
    where = "ml_assets.pipeline.audit.training_set_audit"
    audit = Audit(examples=5, moments=1, cells=50, leaks=leaks)
    with patch(f"{where}.audit_outcomes", lambda *_: findings), patch(f"{where}.audit_leakage", lambda *_: audit):
        return audit_training_set(spec, state, spec.calendar.start, None)


def test_time_of_day_that_predicts_the_label_is_no_reason_for_the_gate_to_refuse(
    spec: UseCaseSpec, state: UseCaseState
) -> None:
    audit = audited(spec, state, [target("local_hour", 0.99)], [])

    assert audit.findings == ()
    assert (audit.outcome.passed, audit.outcome.is_error) == (True, False)
    assert (
        "local_hour: alone it ranks the examples of a drop with AUC 0.990 (of the calendar" in audit.outcome.description
    )


def test_strong_column_warns_with_its_evidence_and_blocks_only_where_it_is_implausible(
    spec: UseCaseSpec, state: UseCaseState
) -> None:
    strong = audited(spec, state, [target("bureau_score", 0.9)], [])
    implausible = audited(spec, state, [target("bureau_score", 0.98)], [])

    assert (strong.outcome.passed, strong.outcome.is_error, strong.findings) == (False, False, ())
    (found,) = implausible.findings
    assert found == (
        "target bureau_score: alone it ranks the examples of a drop with AUC 0.980; suspected, not proven, implausible "
        "from 0.98 on. Where it is right as of the prediction: "
        "`ml-assets accept-feature late_loans bureau_score --reason WHY`"
    )
    assert not implausible.outcome.is_error  # the gate refuses, and leaves its record


def test_value_that_could_not_be_known_is_proven_and_no_acceptance_undoes_it(
    spec: UseCaseSpec, state: UseCaseState
) -> None:
    accept_feature(spec, state, "bureau_score", "asked before", by="ada", now=NOW)
    leak = Leak("features", "bureau_score", "L1", spec.calendar.start, NOW, 700, None)

    audit = audited(spec, state, [], [leak])

    assert audit.outcome.is_error
    assert audit.findings == ("proven by recomputation: 1 of 50 cells could not be known, of features.bureau_score",)


def test_accepted_feature_no_longer_blocks_and_the_last_decision_is_told(
    spec: UseCaseSpec, state: UseCaseState
) -> None:
    found = [target("bureau_score", 0.99)]
    before = judge_findings(spec, state, found)

    accept_feature(spec, state, "bureau_score", "guess", by="ada", now=NOW)
    result = CliRunner().invoke(
        app, ["accept-feature", "late_loans", "bureau_score", "--reason", "the bureau answers first", "--by", "bo"]
    )
    (after,) = judge_findings(spec, state, found)

    assert result.exit_code == 0, result.output
    assert (before[0].blocks, after.blocks, after.is_open) == (True, False, False)
    assert after.why.startswith("accepted by bo on ")
    assert after.why.endswith(": the bureau answers first")


def test_feature_accepted_in_the_declaration_no_longer_blocks(spec: UseCaseSpec, state: UseCaseState) -> None:
    accepted = (AcceptedFeature(name="bureau_score", reason="asked before"),)
    decided = spec.model_copy(update={"features": spec.features.model_copy(update={"accepted": accepted})})

    (found,) = judge_findings(decided, state, [target("bureau_score", 1.0)])

    assert (found.blocks, found.why) == (False, "accepted in the declaration: asked before")


def test_column_that_is_no_feature_is_told_and_never_blocks(spec: UseCaseSpec, state: UseCaseState) -> None:
    (found,) = judge_findings(spec, state, [target("customer_id", 1.0)])

    assert (found.is_open, found.blocks) == (True, False)
    assert str(found).endswith("No feature is this column, and no model reads it")


@pytest.mark.parametrize(
    ("feature", "reason", "message"),
    [
        ("bureau", "known", "late_loans has no feature 'bureau'; allowed: one of `ml-assets features late_loans`"),
        ("bureau_score", " ", "--reason: found nothing; allowed: why its values are known as of the prediction"),
    ],
)
def test_acceptance_needs_a_feature_and_a_reason(
    feature: str, reason: str, message: str, spec: UseCaseSpec, state: UseCaseState
) -> None:
    with pytest.raises(AcceptanceError, match=message[:40].replace("(", r"\(")) as refused:
        accept_feature(spec, state, feature, reason, by="ada", now=NOW)

    assert str(refused.value).startswith(message)
    assert not state.lake.has("accepted_features")
