"""All that is measured of a rung's economy on the newest training set, and the page that shows it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.graph.economy_pictures import gains_png, importance_png, size_and_loss_png
from ml_assets.graph.model_card import Card, Section
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.training.date_like import DateLike, date_like_features
from ml_assets.training.economy import Full, Ground, Measured, ablate, compress, measure_full, prune, reseed
from ml_assets.training.estimators import FittedModel
from ml_assets.training.importance import (
    Agreement,
    Stability,
    agreement,
    permutation_importance,
    ranked,
    shap_importance,
    stability,
    views_of,
)

if TYPE_CHECKING:
    import pandas as pd

TOP = 10  # features of which two rankings are compared
REPEATS = 3
SHUFFLED = 4000  # held-out rows that are shuffled: their loss moves by the same rows, so the difference is steady
SIZES = (50, 30, 20, 10, 5)
_SHOWN = 20
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Economy:
    """What was found of one rung.

    Attributes
    ----------
    by_feature, by_group
        Permutation importance on held-out rows: rises of the log loss, one a repeat.
    shap
        Mean absolute contribution of each feature there; empty where the rung has none.
    agrees, stands
        The two measures against each other, and SHAP over fits with other seeds; None without contributions.
    """

    rung: str
    as_of: str
    full: Measured
    seeds: tuple[Measured, ...]
    by_feature: Mapping[str, NDArray[np.float64]]
    by_group: Mapping[str, NDArray[np.float64]]
    shap: Mapping[str, float]
    agrees: Agreement | None
    stands: Stability | None
    ablated: tuple[Measured, ...]
    pruned: tuple[Measured, ...]
    smaller: tuple[Measured, ...]
    date_like: tuple[DateLike, ...]


def measure_economy(spec: UseCaseSpec, ground: Ground, as_of: str, n_seeds: int, tell: Tell) -> Economy:
    """Measure all of it, telling each step; raises ValueError on a history too short to look ahead."""
    groups = views_of(spec.features, ground.features)
    full = measure_full(ground)
    tell(f"{ground.rung} as it is: log loss {full.measured.log_loss:.4f} ahead")
    held_out = _thinned(ground.holdout)
    rng = np.random.default_rng(ground.recipe.seed)
    alone = {name: (name,) for name in ground.features}
    by_feature = permutation_importance(full.model, held_out, alone, rng=rng, repeats=REPEATS)
    by_group = permutation_importance(full.model, held_out, groups, rng=rng, repeats=REPEATS)
    shap = shap_importance(full.model, held_out, alone)
    tell("importance is measured")
    fits = list(_told(reseed(ground, full, [ground.recipe.seed + k for k in range(1, n_seeds + 1)]), tell))
    models: Sequence[FittedModel] = [full.model, *(model for _, model in fits)]
    shaps = [found for model in models if (found := shap_importance(model, held_out, alone)) is not None]
    means = {name: float(rises.mean()) for name, rises in by_feature.items()}
    return Economy(
        rung=ground.rung,
        as_of=as_of,
        full=replace(full.measured, name=ground.rung),
        seeds=tuple(measured for measured, _ in fits),
        by_feature=by_feature,
        by_group=by_group,
        shap=shap or {},
        agrees=agreement(means, shap, TOP) if shap else None,
        stands=stability(shaps, TOP) if len(shaps) == len(models) else None,
        **_variants(ground, full, groups, tell),
        date_like=tuple(date_like_features(ground.rows, ground.features)),
    )


def steps_of(spec: UseCaseSpec, ground: Ground, n_seeds: int) -> int:
    """Count the steps that are told, about."""
    sizes = [size for size in SIZES if size < len(ground.features)]
    return 2 + n_seeds + len(views_of(spec.features, ground.features)) + len(sizes) + 7


def economy_page(spec: UseCaseSpec, found: Economy) -> str:
    """Lay it out as a page that is one file."""
    return Card(f"{spec.name}: economy of {found.rung}, as of {found.as_of}", list(_sections(found))).to_html()


def cost_rows(found: Sequence[Measured]) -> list[list[str]]:
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


def said_gain(each: Measured) -> str:
    """Say the gain with its interval."""
    gain = each.gain
    return "" if gain is None else f"{gain.estimate:+.2%} ({gain.lower:+.2%} to {gain.upper:+.2%})"


def _variants(
    ground: Ground, full: Full, groups: Mapping[str, Sequence[str]], tell: Tell
) -> dict[str, tuple[Measured, ...]]:
    kinds = {"ablated": ablate(ground, full, groups), "pruned": prune(ground, full, SIZES),
             "smaller": compress(ground, full)}  # fmt: skip
    found: dict[str, tuple[Measured, ...]] = {}
    for kind, variants in kinds.items():
        kept: list[Measured] = []
        for each in variants:
            kept.append(each)
            tell(f"{'without ' if kind == 'ablated' else ''}{each.name}: log loss {each.log_loss:.4f} ahead")
        found[kind] = tuple(kept)
    return found


def _told(fits: Iterator[tuple[Measured, FittedModel]], tell: Tell) -> Iterator[tuple[Measured, FittedModel]]:
    for measured, model in fits:
        tell(f"{measured.name}: log loss {measured.log_loss:.4f} ahead")
        yield measured, model


def _thinned(rows: "pd.DataFrame") -> "pd.DataFrame":
    return rows.iloc[:: max(len(rows) // SHUFFLED, 1)]


def _sections(found: Economy) -> Iterator[Section]:
    yield Section(
        "In short",
        [
            f"{found.rung} with {found.full.n_features} features: log loss {found.full.log_loss:.4f}, AUC "
            f"{found.full.auc:.4f} on windows ahead inside the training rows.",
            "Every variant is scored on the same rows. 'Saved' is its share of the full model's log loss that it "
            "saves; below zero it loses. Brackets: 90 % of resampled days.",
            _noise(found.seeds),
        ],
    )
    yield _importance(found)
    yield _spared(found)
    said = "Before each window the features are ranked on what had matured by then, so nothing looked ahead."
    yield Section("Features kept", [said], COST_HEADS, cost_rows([found.full, *found.pruned]))
    points = [(m.name, float(m.cost.n_bytes), m.log_loss)
              for m in (found.full, *found.smaller) if m.cost is not None]  # fmt: skip
    said = "Fewer and shallower trees learn faster, or a member stands alone."
    pictures = {"size and log loss, in the order of the table from 0": size_and_loss_png(points)}
    yield Section("Smaller models", [said], COST_HEADS, cost_rows([found.full, *found.smaller]), pictures)
    yield _dates(found.date_like)


def _importance(found: Economy) -> Section:
    said = ["Permutation: by how much the log loss of held-out rows rises when a column is shuffled among them. SHAP: "
            "the mean absolute part of a feature in the log odds."]  # fmt: skip
    if found.agrees is not None:
        said.append(
            f"The two agree by a rank correlation of {found.agrees.spearman:.2f}; of the first {TOP} they share "
            f"{found.agrees.top:.0%}."
        )
    if found.stands is not None:
        said.append(
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
        "What it leans on", said, ["feature", "permutation, nats", "spread", "SHAP, log odds"], rows, pictures
    )


def _dates(found: Sequence[DateLike]) -> Section:
    said = ("The same for all examples of a drop, and moving on with time: what is learned of their values never comes "
            "again. Look at what it costs to leave them out.")  # fmt: skip
    if not found:
        return Section("Features that act as a date", ["None was found."])
    rows = [[each.name, each.reason] for each in found]
    return Section("Features that act as a date", [said], ["feature", "why"], rows)


def _noise(seeds: Sequence[Measured]) -> str:
    if not seeds:
        return "How much another seed alone would change was not measured: ask for it by --seeds."
    furthest = max(abs(each.gain.estimate) for each in seeds if each.gain is not None)
    return f"Another seed alone changes the log loss by up to {furthest:.2%}: what differs by less says nothing."


def _spared(found: Economy) -> Section:
    surely = [each.name for each in found.ablated if each.gain is not None and each.gain.upper < 0]
    said = [
        "Refitted without the features of each view, or without what is computed of the example's own row (=).",
        f"Surely worse without: {', '.join(surely)}." if surely else "Without none of them it is surely worse.",
    ]
    rows = [[each.name, str(each.n_features), said_gain(each)] for each in _worst_first(found.ablated)]
    pictures = {"log loss saved by leaving it out": gains_png(_gains(found.ablated))} if found.ablated else {}
    return Section("Views that could be spared", said, ["without", "features left", "log loss saved"], rows, pictures)


def _worst_first(found: Sequence[Measured]) -> list[Measured]:
    return sorted(found, key=lambda each: each.gain.estimate if each.gain is not None else 0.0)


def _gains(found: Sequence[Measured]) -> list[tuple[str, float, float, float]]:
    return [
        (each.name, each.gain.estimate, each.gain.lower, each.gain.upper) for each in found if each.gain is not None
    ]
