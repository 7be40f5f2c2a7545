from __future__ import annotations

import copy
import re
from datetime import date
from typing import Any
from xml.etree import ElementTree as ET

from ml_assets.reports.line_chart import Threshold, line_chart
from ml_assets.reports.replay_page import month_cells, outcome, replay_page

MEASURES = {"log_loss": 0.5, "auc": 0.7, "ece": 0.02, "precision_at_capacity": 0.6}
ASKED_BY = {"trigger": "drift", "reason": "9 features <moved> & more", "monitor": "before/carrier", "measurement": 8.0,
            "threshold": 4.0}  # fmt: skip
SUMMARY: dict[str, Any] = {
    "use_case": "flight_delays", "first": "2013-01-01", "last": "2013-03-31", "steps": 13, "capacity": 50,
    "weeks": [
        {"week": day, "n": 10, "champion": MEASURES, "first_champion": {**MEASURES, "log_loss": None},
         "baseline": MEASURES}
        for day in ("2013-02-05", "2013-02-12")
    ],
    "worse_weeks": [{"week": "2013-02-12", "n": 10, "than": "baseline", "log_loss": 0.5, "other_log_loss": 0.48,
                     "excess": 0.0417}],
    "compared_weeks": 2,
    "months": [{"month": "2013-02", "n": 1200, "label_share": 0.25, "champion": MEASURES, "baseline": MEASURES,
                "first_champion": {**MEASURES, "auc": None}}],
    "mean": {"n_months": 2, "auc_above_first_champion": 0.01, "champion": {"log_loss": 0.5, "auc": 0.7},
             "first_champion": {"log_loss": 0.52, "auc": 0.69}, "baseline": {"log_loss": 0.6, "auc": 0.65}},
    "drift": [{"week": "2013-02-05", "family": "feed", "ratio": 40.0, "monitor": "feed/weather rows",
               "batch_date": "2013-02-06", "value": 3.0, "z": 160.0, "threshold": 4.0, "alarms": 2}],
    "retrainings": [
        {"drop": "2013-02-01", "decided_by": "gate", "serves": "model", "as_of": "2013-02-01",
         "candidate": "xgboost", "model_version": "m1", "verdict": "promoted", "gate": "disabled",
         "gain": None, "gain_lower": None, "gain_upper": None, "broken": [],
         "asked_by": {**dict.fromkeys(ASKED_BY), "trigger": "by hand"}},
        {"drop": "2013-03-01", "decided_by": "gate", "serves": "model", "as_of": "2013-03-01",
         "candidate": "xgboost", "model_version": "m2", "verdict": "refused", "gate": "enabled",
         "gain": -0.01, "gain_lower": -0.03, "gain_upper": 0.01, "broken": ["gain: too little"], "asked_by": ASKED_BY},
    ],
    "decisions": {"nothing": 89, "retrain": 1},
    "incidents": [{"monitor": "feed/weather rows", "kind": "broken_feed", "severity": "error",
                   "message": "<script src='x'>alert(1)</script>", "opened_at": "2013-02-06", "closed_at": None}],
    "seconds": {"batch": 12.0, "total": 12.0},
}  # fmt: skip


def test_page_names_why_a_model_was_retrained_and_what_came_of_it() -> None:
    page = replay_page(SUMMARY)

    assert "9 features &lt;moved&gt; &amp; more" in page
    assert '<td class="bad">refused</td><td>-1.0% (-3.0% to +1.0%)</td><td class="sentence">gain: too little' in page
    assert '<td class="good">promoted (gate disabled)</td><td></td>' in page
    assert "before/carrier: 8, threshold 4" in page


def test_promoted_retraining_is_a_solid_line_and_a_refused_one_is_dashed() -> None:
    losses, _ = charts_of(replay_page(SUMMARY))

    assert ["stroke-dasharray" in path_of(mark)["style"] for mark in losses.iter("g") if is_mark(mark)] == [False, True]
    assert {"retrained and promoted", "retrained and not promoted"} <= set(texts_of(losses))


def test_outcome_says_the_retrainings_and_what_they_were_worth() -> None:
    said = outcome(SUMMARY)

    assert said.startswith(
        "90 drops in 13 steps: 2 retrainings, 1 promoted and 1 refused; 1 incident opened, 0 of them"
    )
    assert said.endswith(
        "Mean AUC over 2 months: 0.7000, +0.0100 compared with the first champion and +0.0500 compared with the "
        "baseline. Mean log loss: 0.5000, first champion 0.5200, baseline 0.6000. Serving was more than 1 % worse than "
        "the baseline in 1 of 2 weeks (by log loss; week of 2013-02-12: 4.2%), and than the first champion in none."
    )


