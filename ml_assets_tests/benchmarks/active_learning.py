"""What choosing whom to ask about is worth on three data sets: texts, flights and loans.

    python -m ml_assets_tests.benchmarks.active_learning FOLDER [--seeds 20]

The comments are generated and all of their labels known; the flights are ten weeks of 2013; the loans are
generated. FOLDER keeps states and pages, and is used again. `docs/review.md` has what this prints.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

from ml_assets.cli.operate.history import HistoryOptions, run_history
from ml_assets.demo.flights import land_flights
from ml_assets.labeling.active_learning import SIMULATED, LearningCurves
from ml_assets.pipeline.labeling.active_learning import simulate_labels
from ml_assets.pipeline.runs.batch import BatchContext, batch_steps, run_batch_steps
from ml_assets.reports.learning_curve_page import enough_in_words, write_learning_curve_page
from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.comment_spam.generate import DAYS, PER_DAY
from ml_assets_tests.comment_spam.state import run_steps_until, spam_spec
from ml_assets_tests.dates import dates_of
from ml_assets_tests.rehearsal import small_spec
from ml_assets_tests.second_use_case.generate import write_past
from ml_assets_tests.second_use_case.machine import DECLARED

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def comments(root: Path) -> tuple[UseCaseSpec, UseCaseState]:
    """Run all comments, with an answer to each."""
    spec = spam_spec()
    if not root.exists():
        run_steps_until(root, gold=DAYS * PER_DAY)
    return spec, UseCaseState(spec.name, StatePaths(root))


def flights(root: Path) -> tuple[UseCaseSpec, UseCaseState]:
    """Run ten weeks of flights, up to features."""
    spec, last = small_spec(), date(2013, 3, 11)
    state = UseCaseState(spec.name, StatePaths(root))
    if not root.exists():
        land_flights(state.landing, spec.calendar, spec.calendar.start, last)
        drops = spec.calendar.drops_between(spec.calendar.start, last)
        run_batch_steps(spec, state, drops, BatchContext(NOW), only=_up_to_features(spec, state, dates_of(drops)))
    return spec, state


def loans(root: Path) -> tuple[UseCaseSpec, UseCaseState]:
    """Run all weeks of loans, up to features."""
    spec, paths = load_use_case(DECLARED), StatePaths(root)
    state = UseCaseState(spec.name, paths)
    if not root.exists():
        root.mkdir(parents=True)
        files = write_past(root)
        history = [f"{source.name}={file}" for source, file in zip(spec.sources, files, strict=True)]
        run_history(spec, paths, HistoryOptions(history, last="2024-02-04"), NOW)
        drops = spec.calendar.drops_between(spec.calendar.start, date(2024, 2, 4))
        run_batch_steps(spec, state, drops, BatchContext(NOW), only=_up_to_features(spec, state, dates_of(drops)))
    return spec, state


def _up_to_features(spec: UseCaseSpec, state: UseCaseState, drops: list[date]) -> list[str]:
    later = ("predictions/", "monitoring/", "labels/")
    return [name for name in batch_steps(spec, state, drops, BatchContext(NOW)) if not name.startswith(later)]


DATA: dict[str, Callable[[Path], tuple[UseCaseSpec, UseCaseState]]] = {
    "comments": comments, "flights": flights, "loans": loans,
}  # fmt: skip


def table_of(curves: LearningCurves) -> list[str]:
    """Write the curves as a Markdown table: a row a number of labels."""
    lines = ["| labels | " + " | ".join(SIMULATED) + " |", "|---|" + "---|" * len(SIMULATED)]
    for place, base in enumerate(curves.of(SIMULATED[0])):
        cells = [f"{base.labels} ({base.share:.0%})".replace("%", " %")]
        cells.append(f"{base.quality:.4f} ({base.low:.4f} to {base.high:.4f})")
        for name in SIMULATED[1:]:
            point = curves.of(name)[place]
            cells.append(f"{point.gain:+.4f} ({point.gain_low:+.4f} to {point.gain_high:+.4f})")
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    """Print the curves of each data set; write their pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", choices=list(DATA), nargs="*", default=list(DATA))
    asked = parser.parse_args()
    warnings.simplefilter("ignore", DeprecationWarning)  # great_expectations 1.24 imports sre_constants
    for name in asked.only:
        spec, state = DATA[name](asked.folder / name)
        begun = time.monotonic()
        curves = simulate_labels(spec, state, seeds=asked.seeds)
        took = time.monotonic() - begun
        lines = [
            f"### {name}", "",
            f"All {curves.n_full:,} labels: AUC {curves.full:.4f} on {curves.n_test:,} newer examples; {curves.seeds} "
            f"seeds, {took:.0f} s", "",
            *table_of(curves), "",
            *(f"- {each}: {enough_in_words(curves, each)}" for each in SIMULATED), "",
            str(write_learning_curve_page(spec, state, curves)), "",
        ]  # fmt: skip
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
