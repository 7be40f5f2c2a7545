"""What choosing whom to ask about would have been worth: history replayed with its labels hidden."""

from __future__ import annotations

from dataclasses import asdict

from ml_assets.cli.console import next_steps, print_json, say
from ml_assets.cli.progress import progress_bar
from ml_assets.cli.tables import TableColumn, print_table
from ml_assets.labeling.active_learning import SIMULATED, LearningCurves
from ml_assets.pipeline.labeling.active_learning import SHARES, simulate_labels
from ml_assets.reports.learning_curve_page import enough_in_words, write_learning_curve_page
from ml_assets.spec.review import RANDOM
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.use_case_state import UseCaseState

_POINTS = [
    TableColumn("strategy"), TableColumn("share"), TableColumn("labels"), TableColumn("AUC"), TableColumn("low", 2),
    TableColumn("high", 2), TableColumn("above random"), TableColumn("from", 1), TableColumn("to", 1),
]  # fmt: skip


def run_simulation(spec: UseCaseSpec, state: UseCaseState, seeds: int, *, as_json: bool) -> None:
    """Replay history, print the curve of each strategy beside random, and write its page."""
    with progress_bar() as progress:
        task = progress.add_task("replay", total=len(SHARES) * len(SIMULATED), now="reading")

        def tell(now: str) -> None:
            progress.update(task, advance=1, now=now)

        curves = simulate_labels(spec, state.pinned(), seeds=seeds, tell=tell)
    page = write_learning_curve_page(spec, state, curves)
    if as_json:
        enough = {name: curves.enough_at(name) for name in SIMULATED}
        print_json({**asdict(curves), "enough_at": enough, "page": page})
        return
    _show(curves)
    say(f"page {page}")
    next_steps({f"ml-assets review {spec.name}": "the lists of people", f"ml-assets review {spec.name} --declare":
                "what to add to defs.yaml for a review"})  # fmt: skip


def _show(curves: LearningCurves) -> None:
    say(
        f"all {curves.n_full:,} labels give an AUC of {curves.full:.4f} on {curves.n_test:,} newer examples; "
        f"{curves.seeds} seeds, {curves.level:.0%} intervals"
    )
    rows = [
        [name, f"{each.share:.0%}", each.labels, each.quality, each.low, each.high,
         *(["", "", ""] if name == RANDOM else [f"{gain:+.4f}" for gain in (each.gain, each.gain_low, each.gain_high)])]
        for name in SIMULATED for each in curves.of(name)
    ]  # fmt: skip
    print_table("AUC by labels bought", _POINTS, rows, see="--json")
    for name in SIMULATED:
        say(f"{name}: {enough_in_words(curves, name)}")
