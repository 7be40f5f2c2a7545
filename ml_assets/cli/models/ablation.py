"""What a candidate leans on and what of it could be spared, from the terminal."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ml_assets.cli.console import console, fail, next_steps, print_json, say
from ml_assets.cli.progress import progress_bar
from ml_assets.cli.tables import TableColumn, print_table
from ml_assets.pipeline.training.ablation import TOP, Ablation, count_steps, measure_ablation
from ml_assets.pipeline.training.training_set import read_newest
from ml_assets.reports.ablation_page import ablation_page, cost_heads, cost_rows, leaning_heads, said_gain
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.tasks import task_of
from ml_assets.stores.landing import write_whole
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.training.ablation import AblationData, MeasuredVariant
from ml_assets.training.estimators import needs_both_classes
from ml_assets.training.importance import ranked

_SHOWN = 12
_COST_RANKS = (0, 1, 0, 3, 0, 2, 3, 4, 4, 5)  # of `cost_heads`


@dataclass(frozen=True)
class AblationOptions:
    """What the command was asked for; `candidate` is empty for the last of the candidates."""

    candidate: str
    n_seeds: int
    page: bool
    as_json: bool


def run_ablation(spec: UseCaseSpec, state: UseCaseState, asked: AblationOptions) -> None:
    """Measure on the newest training set and print what was found; write the page where it is asked for."""
    recipe = spec.recipe()
    try:
        candidate = recipe.candidate(asked.candidate or recipe.candidates[-1].name)
    except ValueError as error:
        raise fail(f"--{error}") from error
    if not needs_both_classes(candidate):
        able = [each.name for each in recipe.candidates if needs_both_classes(each)]
        raise fail(
            f"--candidate: found {candidate.name!r}, a {candidate.kind}; allowed: a candidate that weighs features: "
            + ", ".join(able)
        )
    newest = read_newest(spec, state)
    plan = newest.plan
    ground = AblationData(recipe, candidate.name, newest.rows, tuple(plan["features"]), time.perf_counter)
    with progress_bar() as progress:
        task = progress.add_task(
            f"ablation of {candidate.name} as of {plan['as_of']}",
            total=count_steps(spec, ground, asked.n_seeds),
            now="",
        )
        try:
            found = measure_ablation(
                spec, ground, plan["as_of"], asked.n_seeds, lambda now: progress.update(task, advance=1, now=now[:100])
            )
        except ValueError as error:
            raise fail(str(error)) from error
    page = _write_page(spec, state, found) if asked.page else None
    if asked.as_json:
        print_json(_as_json(found, page))
        return
    _show(spec, found, page)


def _write_page(spec: UseCaseSpec, state: UseCaseState, found: Ablation) -> Path:
    page = state.paths.reports / spec.name / f"ablation_{found.as_of}.html"
    write_whole(page, ablation_page(spec, found).encode())
    return page


def _show(spec: UseCaseSpec, found: Ablation, page: Path | None) -> None:
    means = {name: float(rises.mean()) for name, rises in found.by_feature.items()}
    leaned_on = [[name, f"{means[name]:+.5f}", f"{found.shap[name]:.4f}" if found.shap else ""]
                 for name in ranked(means)[:_SHOWN]]  # fmt: skip
    task = task_of(spec.task)
    print_table("what it leans on", ["feature", *leaning_heads(task)], leaned_on)
    if found.agrees is not None:
        say(f"the two agree by {found.agrees.spearman:.2f}; of the first {TOP} they share {found.agrees.top:.0%}")
    if found.stands is not None:
        say(f"over {found.stands.n_fits} seeds SHAP ranks alike by {found.stands.mean_spearman:.2f}")
    spared = sorted(found.ablated, key=lambda each: each.gain.estimate if each.gain else 0.0)
    shown = [[each.name, each.n_features, said_gain(each)] for each in spared[:_SHOWN]]
    print_table("without which view", ["without", "features left", f"{task.loss_metric} saved"], shown)
    kept = [found.full, *found.seeds, *found.pruned, *found.smaller]
    columns = [TableColumn(head, rank) for head, rank in zip(cost_heads(task), _COST_RANKS, strict=True)]
    print_table("features kept, and smaller models", columns, cost_rows(task, kept), see="--json")
    for each in found.time_proxies:
        say(f"acts as a date: {each.name}, {each.reason}")
    if page is not None:
        console.print(f"page: {page}", highlight=False, soft_wrap=True)
    again = {} if page else {f"ml-assets ablation {spec.name} --page": "the same as a page with pictures"}
    next_steps(
        {
            **again,
            f"ml-assets retrain {spec.name} --candidate NAME": "train a smaller candidate that is declareds",
        }
    )


def _as_json(found: Ablation, page: Path | None) -> dict[str, Any]:
    def plain(each: MeasuredVariant) -> dict[str, Any]:
        return asdict(each)

    return {
        "candidate": found.candidate,
        "as_of": found.as_of,
        "full": plain(found.full),
        **{kind: [plain(each) for each in getattr(found, kind)] for kind in ("seeds", "ablated", "pruned", "smaller")},
        "permutation": {name: rises.tolist() for name, rises in found.by_feature.items()},
        "permutation_of_views": {name: rises.tolist() for name, rises in found.by_group.items()},
        "shap": dict(found.shap),
        "agreement": asdict(found.agrees) if found.agrees else None,
        "stability": asdict(found.stands) if found.stands else None,
        "time_proxies": [asdict(each) for each in found.time_proxies],
        "page": page,
    }
