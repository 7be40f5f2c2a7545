"""The labels of a use case: which are used and why, what each function does, and what they are worth."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ml_assets.cli.console import next_steps, print_json, say
from ml_assets.cli.tables import TableColumn, print_table
from ml_assets.pipeline.labeling.gold_worth import measure_gold_worth
from ml_assets.pipeline.labeling.label_model import store_label_model
from ml_assets.pipeline.labeling.label_report import LabelReport, read_label_report
from ml_assets.pipeline.labeling.training_labels import store_training_labels
from ml_assets.pipeline.labeling.weak_labels import backfill_weak_labels
from ml_assets.reports.label_page import worth_in_words, write_label_page
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.processes import this_process
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    from ml_assets.labeling.gold_worth import GoldWorth

_FUNCTIONS = [
    TableColumn("function"), TableColumn("votes for"), TableColumn("coverage"), TableColumn("conflict", 1),
    TableColumn("gold", 2), TableColumn("accuracy"), TableColumn("low", 3), TableColumn("high", 3),
    TableColumn("overlap", 4), TableColumn("version", 5),
]  # fmt: skip


@dataclass(frozen=True)
class LabelOptions:
    """What the command was asked for."""

    is_fit: bool
    as_of: str
    is_backfill: bool
    is_worth: bool
    as_json: bool


def run_labels(spec: UseCaseSpec, state: UseCaseState, asked: LabelOptions) -> None:
    """Renew votes, fit the label model, or neither; then print what is stored and write its page."""
    if asked.is_backfill or asked.is_fit:
        with state.writing(f"labels of process {this_process()}"):
            renewed = backfill_weak_labels(spec, state) if asked.is_backfill else []
            if asked.is_fit:
                store_label_model(spec, state, asked.as_of)
                store_training_labels(spec, state)
        if asked.is_backfill and not asked.as_json:
            say(f"votes of {len(renewed)} drops renewed" if renewed else "every drop holds votes as declared now")
            if not asked.is_fit:
                next_steps({f"ml-assets labels {spec.name} --fit": "a label model on the votes as they are now"})
                return
    report = read_label_report(spec, state.pinned())
    worth = measure_gold_worth(spec, state.pinned()) if asked.is_worth else None
    page = write_label_page(spec, state, report, worth)
    if asked.as_json:
        print_json(_plain(report, worth))
        return
    _show(report, worth)
    say(f"page {page}")
    next_steps({
        f"ml-assets labels {spec.name} --worth": "how many gold labels the weak ones are worth",
        f'ml-assets sql "SELECT * FROM {spec.name}.training_labels"': "each label with its weight and reason",
        f"ml-assets retrain {spec.name}": "a candidate on the labels",
    })  # fmt: skip


def _plain(report: LabelReport, worth: GoldWorth | None) -> dict[str, Any]:
    """Give all of it as plain values; more gold labels than were tried are null."""
    found = None if worth is None else {
        name: None if isinstance(value, float) and math.isinf(value) else value for name, value in asdict(worth).items()
    }  # fmt: skip
    return {**asdict(report), "worth": found}


def _show(report: LabelReport, worth: GoldWorth | None) -> None:
    say(f"as of {report.as_of}: {report.counts_in_words}")
    say(f"used: {report.chosen}; {report.reason}")
    models = [[row["model"], row["accuracy"], row["low"], row["high"]] for row in report.models]
    print_table("label models on held-out gold labels", ["model", "accuracy", "low", "high"], models)
    rows = [
        [row["function"], ", ".join(row["classes"]), row["coverage"], row["conflict"], row["gold"], row["accuracy"],
         row["low"], row["high"], row["overlap"], row["version"]]
        for row in report.functions
    ]  # fmt: skip
    print_table("functions", _FUNCTIONS, rows, see="--json")
    pairs = [[row["first"], row["second"], row["correlation"], row["common"]] for row in report.correlated]
    if pairs:
        print_table("functions that repeat each other", ["function", "and", "correlation", "common"], pairs)
    if worth is not None:
        curve = [[point.gold, point.quality, point.low, point.high] for point in worth.curve]
        print_table("AUC by number of gold labels", ["gold", "AUC", "low", "high"], curve)
        say(f"the weak labels are {worth_in_words(worth)}")
