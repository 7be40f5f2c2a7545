from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ml_assets.cli import app
from ml_assets_tests.second_use_case.generate import write_past
from ml_assets_tests.second_use_case.machine import DECLARED


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a machine whose only use case is late_loans, with its past beside."""
    write_past(tmp_path)
    shutil.copytree(DECLARED, tmp_path / "defs" / "late_loans")
    monkeypatch.setattr("ml_assets.cli.console.console._width", 200)  # it may have been made in a narrower terminal
    monkeypatch.setenv("ML_ASSETS_PROJECT", str(tmp_path))
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def land(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["land", "late_loans", *arguments], terminal_width=200)


def landed(root: Path) -> list[str]:
    folder = root / "state" / "landing" / "late_loans"
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*.csv"))


def test_range_of_a_past_lands_and_the_rest_is_said_and_kept(root: Path) -> None:
    result = land(f"--history=applications={root}/applications.csv", "--from", "2022-01-16", "--to", "2022-01-23")

    assert result.exit_code == 0, result.output
    assert landed(root) == [
        "2022-01-16/applications.csv", "2022-01-23/applications.csv", "left_out/applications.csv",
    ]  # fmt: skip
    said = [line for line in result.stdout.splitlines() if line.startswith("applications")]
    kept = (root / "state/landing/late_loans/left_out/applications.csv").read_text().splitlines()[1:]
    early = sum(line.startswith("known_before_first_drop,") for line in kept)
    assert 20 < early < 80
    assert said == [
        f"applications {len(kept) - early:,} rows known after the last drop",
        f"applications {early} rows known before the first drop; --early takes them into it",
        f"applications they are in {root}/state/landing/late_loans/left_out/applications.csv",
    ]
    assert "ml-assets batch late_loans --from 2022-01-16 --to 2022-01-23" in result.stdout


def test_early_rows_are_taken_into_the_first_drop_when_asked(root: Path) -> None:
    past = f"--history=applications={root}/applications.csv"
    land(past, "--from", "2022-01-09", "--to", "2022-01-16")
    weeks = [(root / f"state/landing/late_loans/{day}/applications.csv") for day in ("2022-01-09", "2022-01-16")]
    rows = [len(file.read_text().splitlines()) - 1 for file in weeks]
    shutil.rmtree(root / "state")

    assert land(past, "--from", "2022-01-16", "--to", "2022-01-16", "--early").exit_code == 0

    assert len(weeks[1].read_text().splitlines()) - 1 == sum(rows)


def test_sources_may_land_one_after_the_other_and_again(root: Path) -> None:
    first = land(f"--history=applications={root}/applications.csv", "--to", "2022-01-16")
    both = land(f"--history=applications={root}/applications.csv", f"--history=repayments={root}/repayments.csv",
                "--to", "2022-01-16")  # fmt: skip

    assert (first.exit_code, both.exit_code) == (0, 0)
    assert [name for name in landed(root) if not name.startswith("left_out")] == [
        f"{day}/{name}.csv" for day in ("2022-01-09", "2022-01-16") for name in ("applications", "repayments")
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--history", "applications"), "--history: found 'applications'; allowed: SOURCE=FILE"),
        (
            ("--history", "aplications=x.csv"),
            "--history: found source 'aplications'; allowed: applications, repayments; nearest: applications",
        ),
        (("--history", "applications=x.csv"), "x.csv: is not there, or is not a file"),
        (
            ("--history", "applications=a.csv", "--history", "applications=b.csv"),
            "--history: found applications twice; allowed: one file a source",
        ),
        (
            ("--history", "applications=x.csv", "--ahead", "applications=1"),
            "--ahead: found applications; allowed: a source of --history with an event_at and known_at: received",
        ),
        (
            ("--history", "applications=x.csv", "--ahead", "applications=soon"),
            "--ahead: found 'applications=soon'; allowed: SOURCE=DROPS, as in applications=1",
        ),
        ((), "allowed: --from and --to, or --history SOURCE=FILE with --ahead and --early"),
        (("--early", "--from", "2022-01-09", "--to", "2022-01-09"), "allowed: --from and --to, or --history "
         "SOURCE=FILE with --ahead and --early"),
    ],
)  # fmt: skip
def test_option_that_makes_no_sense_is_answered_with_what_is_allowed(
    arguments: tuple[str, ...], message: str, root: Path
) -> None:
    result = land(*arguments)

    assert (result.exit_code, " ".join(result.stderr.split())) == (1, f"error {message}")
    assert not (root / "state" / "landing" / "late_loans").exists()


def test_what_landed_before_is_not_overwritten(root: Path) -> None:
    past = f"--history=applications={root}/applications.csv"
    land(past, "--to", "2022-01-16")
    file = root / "state/landing/late_loans/2022-01-09/applications.csv"
    file.write_text(file.read_text() + "L1,2022-01-05 10:00:00,C1,Pune,crop,1,12,1,\n")

    result = land(past)

    assert result.exit_code == 1
    assert "landed before with other content, and never overwritten: 2022-01-09/applications.csv" in result.stderr
    assert len([name for name in landed(root) if not name.startswith("left_out")]) == 2
