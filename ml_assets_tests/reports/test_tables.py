"""Tables and lists for the UI: what the data hold is text in its cell, in every one of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

import numpy as np
import pytest

from ml_assets.decisions.candidate_choice import CandidateChoice
from ml_assets.decisions.promotion import Verdict
from ml_assets.decisions.reasons import Reason
from ml_assets.features.leakage_audit import Leak
from ml_assets.features.outcome_leakage import LeakageSign
from ml_assets.monitoring.feature_drift import FamilyMeasure
from ml_assets.pipeline.audit.leakage import Audit
from ml_assets.pipeline.audit.skew import ServedComparison, Skew
from ml_assets.pipeline.training.candidate import FittedCandidates
from ml_assets.reports.audit_tables import entity_table, leak_table, skew_table
from ml_assets.reports.candidate_tables import candidates_table, importance_table
from ml_assets.reports.evidence_tables import behaviour_list, measure_table, reason_table, record_list, slice_table
from ml_assets.reports.monitor_tables import nearest_table, placebo_table
from ml_assets.spec.model import ModelCandidate, TrainingRecipe
from ml_assets.stats.binary import LOG_LOSS
from ml_assets.training.candidate import MeasuredCandidate
from ml_assets_tests.reports.hostile import HOSTILE
from ml_assets_tests.reports.test_markdown import as_shown, cells_of

DROP = date(2013, 1, 2)


def measures(value: str) -> str:
    return measure_table(
        [{"measure": "auc", "role": role, "estimate": 0.7, "lower": 0.6, "upper": 0.8} for role in ("candidate", value)]
    )


def slices(value: str) -> str:
    row = {"column": "origin", "value": value, "n": 7, "log_loss": 0.5, "loss_lower": 0.4, "loss_upper": 0.6,
           "gain": 0.1, "gain_lower": 0.0, "gain_upper": 0.2, "rest_log_loss": 0.3, "surprise": 0.1,
           "p_value": 0.01}  # fmt: skip
    return slice_table(LOG_LOSS, [{**row, "kind": "declared"}, {**row, "kind": "discovered"}])


def behaviours(value: str) -> str:
    return behaviour_list([{"state": value, "name": value, "kind": value, "message": value}])


def reasons(value: str, *, passed: bool = True) -> str:
    return reason_table(Verdict("refused", "enabled", False, (Reason("gain_enough", value, 0.1, None, passed),)))


def record(value: str) -> str:
    row = {"sequence": 1, "verdict": "promoted", "model_version": value, "serves_after": DROP, "decided_by": value,
           "note": value}  # fmt: skip
    return record_list([row], serving=1)


def nearest(value: str) -> str:
    row = {"batch_date": DROP, "monitor": value, "statistic": "steady_psi", "value": 0.1, "usual": 0.0, "z": 3.0,
           "threshold": 4.0, "ratio": 0.75, "state": "quiet", "meaning": None, "detail": value}  # fmt: skip
    return nearest_table([row], DROP)


def entities(value: str) -> str:
    return entity_table([LeakageSign("entities", value, 0.5, None, 10, value)])


def leaks(value: str) -> str:
    moment = datetime(2013, 1, 2, 9, tzinfo=UTC)
    return leak_table(Audit(leaks=[Leak(value, value, value, DROP, moment, value, None)]))


def skews(value: str) -> str:
    return skew_table(ServedComparison(10, 1, (Skew(value, value, 3, 1, None),)))


TABLES = {each.__name__: each for each in (measures, slices, reasons, nearest, entities, leaks, skews)}
TABLES["importance"] = lambda value: importance_table({value: 0.5})
LISTS = {each.__name__: each for each in (behaviours, record, slices)}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("value", HOSTILE)
def test_value_is_one_cell_and_breaks_no_table(name: str, value: str) -> None:
    table = TABLES[name](value).split("\n\n")[0]

    heads, *rows = cells_of(table)
    assert [len(row) for row in rows] == [len(heads)] * (len(table.splitlines()) - 2)
    assert any(as_shown(value) in cell for row in [heads, *rows] for cell in row)
    assert "<" not in table


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("value", HOSTILE)
def test_value_in_a_list_is_no_html_and_no_new_line(name: str, value: str) -> None:
    text = LISTS[name](value)

    assert "<" not in text
    assert text.count("\n") == LISTS[name]("plain").count("\n")


def test_tables_say_what_was_measured() -> None:
    assert cells_of(measures("champion").split("\n\n")[0]) == [
        ["measure", "candidate", "champion"], ["auc", "0.700 (0.600-0.800)", "0.700 (0.600-0.800)"]
    ]  # fmt: skip
    assert cells_of(slices("EWR").split("\n\n")[0])[1] == [
        "origin EWR", "7", "0.500 (0.400-0.600)", "+10.0% (+0.0% to +20.0%)"
    ]  # fmt: skip
    assert reasons("too little", passed=False).splitlines()[-1] == "| too little | **no** | 0.1 |  |"
    assert cells_of(nearest("feed/rows"))[1] == ["feed/rows", "0.1", "0", "3", "4", "quiet", "feed/rows"]
    assert cells_of(leaks("x"))[1][-2:] == ["x", "null"]
    assert record("me") == "- 1: **promoted** me, drops after 2013-01-02, by me: me (serves now)"


def test_candidates_are_listed_with_the_one_taken() -> None:
    numbers = {"log_loss": 0.5, "auc": 0.7, "brier": 0.2, "ece": 0.02}
    candidates = [
        MeasuredCandidate(ModelCandidate(name=name, kind="constant"), cast("Any", None), np.zeros(0), numbers, ahead)
        for name, ahead in (("one", None), ("two", numbers))
    ]
    recipe = TrainingRecipe(matures_after=timedelta(days=1), candidates=tuple(each.candidate for each in candidates))
    choice = CandidateChoice("two", ("two | is <better>",))
    table = candidates_table(FittedCandidates(recipe, candidates, choice, []))

    assert cells_of(table.split("\n\n")[0])[1:] == [
        ["one", "", "", "", "", "0.5000", "0.7000", "0.2000", "0.0200", ""],
        ["two", "0.5000", "0.7000", "0.2000", "0.0200", "0.5000", "0.7000", "0.2000", "0.0200", "yes"],
    ]
    assert table.endswith("chosen on windows ahead of the training rows\n- two \\| is &lt;better&gt;")


def test_placebos_are_a_picture_and_a_table() -> None:
    measure = FamilyMeasure("training", "largest z", np.array([1.0, 2.0, 5.0]), 4.0)
    row = {"batch_date": DROP, "z": 3.0, "family": "training", "column_name": "carrier"}

    picture, caption, table = placebo_table([row], [measure], DROP).split("\n\n")

    assert picture.startswith("![placebo windows")
    assert "placebo windows (dots)" in caption
    assert cells_of(table)[1][:5] == ["training", "largest z", "3.00", "4.00", "3: 2.00, 5.00"]
    assert cells_of(table)[1][5].startswith("1 of 3 (")
