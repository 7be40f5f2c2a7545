"""`ml-assets labels` on the use case of generated comments, and its page."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ml_assets.cli import app
from ml_assets.labeling.gold_worth import CurvePoint, GoldWorth
from ml_assets.pipeline.labeling.label_report import read_label_report
from ml_assets.reports.label_page import label_page, worth_in_words
from ml_assets_tests.comment_spam.state import LAST, run_steps_until, spam_spec

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("comment_spam"),
    # great_expectations 1.24 imports sre_constants and sre_parse, which Python 3.11 calls deprecated
    pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning"),
]
WORTH = GoldWorth((CurvePoint(10, 0.7, 0.6, 0.8), CurvePoint(40, 0.9, 0.8, 0.95)), 0.8, 0.7, 0.9, 20.0, 11.0, math.inf,
                  0.9, 55)  # fmt: skip


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("labels")
    run_steps_until(root)
    return root


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["labels", "comment_spam", *arguments], terminal_width=120)


def test_labels_are_fitted_shown_and_written_as_a_page(ran: Path) -> None:
    before = run()
    fitted = run("--fit")
    shown = json.loads(run("--json").stdout)
    earlier = json.loads(run("--fit", "--as-of", "2023-04-14", "--json").stdout)

    assert before.exit_code == 1
    assert "comment_spam has no label model yet; `ml-assets labels comment_spam --fit`" in " ".join(
        before.stderr.split()
    )
    assert fitted.exit_code == 0, fitted.output
    assert "label models on held-out gold labels" in fitted.stdout
    assert "ml-assets retrain comment_spam" in fitted.stdout
    assert shown["as_of"] == str(LAST)
    assert len(shown["functions"]) == 10
    assert sum(row["is_chosen"] for row in shown["models"]) == (shown["chosen"] != "gold_alone")
    assert shown["labels"]["gold"] == shown["models"][0]["gold"]
    assert earlier["as_of"] == "2023-04-14"
    assert earlier["models"][0]["examples"] < shown["models"][0]["examples"]
    page = (ran / "reports" / "comment_spam" / "labels.html").read_text(encoding="utf-8")
    assert earlier["reason"] in page.replace("&#39;", "'")


def test_worth_is_a_curve_with_the_weak_labels_on_it() -> None:
    said = run("--fit", "--worth", "--json")
    assert said.exit_code == 0, said.output + repr(said.exception)
    found = json.loads(said.stdout)["worth"]

    sizes = [point["gold"] for point in found["curve"]]
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (10, 55)
    assert all(0.5 < point["low"] <= point["quality"] <= point["high"] <= 1 for point in found["curve"])
    assert found["curve"][-1]["quality"] > found["curve"][0]["quality"]
    assert found["n_test"] == 55
    assert found["quality"] > 0.8


def test_votes_as_declared_need_no_backfill() -> None:
    said = run("--backfill")

    assert said.exit_code == 0, said.output
    assert "every drop holds votes as declared now" in said.stdout


def test_use_case_without_functions_says_how_to_declare_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "ml_assets.cli.labels.commands.read_use_case", lambda _: spam_spec().model_copy(update={"labeling": None})
    )

    said = run()

    assert said.exit_code == 1
    assert "declares no labeling; add `labeling` with functions to its defs.yaml" in " ".join(said.stderr.split())


def test_page_escapes_what_a_declaration_and_data_say(ran: Path) -> None:
    from ml_assets.stores.paths import StatePaths
    from ml_assets.stores.use_case_state import UseCaseState

    run("--fit")
    spec = spam_spec()
    report = read_label_report(spec, UseCaseState(spec.name, StatePaths(ran)))
    evil = "<script>alert(1)</script>"
    functions = [{**report.functions[0], "description": evil, "owner": evil}]

    page = label_page(spec, replace(report, reason=evil, functions=functions), WORTH)

    assert "<script>" not in page
    assert page.count("&lt;script&gt;") == 3
    assert "<svg" in page
    assert worth_in_words(WORTH) in page
