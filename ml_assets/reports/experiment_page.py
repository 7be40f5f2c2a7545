"""The page of an experiment: the verdict, each measure with its interval, who was in which arm, and every event."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_assets.pipeline.experiments.status import ExperimentStatus, experiment_statuses
from ml_assets.reports.card import Card, Section
from ml_assets.reports.experiment_pictures import disagreement_png, sequence_png
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.use_case_state import UseCaseState

_SHOWN = 20


def write_experiment_pages(
    spec: UseCaseSpec, state: UseCaseState, drops: Collection[DropKey] | None = None
) -> dict[str, str]:
    """Write the page of each experiment whose newest drop is among `drops`, by default of all; give their paths."""
    return {f"page of {each.name}": str(write_experiment_page(spec, state, each))
            for each in experiment_statuses(spec, state) if drops is None or each.last in drops}  # fmt: skip


def write_experiment_page(spec: UseCaseSpec, state: UseCaseState, found: ExperimentStatus) -> Path:
    """Write the page of one experiment and give its path."""
    path = state.paths.experiment_page(spec.name, found.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(experiment_card(spec, found).to_html(), encoding="utf-8")
    return path


def experiment_card(spec: UseCaseSpec, found: ExperimentStatus) -> Card:
    """Lay out an experiment."""
    kind = {"canary": "a canary", "ab": "an A/B test"}[found.design["kind"]]
    return Card(f"{spec.name}: experiment {found.name}, {kind}, {found.state}", [
        Section("In short", _in_short(found)),
        _measures(found),
        _arms(found),
        _disagreement(found),
        Section("Events", [], ["after drop", "what", "by", "why"],
                [[str(row["after"]), row["event"], row["decided_by"], row["note"] or ""] for row in found.events]),
    ])  # fmt: skip


def _in_short(found: ExperimentStatus) -> list[str]:
    design = found.design
    drops = f"{found.first} to {found.last}" if found.last else f"from {found.first} on; none was run yet"
    evidence = "the drop" if design["evidence"] == "drop" else "the unit"
    compared = (
        "both models' losses on the same examples, which is right where outcomes do not depend on the score"
        if design["compare"] == "paired"
        else "each arm's own examples, less what the champion's score explains of their loss"
    )
    verb = "serves" if found.state in ("running", "passed") else "served"
    said = [
        f"{found.challenger} {verb} {design['share']:.0%} of units ({design['unit']}), {found.champion} the rest; "
        f"drops {drops}.",
        f"Compared: {compared}. One piece of evidence is {evidence}.",
        f"It may be looked at after every drop: with probability {design['level']:.0%} no interval of a measure misses "
        "the truth, over all looks together.",
        f"Verdict: {found.verdict}. {found.reason}.",
    ]
    effect = found.rows[-1].get("design_effect") if found.rows else None
    if effect is not None and effect > 1:
        said.append(
            f"Examples of a drop are alike: between arms it takes {effect:.1f} times more rows than independent ones."
        )
    return said


def _measures(found: ExperimentStatus) -> Section:
    newest = [row for row in found.rows if row["batch_date"] == found.last]
    rows = [
        [row["measure"], _number(row["challenger"]), _number(row["champion"]), _number(row["worse_by"]),
         _interval(row), _number(row["p_value"]), f"{row['n']:,}", str(row["n_units"])]
        for row in newest
    ]  # fmt: skip
    sentences = [
        "'Worse by' is the challenger's mean loss less what it may be; below zero it keeps its bound. The interval is "
        "of this measure alone. P-values are one-sided and corrected for the number of measures: one at most "
        f"{1 - found.design['level']:.2g} aborts the experiment."
    ]
    lines = [(row["batch_date"], row["worse_by"], row["lower"], row["upper"])
             for row in found.rows if row["measure"] == "log_loss"]  # fmt: skip
    picture = sequence_png(lines)
    heads = ["measure", "challenger", "champion", "worse by", "interval", "p", "examples", "pieces of evidence"]
    pictures = {"log loss beyond what is allowed, after each drop, with its sequence": picture} if picture else {}
    return Section("Measures", sentences, heads, rows, pictures)


def _arms(found: ExperimentStatus) -> Section:
    ratio = found.sample_ratio
    rows = [[arm, f"{n:,}", f"{ratio.expected[arm]:,.0f}"] for arm, n in ratio.counts.items()] if ratio else []
    said = "Units that were seen, and what the declared shares expect."
    if ratio:
        said += f" p = {ratio.p_value:.3g}: " + (
            "they are NOT shared out as declared." if ratio.is_mismatch else "as declared."
        )
    return Section("Arms", [said], ["arm", "units", "expected"], rows)


def _disagreement(found: ExperimentStatus) -> Section:
    rows = [[row["example_id"], str(row["batch_date"]), f"{row['champion']:.3f}", f"{row['challenger']:.3f}",
             row["arm"]] for row in found.disagreements[:_SHOWN]]  # fmt: skip
    slices = disagreement_png(found.disagreement_by_slice)
    pictures = {"mean absolute difference of the scores, by slice": slices} if slices else {}
    said = [
        f"Both models scored {found.n_scored:,} examples; scores differ by {found.mean_disagreement:.3f} on average."
        if found.n_scored
        else "No example was scored by both models yet.",
        "The examples that they disagree on most:" if rows else "",
    ]
    heads = ["example", "drop", "champion", "challenger", "arm"]
    return Section("Where the models disagree", [each for each in said if each], heads, rows, pictures)


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.4f}"


def _interval(row: Mapping[str, Any]) -> str:
    if row["lower"] is None or row["upper"] is None:
        return "not bounded yet"
    return f"{row['lower']:+.4f} to {row['upper']:+.4f}"


def status_rows(found: Sequence[ExperimentStatus]) -> list[list[str]]:
    """Give a row of text an experiment, for a terminal."""
    return [[each.name, each.design["kind"], each.state, f"{each.design['share']:.0%}", str(each.n_drops),
             each.verdict] for each in found]  # fmt: skip
