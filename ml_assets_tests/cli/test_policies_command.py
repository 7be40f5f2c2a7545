"""What `policies`, `diagnose` and `expected` refuse, by option and with what is allowed."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ml_assets.cli import app
from ml_assets.cli.models import policies as command
from ml_assets.cli.models.policies import PolicyOptions, run_policies
from ml_assets.spec.drop import DropKey
from ml_assets_tests.rehearsal import Rehearsal, day, small_spec

NOTHING = PolicyOptions("", "", "7d", "", (), as_json=False)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rehearsal:
    def closed(_: object) -> set[DropKey]:
        return set(small_spec().calendar.drops_between(day(1), date(2013, 4, 30)))

    monkeypatch.setattr(command, "closed_drops", closed)
    return Rehearsal(small_spec(), tmp_path)


def refusal(made: Rehearsal, capsys: pytest.CaptureFixture[str], **asked: object) -> str:
    import typer

    with pytest.raises(typer.Exit):
        run_policies(made.spec, made.state, PolicyOptions(**{**vars(NOTHING), **asked}))  # pyright: ignore[reportArgumentType]
    return " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("name", ["policies", "diagnose", "expected"])
def test_use_case_of_which_no_drop_was_run_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path / "state"))

    result = CliRunner().invoke(app, [name, "flight_delays"], terminal_width=200)

    assert result.exit_code == 1
    assert "no drop was run yet. Run `ml-assets batch flight_delays" in " ".join(result.stderr.split())


def test_candidate_that_is_not_declared_is_refused_with_those_that_are(
    made: Rehearsal, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refusal(made, capsys, candidate="blnd")

    assert "--candidate: found 'blnd'" in said
    assert "blend" in said
    assert "all" in said


def test_step_that_is_no_duration_is_refused(made: Rehearsal, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--every: found 'weekly'" in refusal(made, capsys, every="weekly")


@pytest.mark.parametrize("text", ["cooldwn=7d", "cooldown", "cost=3"])
def test_setting_that_is_none_of_the_retraining_rule_is_refused(
    made: Rehearsal, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    said = refusal(made, capsys, tries=(text,))

    assert f"--try {text}" in said
    assert "stale_after" in said


def test_value_that_the_setting_cannot_have_is_refused(made: Rehearsal, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--try cooldown=soon" in refusal(made, capsys, tries=("cooldown=soon",))
