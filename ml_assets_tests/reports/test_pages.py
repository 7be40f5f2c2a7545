"""What holds for every page, whatever the data say."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from functools import cache
from html import unescape
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from ml_assets.pipeline.ingestion.source_facts import SourceFacts
from ml_assets.pipeline.training.ablation import Ablation
from ml_assets.reports.ablation_page import ablation_page
from ml_assets.reports.card import Card, Section
from ml_assets.reports.figure_style import chart_figure, svg_of
from ml_assets.reports.page import render_page
from ml_assets.reports.pictures import slice_losses_png
from ml_assets.reports.replay_page import replay_page
from ml_assets.reports.routes_page import routes_page
from ml_assets.reports.source_page import source_page
from ml_assets.spec.drop import DropKey
from ml_assets.spec.routes import Routes
from ml_assets.stats.binary import LOG_LOSS
from ml_assets.training.ablation import Cost, MeasuredVariant
from ml_assets.training.time_proxy_features import TimeProxy
from ml_assets_tests.rehearsal import flagship
from ml_assets_tests.reports.hostile import ALL_OF_THEM, HOSTILE
from ml_assets_tests.reports.test_replay_page import SUMMARY

DROPS = [date(2013, 1, 1), date(2013, 1, 2)]
TAGS = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "div", "table", "thead", "tbody", "tr", "th",
        "td", "dl", "dt", "dd", "code", "figure", "figcaption", "img", "svg", "g", "path", "text", "defs", "use",
        "clippath", "rect"}  # fmt: skip


def hostile_replay() -> str:
    asked_by = {"trigger": ALL_OF_THEM, "reason": ALL_OF_THEM, "monitor": ALL_OF_THEM, "measurement": 8.0,
                "threshold": 4.0}  # fmt: skip
    retraining = {**SUMMARY["retrainings"][1], "model_version": ALL_OF_THEM, "broken": [ALL_OF_THEM],
                  "verdict": ALL_OF_THEM, "gate": ALL_OF_THEM, "asked_by": asked_by}  # fmt: skip
    incident = {**SUMMARY["incidents"][0],
                **dict.fromkeys(("monitor", "kind", "severity", "message"), ALL_OF_THEM)}  # fmt: skip
    drift = {**SUMMARY["drift"][0], "monitor": ALL_OF_THEM}
    return replay_page(
        {**SUMMARY, "use_case": ALL_OF_THEM, "retrainings": [retraining], "incidents": [incident], "drift": [drift],
         "seconds": {ALL_OF_THEM: 1.0}}
    )  # fmt: skip


def hostile_source() -> str:
    source = flagship().source("weather")
    named = source.model_copy(
        update={"name": ALL_OF_THEM, "description": ALL_OF_THEM, "null_values": (ALL_OF_THEM,)}
    )  # fmt: skip
    ledger: list[dict[str, Any]] = [
        {"batch_date": drop, "state": ALL_OF_THEM, "landed": 9, "validated": 7, "quarantined": 2, "late": 1,
         "reasons": [ALL_OF_THEM], "notes": [ALL_OF_THEM]}
        for drop in DROPS
    ]  # fmt: skip
    result = {"batch_date": DROPS[0], "reason": ALL_OF_THEM, "failed_rows": 2, "observed": ALL_OF_THEM,
              "is_refused": False, "is_judged": True}  # fmt: skip
    example = {"batch_date": DROPS[0], "reasons": [ALL_OF_THEM], "_file": ALL_OF_THEM, "_line": 1, "origin": "EWR",
               "_unreadable": list(HOSTILE)}  # fmt: skip
    reasons: dict[str, dict[DropKey, int]] = {ALL_OF_THEM: {DROPS[0]: 2}, f"missing:{ALL_OF_THEM}": {DROPS[1]: 1}}
    return source_page(flagship(), named, SourceFacts(ledger, reasons, [result], [example]))


def hostile_card() -> str:
    bounds = {"n": 200, "log_loss": 0.5, "loss_lower": 0.4, "loss_upper": 0.6}
    picture = slice_losses_png(LOG_LOSS, [{"column": "origin", "value": value, **bounds} for value in HOSTILE])
    section = Section(ALL_OF_THEM, [ALL_OF_THEM], ["a", ALL_OF_THEM], [[ALL_OF_THEM, "1"]], {ALL_OF_THEM: picture})
    return Card(ALL_OF_THEM, [section]).to_html()


def hostile_ablation() -> str:
    variant = MeasuredVariant(ALL_OF_THEM, 3, 0.5, {"auc": 0.7}, None, Cost(2_000, 1_000, 0.1, 2.0, 0.5))
    rises = {value: np.array([0.1, 0.2]) for value in HOSTILE}
    found = Ablation(
        candidate=ALL_OF_THEM, as_of="2013-02-09", full=variant, seeds=(), by_feature=rises, by_group=rises, shap={},
        agrees=None, stands=None, ablated=(variant,), pruned=(variant,), smaller=(variant,),
        time_proxies=(TimeProxy(ALL_OF_THEM, 0.9, 0.9, 0.9),),
    )  # fmt: skip
    return ablation_page(flagship(), found)


def hostile_routes() -> str:
    """Give the page of routes of a drop whose examples are named by hostile values."""
    rows = [
        {"rank": place, "example_id": each, "score": 0.7, "route": "decided", "reason": f"the model abstains: {each}"}
        for place, each in enumerate(HOSTILE)
    ]
    points = [
        {"confidence": 0.9, "coverage": 0.5, "n": 50, "errors": 1, "risk": 0.02, "upper": 0.08, "is_chosen": True},
        {"confidence": 0.5, "coverage": 1.0, "n": 100, "errors": 20, "risk": 0.2, "upper": 0.26, "is_chosen": False},
    ]
    declared = flagship()
    worklist = declared.worklist.model_copy(update={"routes": Routes(max_risk=0.1)})
    spec = declared.model_copy(update={"worklist": worklist, "name": ALL_OF_THEM})
    return routes_page(spec, date(2013, 4, 1), rows, points)


PAGES: dict[str, Callable[[], str]] = {
    "replay": hostile_replay, "source": hostile_source, "card": hostile_card, "ablation": hostile_ablation,
    "routes": hostile_routes,
}  # fmt: skip


@cache
def page_of(name: str) -> str:
    return PAGES[name]()


class Tags(HTMLParser):
    """Reads which tags a page has, and the addresses that they point to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.handlers: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "action", "srcset"}]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("name", PAGES)