def test_outcome_says_that_no_week_was_worse() -> None:
    assert outcome(SUMMARY | {"worse_weeks": []}).endswith(
        "In none of 2 weeks was serving more than 1 % worse, by log loss, than the baseline or the first champion."
    )


def test_fallback_is_no_retraining_and_a_dotted_line_that_says_what_serves() -> None:
    fallback = SUMMARY["retrainings"][0] | {
        "drop": "2013-03-10", "decided_by": "fallback", "serves": "baseline", "gain": 0.5,
        "asked_by": {**dict.fromkeys(ASKED_BY), "trigger": "fallback", "reason": "m1 has failed"},
    }  # fmt: skip
    summary = SUMMARY | {"retrainings": [*SUMMARY["retrainings"], fallback]}

    page = replay_page(summary)

    assert ": 2 retrainings, 1 promoted and 1 refused;" in outcome(summary)
    assert "the fallback serves" in texts_of(charts_of(page)[0])
    assert "<td>2013-03-10</td><td>m1</td><td>fallback</td>" in page.replace(' class="day"', "")
    assert "its baseline serves</td><td></td>" in page


def test_champion_from_before_is_no_retraining_of_the_replay() -> None:
    later = SUMMARY | {"first": "2013-02-15"}

    assert ": 1 retraining, 0 promoted and 1 refused;" in outcome(later)


def test_page_of_nothing_says_so() -> None:
    empty = copy.deepcopy(SUMMARY)
    empty |= {"compared_weeks": 0}
    empty |= {name: [] for name in ("weeks", "worse_weeks", "months", "drift", "retrainings", "incidents")}
    empty |= {"decisions": {}, "seconds": {}}
    empty["mean"]["n_months"] = 0

    page = replay_page(empty)

    assert page.count("nothing measured yet") == 2
    assert "No month has matured predictions of a champion yet" in page
    assert "no step was run: every step was already done" in page


def test_undefined_measure_is_an_empty_cell() -> None:
    heads, (row, mean) = month_cells(SUMMARY)

    assert row[heads.index("AUC first champion")] is None
    assert mean[0] == "mean"
    assert mean[heads.index("AUC champion")] == 0.7


def test_value_beyond_the_cap_stands_at_the_edge_with_its_number() -> None:
    days = (date(2013, 1, 1), date(2013, 1, 29))
    line = [(date(2013, 1, 8), 0.5), (date(2013, 1, 15), 40.0), (date(2013, 1, 22), None), (date(2013, 1, 29), 1.5)]

    chart = line_chart("Drift", {"feeds": line}, days, threshold=Threshold(1.0, cap=4.0))

    assert chart is not None
    (root,) = charts_of(chart.svg)
    (drawn,) = [group for group in root.iter("g") if group.get("class") == "line-0"]
    low, high, last = [float(dot.attrib["y"]) for dot in drawn.iter("use")]
    assert high < last < low  # SVG counts from the top
    assert "40" in texts_of(root)
    assert path_of(drawn)["d"].count("M") == 2  # the last point stands alone after the gap
    grid = [float(line.attrib["y"]) for line in root.iter("use") if "stroke: var(--grid)" in line.get("style", "")]
    assert high < min(grid)  # above the line of 4


def test_chart_of_one_day_is_drawn() -> None:
    day = date(2013, 1, 1)

    assert line_chart("Loss", {"champion": [(day, 0.5)]}, (day, day)) is not None


def charts_of(page: str) -> list[ET.Element]:
    """Give the charts of a page as XML."""
    return [ET.fromstring(svg) for svg in re.findall(r"<svg .*?</svg>", page, re.DOTALL)]  # noqa: S314 (our own)


def is_mark(group: ET.Element) -> bool:
    return group.get("class", "").startswith("mark")


def path_of(group: ET.Element) -> dict[str, str]:
    """Give the attributes of the first path of a group that is drawn, not one that is declared for later use."""
    return next(path for path in group.findall("path")).attrib


def texts_of(root: ET.Element) -> list[str]:
    return [text.text or "" for text in root.iter("text")]
