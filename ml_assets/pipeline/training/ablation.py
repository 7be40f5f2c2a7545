"""What a model candidate leans on and what of it could be left out, measured on the newest training set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.training.ablation import (
    AblationData,
    Full,
    MeasuredVariant,
    ablate,
    compress,
    measure_full,
    prune,
    reseed,
)
from ml_assets.training.importance import (
    Agreement,
    Stability,
    agreement,
    permutation_importance,
    shap_importance,
    stability,
    views_of,
)
from ml_assets.training.model_kind import FittedModel
from ml_assets.training.time_proxy_features import TimeProxy, time_proxy_features

if TYPE_CHECKING:
    import pandas as pd

TOP = 10  # features of which two rankings are compared
REPEATS = 3
SHUFFLED = 4000  # held-out rows that are shuffled: their loss moves by the same rows, so the difference is steady
SIZES = (50, 30, 20, 10, 5)
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Ablation:
    """What was found of one candidate.

    Attributes
    ----------
    by_feature, by_group
        Permutation importance on held-out rows: rises of the log loss, one a repeat.
    shap
        Mean absolute contribution of each feature there; empty where the candidate has none.
    agrees, stands
        The two measures against each other, and SHAP over fits with other seeds; None without contributions.
    """

    candidate: str
    as_of: str
    full: MeasuredVariant
    seeds: tuple[MeasuredVariant, ...]
    by_feature: Mapping[str, NDArray[np.float64]]
    by_group: Mapping[str, NDArray[np.float64]]
    shap: Mapping[str, float]
    agrees: Agreement | None
    stands: Stability | None
    ablated: tuple[MeasuredVariant, ...]
    pruned: tuple[MeasuredVariant, ...]
    smaller: tuple[MeasuredVariant, ...]
    time_proxies: tuple[TimeProxy, ...]


def measure_ablation(spec: UseCaseSpec, ground: AblationData, as_of: str, n_seeds: int, tell: Tell) -> Ablation:
    """Measure all of it, telling each step; raises ValueError on a history too short to look ahead."""
    groups = views_of(spec.features, ground.features)
    full = measure_full(ground)
    tell(f"{ground.candidate} as it is: log loss {full.measured.log_loss:.4f} ahead")
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
    return Ablation(
        candidate=ground.candidate,
        as_of=as_of,
        full=replace(full.measured, name=ground.candidate),
        seeds=tuple(measured for measured, _ in fits),
        by_feature=by_feature,
        by_group=by_group,
        shap=shap or {},
        agrees=agreement(means, shap, TOP) if shap else None,
        stands=stability(shaps, TOP) if len(shaps) == len(models) else None,
        **_variants(ground, full, groups, tell),
        time_proxies=tuple(time_proxy_features(ground.rows, ground.features)),
    )


def count_steps(spec: UseCaseSpec, ground: AblationData, n_seeds: int) -> int:
    """Count the steps that are told, about."""
    sizes = [size for size in SIZES if size < len(ground.features)]
    return 2 + n_seeds + len(views_of(spec.features, ground.features)) + len(sizes) + 7


def _variants(
    ground: AblationData, full: Full, groups: Mapping[str, Sequence[str]], tell: Tell
) -> dict[str, tuple[MeasuredVariant, ...]]:
    kinds = {"ablated": ablate(ground, full, groups), "pruned": prune(ground, full, SIZES),
             "smaller": compress(ground, full)}  # fmt: skip
    found: dict[str, tuple[MeasuredVariant, ...]] = {}
    for kind, variants in kinds.items():
        kept: list[MeasuredVariant] = []
        for each in variants:
            kept.append(each)
            tell(f"{'without ' if kind == 'ablated' else ''}{each.name}: log loss {each.log_loss:.4f} ahead")
        found[kind] = tuple(kept)
    return found


def _told(
    fits: Iterator[tuple[MeasuredVariant, FittedModel]], tell: Tell
) -> Iterator[tuple[MeasuredVariant, FittedModel]]:
    for measured, model in fits:
        tell(f"{measured.name}: log loss {measured.log_loss:.4f} ahead")
        yield measured, model


def _thinned(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.iloc[:: max(len(rows) // SHUFFLED, 1)]
