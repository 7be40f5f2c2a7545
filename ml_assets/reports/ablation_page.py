"""The page of an ablation: importance, features kept, smaller models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from ml_assets.pipeline.training.ablation import TOP, Ablation
from ml_assets.reports.ablation_pictures import gains_png, importance_png, size_and_loss_png
from ml_assets.reports.card import Card, Section
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.task import Task
from ml_assets.stats.tasks import task_of
from ml_assets.training.ablation import MeasuredVariant
from ml_assets.training.importance import ranked
from ml_assets.training.time_proxy_features import TimeProxy

_SHOWN = 20


def ablation_page(spec: UseCaseSpec, found: Ablation) -> str:
    """Lay it out as a page that is one file."""
    return Card(
        f"{spec.name}: ablation of {found.candidate}, as of {found.as_of}", list(_sections(task_of(spec.task), found))
    ).to_html()


def cost_rows(task: Task, found: Sequence[MeasuredVariant]) -> list[list[str]]:
    """Give a row of text a variant that was fitted, in the columns of `cost_heads`."""
    rows: list[list[str]] = []
    for each in found:
        cost = each.cost
        spent = ["", "", "", "", ""] if cost is None else [
            f"{cost.holdout_loss:.4f}", f"{cost.fit_s:.1f}", f"{cost.us_per_row:.1f}", f"{cost.n_bytes:,}",
            f"{cost.tree_bytes:,}"]  # fmt: skip
        rows.append(
            [
                each.name,
                str(each.n_features),
                f"{each.loss:.4f}",
                f"{each.measured[task.headline.name]:.4f}",
                said_gain(each),
                *spent,
            ]
        )
    return rows


def cost_heads(task: Task) -> tuple[str, ...]:
    """Name the columns of `cost_rows`."""
    loss = task.loss_metric
    return ("variant", "features", f"{loss} ahead", f"{task.headline} ahead", f"{loss} saved", f"{loss}, holdout",
            "fit, s", "scoring, us a row", "bytes", "of them trees")  # fmt: skip


def said_gain(each: MeasuredVariant) -> str:
    """Say the gain with its interval."""
    gain = each.gain
    return "" if gain is None else f"{gain.estimate:+.2%} ({gain.lower:+.2%} to {gain.upper:+.2%})"


def _sections(task: Task, found: Ablation) -> Iterator[Section]:
    yield Section(
        "In short",
        [
            f"{found.candidate} with {found.full.n_features} features: {task.loss_metric} {found.full.loss:.4f}, "
            f"{task.headline} {found.full.measured[task.headline.name]:.4f} on windows ahead inside the training rows.",
            "Every variant is scored on the same rows. 'Saved' is its share of the full model's loss that it "
            "saves; below zero it loses. Brackets: 90 % of resampled days.",
            _noise(found.seeds),
        ],
    )
    yield _importance(task, found)
    yield _spared(task, found)
    sentence = "Before each window the features are ranked on what had matured by then, so nothing looked ahead."
    yield Section("Features kept", [sentence], cost_heads(task), cost_rows(task, [found.full, *found.pruned]))
    points = [(m.name, float(m.cost.n_bytes), m.loss)
              for m in (found.full, *found.smaller) if m.cost is not None]  # fmt: skip
    sentence = "Fewer and shallower trees learn faster, or a member stands alone."
    pictures = {"size and loss, in the order of the table from 0": size_and_loss_png(task.loss_metric, points)}
    yield Section(
        "Smaller models", [sentence], cost_heads(task), cost_rows(task, [found.full, *found.smaller]), pictures
    )
    yield _dates(found.time_proxies)


def leaning_heads(task: Task) -> tuple[str, str]:
    """Name what importance is measured in: of permutation the loss, of SHAP the scale on which scores add up.

    >>> from ml_assets.stats.binary import BINARY
    >>> leaning_heads(BINARY)
    ('permutation, nats', 'SHAP, log odds')
    """
    return f"permutation, {task.loss_metric.unit or task.loss_metric}", f"SHAP, {task.scale.unit or 'score'}"


def _importance(task: Task, found: Ablation) -> Section:
    sentences = [
        f"Permutation: by how much the {task.loss_metric} of held-out rows rises when a column is shuffled among them. "
        f"SHAP: the mean absolute part of a feature in the {task.scale.unit or 'score'}."
    ]
    permuted, shap = leaning_heads(task)
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
        "shuffled alone, a dot a repeat": importance_png(found.by_feature, f"rises by, {task.loss_metric}"),
        "whole views shuffled": importance_png(found.by_group, f"rises by, {task.loss_metric}"),
    }
    return Section("What it leans on", sentences, ["feature", permuted, "spread", shap], rows, pictures)


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
    return f"Another seed alone changes the loss by up to {furthest:.2%}: what differs by less says nothing."


def _spared(task: Task, found: Ablation) -> Section:
    surely = [each.name for each in found.ablated if each.gain is not None and each.gain.upper < 0]
    sentences = [
        "Refitted without the features of each view, or without what is computed of the example's own row (=).",
        f"Surely worse without: {', '.join(surely)}."
        if surely
        else "No view makes it surely worse when it is left out.",
    ]
    rows = [[each.name, str(each.n_features), said_gain(each)] for each in _worst_first(found.ablated)]
    gains = _gains(found.ablated)
    pictures = {f"{task.loss_metric} saved by leaving it out": gains_png(task.loss_metric, gains)} if gains else {}
    return Section(
        "Views that could be spared",
        sentences,
        ["without", "features left", f"{task.loss_metric} saved"],
        rows,
        pictures,
    )


def _worst_first(found: Sequence[MeasuredVariant]) -> list[MeasuredVariant]:
    return sorted(found, key=lambda each: each.gain.estimate if each.gain is not None else 0.0)


def _gains(found: Sequence[MeasuredVariant]) -> list[tuple[str, float, float, float]]:
    return [
        (each.name, each.gain.estimate, each.gain.lower, each.gain.upper) for each in found if each.gain is not None
    ]
