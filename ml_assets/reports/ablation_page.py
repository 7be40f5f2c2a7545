"""The page of an ablation: importance, features kept, smaller models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from ml_assets.pipeline.training.ablation import TOP, Ablation
from ml_assets.reports.ablation_pictures import gains_png, importance_png, size_and_loss_png
from ml_assets.reports.card import Card, Section
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.training.ablation import MeasuredVariant
from ml_assets.training.importance import ranked
from ml_assets.training.time_proxy_features import TimeProxy

_SHOWN = 20


def ablation_page(spec: UseCaseSpec, found: Ablation) -> str:
    """Lay it out as a page that is one file."""
    return Card(f"{spec.name}: ablation of {found.candidate}, as of {found.as_of}", list(_sections(found))).to_html()


def cost_rows(found: Sequence[MeasuredVariant]) -> list[list[str]]:
    """Give a row of text a variant that was fitted, in the columns of `COST_HEADS`."""
    rows: list[list[str]] = []
    for each in found:
        cost = each.cost
        spent = ["", "", "", "", ""] if cost is None else [
            f"{cost.holdout_log_loss:.4f}", f"{cost.fit_s:.1f}", f"{cost.us_per_row:.1f}", f"{cost.n_bytes:,}",
            f"{cost.tree_bytes:,}"]  # fmt: skip
        rows.append(
            [each.name, str(each.n_features), f"{each.log_loss:.4f}", f"{each.auc:.4f}", said_gain(each), *spent]
        )
    return rows


COST_HEADS = ("variant", "features", "log loss ahead", "AUC ahead", "log loss saved", "log loss, holdout", "fit, s",
              "scoring, us a row", "bytes", "of them trees")  # fmt: skip


def said_gain(each: MeasuredVariant) -> str:
    """Say the gain with its interval."""
    gain = each.gain
    return "" if gain is None else f"{gain.estimate:+.2%} ({gain.lower:+.2%} to {gain.upper:+.2%})"


def _sections(found: Ablation) -> Iterator[Section]:
    yield Section(
        "In short",
        [
            f"{found.candidate} with {found.full.n_features} features: log loss {found.full.log_loss:.4f}, AUC "
            f"{found.full.auc:.4f} on windows ahead inside the training rows.",
            "Every variant is scored on the same rows. 'Saved' is its share of the full model's log loss that it "
            "saves; below zero it loses. Brackets: 90 % of resampled days.",
            _noise(found.seeds),
        ],
    )
    yield _importance(found)
    yield _spared(found)
    sentence = "Before each window the features are ranked on what had matured by then, so nothing looked ahead."
    yield Section("Features kept", [sentence], COST_HEADS, cost_rows([found.full, *found.pruned]))
    points = [(m.name, float(m.cost.n_bytes), m.log_loss)
              for m in (found.full, *found.smaller) if m.cost is not None]  # fmt: skip
    sentence = "Fewer and shallower trees learn faster, or a member stands alone."
    pictures = {"size and log loss, in the order of the table from 0": size_and_loss_png(points)}
    yield Section("Smaller models", [sentence], COST_HEADS, cost_rows([found.full, *found.smaller]), pictures)
    yield _dates(found.time_proxies)


def _importance(found: Ablation) -> Section:
    sentences = [
        "Permutation: by how much the log loss of held-out rows rises when a column is shuffled among them. SHAP: the "
        "mean absolute part of a feature in the log odds."
    ]
    if found.agrees is not None:
        sentences.append(
            f"The two agree by a rank correlation of {found.agrees.spearman:.2f}; of the first {TOP} they share "
            f"{found.agrees.top:.0%}."
        )
    if found.stands is not None:
        sentences.append(
            f"Over {found.stands.n_fits} fits with other seeds SHAP ranks alike by {found.stands.mean_spearman:.2f} "
            f"(least {found.stands.least_spearman:.2f}); of the first {TOP} two fits share {found.stands.mean_top:.0%}."
        )
    means = {name: float(rises.mean()) for name, rises in found.by_feature.items()}
    in_turn = zip_longest(ranked(means), ranked(found.shap))
    first = list(dict.fromkeys(name for both in in_turn for name in both if name is not None))[:_SHOWN]
    rows = [[name, f"{means[name]:+.5f}", f"{found.by_feature[name].std():.5f}",
             f"{found.shap[name]:.4f}" if found.shap else ""] for name in first]  # fmt: skip
    pictures = {
        "shuffled alone, a dot a repeat": importance_png(found.by_feature, "log loss rises by, nats"),
        "whole views shuffled": importance_png(found.by_group, "log loss rises by, nats"),
    }
    return Section(
        "What it leans on", sentences, ["feature", "permutation, nats", "spread", "SHAP, log odds"], rows, pictures
    )


def _dates(found: Sequence[TimeProxy]) -> Section:
    sentence = (
        "They are the same for all examples of a drop and change with time, so what a model learns from their values "
        "does not come again. Look at what it costs to leave them out."
    )
    if not found:
        return Section("Features that act as a date", ["None was found."])
    rows = [[each.name, each.reason] for each in found]
    return Section("Features that act as a date", [sentence], ["feature", "why"], rows)


def _noise(seeds: Sequence[MeasuredVariant]) -> str:
    if not seeds:
        return "How much another seed alone would change was not measured: ask for it by --seeds."
    furthest = max(abs(each.gain.estimate) for each in seeds if each.gain is not None)
    return f"Another seed alone changes the log loss by up to {furthest:.2%}: what differs by less says nothing."


def _spared(found: Ablation) -> Section:
    surely = [each.name for each in found.ablated if each.gain is not None and each.gain.upper < 0]
    sentences = [
        "Refitted without the features of each view, or without what is computed of the example's own row (=).",
        f"Surely worse without: {', '.join(surely)}."
        if surely
        else "No view makes it surely worse when it is left out.",
    ]
    rows = [[each.name, str(each.n_features), said_gain(each)] for each in _worst_first(found.ablated)]
    gains = _gains(found.ablated)
    pictures = {"log loss saved by leaving it out": gains_png(gains)} if gains else {}
    return Section(
        "Views that could be spared", sentences, ["without", "features left", "log loss saved"], rows, pictures
    )


def _worst_first(found: Sequence[MeasuredVariant]) -> list[MeasuredVariant]:
    return sorted(found, key=lambda each: each.gain.estimate if each.gain is not None else 0.0)


def _gains(found: Sequence[MeasuredVariant]) -> list[tuple[str, float, float, float]]:
    return [
        (each.name, each.gain.estimate, each.gain.lower, each.gain.upper) for each in found if each.gain is not None
    ]
