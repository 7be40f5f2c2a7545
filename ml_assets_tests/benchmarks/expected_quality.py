"""How well quality is estimated before labels are there, on the real year of the flights.

    python -m ml_assets_tests.benchmarks.expected_quality --state DIR [--from 2013-04-01] [--to 2013-12-31]
    python -m ml_assets_tests.benchmarks.expected_quality --state DIR --export scores.csv   # for another library

DIR is a state in which these drops were run. `--rival FILE` compares with daily estimates of another library: a CSV of
`drop,auc`, made by `expected_quality_nannyml.py` in an environment of its own.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import defaultdict
from datetime import date
from pathlib import Path

import numpy as np

from ml_assets.pipeline.monitoring.expected_quality import ExpectedQuality, coverage, expected_quality
from ml_assets.spec.drop import day_of_key
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.rehearsal import flagship


def main() -> None:
    """Measure and print, or export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--from", dest="first", type=date.fromisoformat, default=date(2013, 4, 1))
    parser.add_argument("--to", dest="last", type=date.fromisoformat, default=date(2013, 12, 31))
    parser.add_argument("--export", type=Path)
    parser.add_argument("--rival", type=Path)
    asked = parser.parse_args()
    state = UseCaseState(flagship().name, StatePaths(asked.state)).pinned()
    if asked.export:
        export(state, asked.export, asked.first, asked.last)
        return
    found = expected_quality(flagship(), state, asked.first, asked.last)
    for name, (share, n) in coverage(found).items():
        sys.stdout.write(f"{name}: the band held {share:.1%} of {n} drops\n")
    by_month: dict[int, list[bool]] = defaultdict(list)
    for each in found:
        if each.loss is not None and each.realised_loss is not None:
            by_month[day_of_key(each.drop).month].append(each.loss.covers(each.realised_loss))
    sys.stdout.write("by month: " + ", ".join(f"{m}: {np.mean(v):.0%} of {len(v)}" for m, v in by_month.items()) + "\n")
    report(found)
    if asked.rival:
        with asked.rival.open() as file:
            beside(found, {date.fromisoformat(row["drop"]): float(row["auc"]) for row in csv.DictReader(file)})


def report(found: list[ExpectedQuality]) -> None:
    """Print the mean absolute error of each measure."""
    for name in ("loss", "ranking", "cost"):
        told = [(getattr(each, name), getattr(each, f"realised_{name}")) for each in found]
        errors = [abs(band.estimate - came) for band, came in told if band is not None and came is not None]
        sys.stdout.write(f"{name}: mean absolute error {np.mean(errors):.4f} over {len(errors)} days\n")


def beside(found: list[ExpectedQuality], rival: dict[date, float]) -> None:
    """Print the error of the AUC beside that of another library, on the days that both estimate."""
    told = [(each.ranking.estimate, rival[day_of_key(each.drop)], each.realised_ranking) for each in found
            if each.ranking is not None and each.realised_ranking is not None and each.drop in rival]  # fmt: skip
    own, other = (float(np.mean([abs(row[place] - row[2]) for row in told])) for place in (0, 1))
    sys.stdout.write(f"AUC on {len(told)} days: mean absolute error {own:.4f}, of the other library {other:.4f}\n")


def export(state: UseCaseState, file: Path, first: date, last: date) -> None:
    """Write every served score with its outcome, where it has one."""
    with state.connect() as connection:
        scored = state.lake.relation(connection, "predictions", (first, last))
        scored.create_view("served")
        state.lake.relation(connection, "labels").create_view("outcomes")
        connection.sql(
            "SELECT s.batch_date AS drop, s.prediction_at, s.score, l.label FROM served AS s JOIN (SELECT example_id, "
            "arg_max(label, (known_at, batch_date)) AS label FROM outcomes GROUP BY example_id) AS l USING (example_id) "
            "ORDER BY s.batch_date, s.example_id"
        ).write_csv(str(file))


if __name__ == "__main__":
    main()
