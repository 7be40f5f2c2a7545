from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from typer.testing import CliRunner, Result

from ml_assets.cli import app
from ml_assets.cli.console import console
from ml_assets.cli.models import commands as models
from ml_assets.spec.features import FeatureSpec
from ml_assets.spec.model import Folds, ModelCandidate
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets_tests.rehearsal import flagship
from ml_assets_tests.training.conftest import made_up_flights

VIEW = {"name": "weather", "from": "weather", "latest": ["wind_speed_mph"], "max_age": "6h"}
NAMES = ["weather_wind_speed_mph", "carrier", "hour", "season"]
CANDIDATES = (
    ModelCandidate(name="constant", kind="constant"),
    ModelCandidate(name="group_history", kind="group_history", group_by=("carrier", "hour")),
    ModelCandidate(name="line", kind="logistic_regression", parameters={"min_frequency": 20}),
    ModelCandidate(name="trees", kind="xgboost", parameters={"rounds": 8, "max_depth": 3}),
    ModelCandidate(name="blend", kind="blend", members=("line", "trees")),
)


def small_spec() -> UseCaseSpec:
    """The flagship with a small candidates and four features."""
    declared = flagship()
    update = {"candidates": CANDIDATES, "threads": 1, "folds": Folds(count=2, length=timedelta(days=8))}
    expressions = [{"name": name, "sql": name} for name in NAMES[1:]]
    features = FeatureSpec.model_validate({"views": [VIEW], "expressions": expressions})
    return declared.model_copy(update={"model": declared.model.model_copy(update=update), "features": features})


def training_set(n_days: int = 40) -> pa.Table:
    """Twenty made-up flights a day, a week held out, and a number that only goes up."""
    frame, labels = made_up_flights(20 * n_days)
    day = np.repeat(np.arange(n_days), 20)
    moments = [pd.Timestamp("2013-01-01 09:00", tz="UTC") + timedelta(days=int(each)) for each in day]
    taken = frame[["wind_speed_mph", "carrier", "hour"]].rename(columns={"wind_speed_mph": NAMES[0]})
    given = taken.assign(
        example_id=[f"{number:04d}" for number in range(len(frame))], batch_date=[each.date() for each in moments],
        prediction_at=moments, label=labels.astype(float), split=np.where(day >= n_days - 7, "holdout", "train"),
        season=day.astype(float),
    )  # fmt: skip
    return pa.Table.from_pandas(given, preserve_index=False)


def begin(root: Path, monkeypatch: pytest.MonkeyPatch, spec: UseCaseSpec) -> Path:
    """Let the commands work on the state in `root`, and read this declaration."""
    monkeypatch.setenv("ML_ASSETS_DATA", str(root))
    monkeypatch.setattr(console, "_width", 240)
    monkeypatch.setattr(models, "read_use_case", lambda _: spec)
    return root


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return begin(tmp_path, monkeypatch, small_spec())


def lay(state: Path, table: pa.Table) -> None:
    plan = {"as_of": "2013-02-09", "features": NAMES}
    Lake(state / "lake" / "flight_delays").replace("training_set", table, {"plan": plan})


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["ablation", "flight_delays", *arguments], terminal_width=240)


def test_as_json_it_holds_every_measure_and_the_page_every_part(state: Path) -> None:
    lay(state, training_set())

    result = run("--json", "--page", "--seeds", "1")

    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    assert (found["candidate"], found["as_of"]) == ("blend", "2013-02-09")
    assert max(found["permutation"], key=lambda name: sum(found["permutation"][name])) == "hour"
    assert set(found["permutation_of_views"]) == {"weather", "= expressions"}
    assert [each["name"] for each in found["ablated"]] == ["weather", "= expressions"]
    assert found["stability"]["n_fits"] == 2
    assert [each["name"] for each in found["smaller"]][:2] == ["line alone", "trees alone"]
    assert [each["name"] for each in found["time_proxies"]] == ["season"]
    page = Path(found["page"])
    assert page == state / "reports" / "flight_delays" / "ablation_2013-02-09.html"
    text = page.read_text()
    for title in ("In short", "What it leans on", "Views that could be spared", "Features kept", "Smaller models",
                  "Features that act as a date"):  # fmt: skip
        assert f"<h2>{title}</h2>" in text
    assert text.count("<img") == 4
    assert "it goes up with time" in text


def test_a_candidate_by_name_is_shown_as_tables_with_what_to_do_next(state: Path) -> None:
    lay(state, training_set())

    result = run("--candidate", "line", "--seeds", "0")

    assert result.exit_code == 0, result.stderr
    assert "acts as a date: season" in result.stdout
    assert "ml-assets ablation flight_delays --page" in result.stdout


@pytest.mark.parametrize(
    ("candidate", "said"),
    [
        ("lines", "--candidate: found 'lines'; allowed: constant, group_history, line, trees, blend"),
        (
            "group_history",
            "found 'group_history', a group_history; allowed: a candidate that weighs features: line, trees",
        ),
    ],
)
def test_a_candidate_that_weighs_no_features_is_refused(state: Path, candidate: str, said: str) -> None:
    lay(state, training_set())

    result = run("--candidate", candidate)

    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr


def test_without_a_training_set_or_with_a_short_one_it_says_what_is_missing(state: Path) -> None:
    assert "run `ml-assets retrain flight_delays` first" in run().stderr

    lay(state, training_set(n_days=12))

    assert "too few for a window of 8 days" in run().stderr
