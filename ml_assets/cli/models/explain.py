"""How a score came about, what a model is, and why a retraining ended as it did."""

from __future__ import annotations

from typing import Any

from rich.markup import escape
from rich.text import Text

from ml_assets.cli.console import console, fail, next_steps, print_json, say
from ml_assets.decisions.reasons import spell_reason
from ml_assets.pipeline.champion.decisions import record_of
from ml_assets.pipeline.champion.record import FALLBACK, GATE, compared_with, spell_decision
from ml_assets.pipeline.scoring.explain import explain_prediction, plain_value
from ml_assets.serving.scoring import no_score
from ml_assets.spec.drop import DropKey, nearest_key
from ml_assets.spec.names import did_you_mean
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.tasks import task_of
from ml_assets.stores.use_case_state import UseCaseState

_SHOWN = 15


def run_explain_prediction(
    spec: UseCaseSpec, state: UseCaseState, example_id: str, drop: DropKey | None, *, as_json: bool
) -> None:
    """Print a score, what each feature added to it, where its values came from, and why its model served."""
    found = explain_prediction(spec, state, example_id, drop)
    if as_json:
        print_json(found)
        return
    said, unit = found["prediction"], task_of(spec.task).scale.unit
    of = f" {unit}" if unit else ""
    shift = f", prior shift {said['prior_shift']:+.3f}{of}" if said["prior_shift"] or spec.task == "binary" else ""
    console.print(f"[bold]{escape(example_id)}[/] in drop {said['batch_date']}", highlight=False)
    say(
        f"score {said['score']:.4f}; the model's own {said['model_score']:.4f}{shift}; baseline "
        f"{said['baseline_score']:.4f}; {_rank_in_words(found)}",
        indent=2,
    )
    if said["abstained"]:
        none = no_score(spec.task)
        is_outside = said["abstained"] != none
        why = f"{said['abstained']} lies too far from its training rows" if is_outside else f"its score is {none}"
        say(f"the model abstained: {why}", indent=2)
    elif said.get("served_by") == "baseline":
        say("the baseline's score serves: the champion has failed", indent=2)
    if found["label"] is not None:
        console.print(f"  outcome known by now: {found['label']}")
    say(f"model {said['model_version']}: {found['why']}", indent=2)
    base = f"from a base of {found['base']:+.3f}{of}" if found["base"] is not None else "it has no such parts"
    say(f"what moved the model most, of {len(found['features'])} features, {base}:")
    for row in found["features"][:_SHOWN]:
        adds = f"{row['log_odds']:+.3f}" if row["log_odds"] is not None else ""
        value = "null" if row["value"] is None else row["value"]
        shown = f"{value:.4g}" if isinstance(value, float) else str(value)
        null = f"; null: {row['null_means']}" if row["null_means"] else ""
        over = f", {row['window']}" if row["window"] else ""
        say(f"{adds:>7}  {row['feature']} = {shown}  ({row['source']}{over}{null})", indent=2, hanging=11)
    if found["features"]:
        one = found["features"][0]["feature"]
        next_steps({f"ml-assets features {spec.name} {one}": "all of one feature, to raw"})


def _rank_in_words(found: dict[str, Any]) -> str:
    """Say the place on the list as it was drawn, or the one by the ranking that is declared now."""
    if found["rank_on_list"] is not None:
        return f"rank {found['rank_on_list']} on the list of {found['of']} that day"
    return f"not on the list of that day; rank {found['rank']} of {found['of']} as declared now"


def run_explain_model(spec: UseCaseSpec, state: UseCaseState, model_version: str) -> None:
    """Print the model card."""
    from rich.markdown import Markdown

    path = state.paths.model_cards(spec.name) / f"{model_version}.md"
    if not path.exists():
        names = sorted(each.stem for each in state.paths.model_cards(spec.name).glob("*.md"))
        hint = did_you_mean(model_version, names)
        raise fail(f"found {model_version!r}; allowed: a model with a card: {', '.join(names) or 'none'}{hint}")
    text = path.read_text()
    console.print(Markdown("\n".join(line for line in text.splitlines() if "data:image" not in line)))
    for row in record_of(state):  # the card is of its retraining, and people decide later
        if row["model_version"] == model_version and row["decided_by"] != GATE:
            say(f"since then {spell_decision(row)}" + (f": {row['note']}" if row["note"] else ""))
    next_steps({str(path.with_suffix(".html")): "the same as a page, with pictures"})


def run_explain_retrain(state: UseCaseState, as_of: DropKey, *, as_json: bool) -> None:
    """Print every verdict and decision as of a drop, with its reasons."""
    record = record_of(state)
    rows = [row for row in record if row["as_of"] == as_of and row["decided_by"] != FALLBACK]
    if not rows:
        given = sorted({row["as_of"] for row in record if row["decided_by"] != FALLBACK})
        near = f"; nearest: {nearest_key(given, as_of)}" if given else ""
        allowed = f"{', '.join(map(str, given)) or 'none, since no verdict was given yet'}{near}"
        raise fail(f"no verdict was given as of {as_of}; allowed: {allowed}")
    if as_json:
        print_json([{name: plain_value(value) for name, value in row.items()} for row in rows])
        return
    for row in rows:
        say(Text.assemble((row["verdict"], "bold"), f" {row['model_version']} by {row['decided_by']}"))
        say(f"against {compared_with(record, row)}; window {row['window_from']} to "
            f"{row['window_until']}, {row['n']} examples", indent=2)  # fmt: skip
        for reason in row["reasons"]:
            say(spell_reason(reason), indent=2, style="dim" if reason["passed"] else "red")
