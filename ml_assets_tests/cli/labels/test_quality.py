"""`ml-assets label-quality` on the use case of generated comments, whose moderator dot is right in 60 %."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ml_assets.cli import app
from ml_assets_tests.comment_spam.generate import RIGHT
from ml_assets_tests.comment_spam.state import retrain_steps, run_steps_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("comment_spam"),
    # great_expectations 1.24 imports sre_constants and sre_parse, which Python 3.11 calls deprecated
    pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning"),
]
LABELING = ("labels/label_model", "labels/training_labels", "training/training_set")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("quality")
    retrain_steps(run_steps_until(root), date(2023, 4, 28), LABELING)
    return root


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["label-quality", "comment_spam", *arguments], terminal_width=120)


def test_moderators_are_compared_and_the_bad_one_is_named() -> None:
    said = run()
    found = json.loads(run("--json").stdout)

    assert said.exit_code == 0, said.output
    assert "below the others" in said.stdout
    people = {each["annotator"]: each for each in found["annotators"]["annotators"]}
    assert set(people) == set(RIGHT)
    assert [name for name, each in people.items() if each["is_flagged"]] == ["dot"]
    agreement = found["annotators"]["agreement"]
    assert set(agreement) == {"v1", "v2", "all"}
    assert all(each["low"] < each["alpha"] < each["high"] for each in agreement.values())
    assert agreement["all"]["values"] == agreement["v1"]["values"] + agreement["v2"]["values"]
    split = found["annotators"]["disagreements"]
    assert all(len(set(each["answers"].values())) == 2 for each in split)
    errors = found["label_errors"]
    assert errors["labels"] > errors["judged"] > 50
    assert all("predicted ahead of it" in each["reason"] for each in errors["errors"])


def test_answers_that_landed_after_a_drop_are_not_read_as_of_it() -> None:
    early, late = (
        json.loads(run("--as-of", day, "--json").stdout)["annotators"] for day in ("2023-02-10", "2023-04-28")
    )

    answers = [sum(each["answers"] for each in found["annotators"]) for found in (early, late)]
    assert (early["as_of"], late["as_of"]) == ("2023-02-10", "2023-04-28")
    assert 0 < answers[0] < answers[1] / 2
    assert set(early["agreement"]) == {"v1", "all"}  # the second guideline came in March
