"""What the weak labels of the generated comments are worth in gold labels, by a curve that is long enough to tell.

    python -m ml_assets_tests.benchmarks.gold_worth FOLDER [--gold 2400]

The use case has 120 gold labels. Here moderators answered for `--gold` comments, which is possible because the comments
are generated: the curve then ends at half as many, and the other half measures. FOLDER keeps state and page.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ml_assets.pipeline.labeling.gold_worth import measure_gold_worth
from ml_assets.pipeline.labeling.label_model import store_label_model
from ml_assets.pipeline.labeling.label_report import read_label_report
from ml_assets.pipeline.labeling.training_labels import store_training_labels
from ml_assets.reports.label_page import worth_in_words, write_label_page
from ml_assets_tests.comment_spam.state import run_steps_until, spam_spec


def main() -> None:
    """Print the curve and the worth; write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gold", type=int, default=2400)
    asked = parser.parse_args()
    spec, state = spam_spec(), run_steps_until(asked.folder, gold=asked.gold)
    with state.writing("benchmark"):
        store_label_model(spec, state)
        store_training_labels(spec, state)
    report, worth = read_label_report(spec, state), measure_gold_worth(spec, state)
    lines = [
        f"{report.counts_in_words}; used: {report.chosen}; {report.reason}",
        "",
        "| gold | AUC | 90 % |",
        "|---|---|---|",
    ]
    lines += [f"| {each.gold} | {each.quality:.3f} | {each.low:.3f} to {each.high:.3f} |" for each in worth.curve]
    lines += ["", f"the weak labels are {worth_in_words(worth)}", str(write_label_page(spec, state, report, worth))]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
