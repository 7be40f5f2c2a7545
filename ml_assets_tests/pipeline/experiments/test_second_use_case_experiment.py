"""An A/B test of another kind of use case, from its declaration through the terminal: weekly loans, by customer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ml_assets_tests.second_use_case.machine import DECLARED, ask, invoke, loans_machine, run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("loan_experiment"),
    # great_expectations 1.24 imports sre_constants and sre_parse, which Python 3.11 calls deprecated
    pytest.mark.filterwarnings("ignore:module 'sre_.*' is deprecated:DeprecationWarning"),
]
EXPERIMENT = """
  experiments:
    - name: newer_model
      kind: ab
      unit: customer_id # a customer who applies twice is in one arm
      share: 0.5
      compare: arms # who is visited pays: outcomes may react to the score
      evidence: unit
      effect: 0.2
      length: 112d
"""
TRAINED, CANDIDATE, LAST = "2022-09-11", "2022-11-06", "2023-03-12"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("loan_experiment")


@pytest.fixture(scope="module", autouse=True)
def machine(root: Path) -> Any:
    """Give a machine whose only use case is late_loans, with an experiment declared."""
    with loans_machine(root, EXPERIMENT):
        yield


@pytest.fixture(scope="module")
def started(root: Path) -> str:
    """Serve one model, train a newer one that does not serve, and start; give what `start` said."""
    files = [f"--history={name}={root / name}.csv" for name in ("applications", "repayments")]
    run("land", "late_loans", *files)
    run("batch", "late_loans", "--from", "2022-01-09", "--to", TRAINED)
    run("retrain", "late_loans", "--as-of", TRAINED, "--gate", "disabled", "--candidate", "group_history")
    run("batch", "late_loans", "--from", "2022-09-18", "--to", CANDIDATE)
    run("retrain", "late_loans", "--as-of", CANDIDATE, "--gate", "dry_run", "--candidate", "logistic_regression")
    return run("experiment", "late_loans", "start", "newer_model", "--yes", "--reason", "six months newer")


@pytest.fixture(scope="module")
def served(started: str) -> str:
    """Run eighteen weeks with the experiment, in the graph."""
    run("batch", "late_loans", "--from", "2022-11-13", "--to", LAST)
    return started


def test_status_names_what_could_be_started_and_the_declaration_is_sound() -> None:
    assert "no mistake" in run("validate")
    found = json.loads(run("experiment", "late_loans", "status", "--json"))

    assert found == [{"name": "newer_model", "state": "not started"}]


def test_start_says_what_it_can_find(started: str) -> None:
    started = " ".join(started.split())
    assert "would serve 50% of units (customer_id)" in started
    assert "from drop 2022-11-13 on, for 112d" in started
    assert "newer_model takes the drops from 2022-11-13 on" in started


@pytest.mark.usefixtures("served")
def test_customer_is_in_one_arm_in_every_week() -> None:
    found = ask(
        "SELECT count(*) AS n, count(DISTINCT unit) AS units, count(DISTINCT (unit, arm)) AS pairs, "
        "avg((arm = 'challenger')::INT) AS share FROM late_loans.assignments"
    )[0]
    own = ask(
        "SELECT count(*) AS n FROM late_loans.assignments AS a JOIN late_loans.examples AS e USING (example_id) "
        "WHERE a.unit IS DISTINCT FROM e.customer_id"
    )[0]

    assert found["n"] > found["units"] > 300  # some customers came again
    assert found["pairs"] == found["units"]
    assert 0.42 < found["share"] < 0.58
    assert own["n"] == 0


@pytest.mark.usefixtures("served")
def test_predictions_are_of_the_model_of_their_arm() -> None:
    rows = ask(
        "SELECT arm, count(DISTINCT scored_by) AS models, min(scored_by) AS model, min(propensity) AS least, "
        "max(propensity) AS most FROM late_loans.predictions WHERE batch_date >= '2022-11-13' GROUP BY arm ORDER BY arm"
    )

    assert [row["arm"] for row in rows] == ["challenger", "champion"]
    assert [row["models"] for row in rows] == [1, 1]
    assert CANDIDATE in rows[0]["model"]
    assert TRAINED in rows[1]["model"]
    assert {row["least"] for row in rows} == {row["most"] for row in rows} == {0.5}


@pytest.mark.usefixtures("served")
def test_status_reports_arms_measures_and_a_page(root: Path) -> None:
    (found,) = json.loads(run("experiment", "late_loans", "status", "newer_model", "--json"))
    said = run("experiment", "late_loans", "status")

    assert found["state"] in ("running", "passed")
    (measure,) = found["measures"]
    assert measure["measure"] == "log_loss"
    assert measure["n"] > 250  # of the weeks whose loans were checked after 30 days
    assert measure["n_units"] > 250  # customers, not weeks
    assert measure["lower"] < measure["worse_by"] < measure["upper"]
    assert sum(found["units"].values()) > 300
    page = root / "state" / "reports" / "late_loans" / "experiments" / "newer_model.html"
    assert str(page.name) in said.replace("\n", "")
    assert "each arm's own examples" in page.read_text().replace("&#39;", "'")


def test_mistakes_are_named_with_their_line(tmp_path: Path) -> None:
    folder = tmp_path / "defs" / "late_loans"
    shutil.copytree(DECLARED, folder)
    wrong = EXPERIMENT.replace("unit: customer_id", "unit: custmer_id").replace("kind: ab", "kind: abc")
    wrong += "    - {name: newer_model, share: 1.5}\n"
    (folder / "defs.yaml").write_text((folder / "defs.yaml").read_text() + wrong)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ML_ASSETS_PROJECT", str(tmp_path))
        said = invoke("validate", "late_loans").output.replace("\n", " ")

    assert "experiments[0].unit: found 'custmer_id'; allowed: example_id, drop, loan_id" in said
    assert "nearest: customer_id" in said
    assert "experiments[0].kind: found 'abc'; allowed: canary, ab; nearest: ab" in said
    assert "experiments[1].name: found 'newer_model' again; allowed: a name once" in said
    assert "experiments[1].share: found 1.5; allowed: less than 1" in said


def test_asking_for_what_is_not_there_names_what_is() -> None:
    assert "allowed: start, status, conclude" in invoke("experiment", "late_loans", "begin").output
    assert "which experiment? declared: newer_model" in invoke("experiment", "late_loans", "start").output
    assert "allowed: newer_model" in invoke("experiment", "late_loans", "status", "newer").output


@pytest.mark.usefixtures("served")
def test_what_if_replays_a_longer_list_and_the_arms_tell_of_a_model_where_outcomes_react() -> None:
    (found,) = json.loads(run("experiment", "late_loans", "status", "--json"))
    drops = f"--drops=2022-11-13:{LAST}"

    longer = " ".join(run("whatif", "late_loans", "--capacity", "40", drops).split())
    by_model = " ".join(run("whatif", "late_loans", "--model", found["challenger"], "--reacts", drops).split())

    assert "positives on the list of a drop" in longer
    assert "not identified: what acting would have changed" in longer
    assert f"had {found['challenger']} served every unit" in by_model
    assert "nothing would be otherwise; allowed: --model" in invoke("whatif", "late_loans").output
    assert "found '2022-11-13'; allowed: FIRST:LAST" in invoke(
        "whatif", "late_loans", "--capacity", "9", "--drops", "2022-11-13"
    ).output.replace("\n", " ")


@pytest.mark.usefixtures("served")
def test_person_rejects_the_challenger_and_the_record_says_so() -> None:
    said = run("experiment", "late_loans", "conclude", "newer_model", "--as", "reject", "--reason", "no gain")
    record = ask("SELECT verdict, note FROM late_loans.champion ORDER BY sequence")

    assert "newer_model is concluded" in said
    assert record[-1] == {"verdict": "refused", "note": "experiment newer_model: no gain"}
    (found,) = json.loads(run("experiment", "late_loans", "status", "--json"))
    assert found["state"] == "concluded"