def test_page_has_only_its_own_tags_whatever_the_data_say(name: str) -> None:
    page = page_of(name)
    read = Tags(page)

    assert "<script" not in page
    assert read.names - TAGS == set()
    assert read.handlers == []


@pytest.mark.parametrize("name", PAGES)
def test_page_shows_hostile_values_as_they_are(name: str) -> None:
    text = " ".join(Tags(page_of(name)).text.split())

    shown = [" ".join(value.replace("\x00", "\ufffd").split()) for value in HOSTILE]
    known = text.replace("\x00", "\ufffd")
    assert [value for value in shown if value not in known and unescape(value) not in known] == []


@pytest.mark.parametrize("name", PAGES)
def test_page_fetches_nothing(name: str) -> None:
    page = page_of(name)
    addresses = Tags(page).addresses

    assert [each for each in addresses if not each.startswith(("data:image/png;base64,", "#"))] == []
    assert re.findall(r"url\((?!#)|@import", re.sub(r">[^<]*<", "><", page)) == []
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in page


@pytest.mark.parametrize("name", PAGES)
def test_same_facts_give_the_same_bytes(name: str) -> None:
    slice_losses_png(LOG_LOSS, [])  # empties the picture that is kept

    assert PAGES[name]() == page_of(name)


@pytest.mark.parametrize("name", PAGES)
def test_colours_of_a_page_are_declared_for_light_and_for_dark(name: str) -> None:
    page = page_of(name)
    light, dark = re.findall(r":root \{([^}]*)\}", page)

    used = set(re.findall(r"var\((--\w+)\)", page))
    assert used - set(re.findall(r"(--\w+):", light)) == set()
    assert used - set(re.findall(r"(--\w+):", dark)) == set()
    assert "@media (prefers-color-scheme: dark)" in page


def test_charts_of_a_page_share_no_id_and_have_no_colour_of_their_own() -> None:
    charts = re.findall(r"<svg .*?</svg>", page_of("source"), re.DOTALL)

    first, second = (set(re.findall(r' id="([^"]*)"', chart)) for chart in charts)
    assert first & second == set()
    drawn = [style for chart in charts for style in re.findall(r' style="([^"]*)"', chart)]
    assert [style for style in drawn if "#" in style.replace("url(#", "")] == []


def test_placeholder_of_a_colour_in_a_text_stays_as_it_is() -> None:
    with chart_figure(100) as (figure, axes):
        axes.text(0.5, 0.5, "#010001 $x$")
        chart = svg_of(figure, "a <chart>")

    assert ">#010001 $x$</text>" in chart.svg
    assert 'aria-label="a &lt;chart&gt;"' in chart.svg


def test_name_that_a_template_lacks_is_an_error() -> None:
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError, match="sections"):
        render_page("card.html.j2", title="no sections")
