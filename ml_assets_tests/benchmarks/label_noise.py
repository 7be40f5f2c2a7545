"""How many planted label errors and bad annotators are found; docs/labeling.md shows the table.

    python -m ml_assets_tests.benchmarks.label_noise [--seeds 10]

Of 1,200 generated comments a tenth of the labels is flipped, and each is predicted from earlier ones. Of six annotators,
three answer each of 300 examples; five are right in 85 to 95 %, the last in 60 to 80 %.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from ml_assets.labeling.annotators import rate_annotators
from ml_assets.labeling.label_errors import find_label_errors
from ml_assets.pipeline.labeling.label_errors import predict_ahead
from ml_assets_tests.comment_spam.state import spam_spec
from ml_assets_tests.labeling.noise import answers_with_a_bad_annotator, flipped_comments


def _flips(seed: int, share: float) -> tuple[float, float, float]:
    """Give precision, recall among judged labels, and the share of them that is flipped."""
    rows, is_flipped = flipped_comments(seed, share=share)
    spec = spam_spec()
    probabilities = predict_ahead(spec, rows, list(spec.features.feature_names()))
    found = find_label_errors(rows["label"].to_numpy(dtype=np.int64), probabilities)
    judged = np.flatnonzero(np.isfinite(probabilities[:, 0]))
    places = np.array([each.place for each in found], dtype=int)
    return (float(is_flipped[places].mean()), float(np.isin(judged[is_flipped[judged]], places).mean()),
            float(is_flipped[judged].mean()))  # fmt: skip


def _flagged(accuracy: float, seeds: int) -> tuple[float, float]:
    """Give precision and recall of flagged annotators over worlds with one bad annotator each."""
    names = [
        each.annotator
        for seed in range(seeds)
        for each in rate_annotators(answers_with_a_bad_annotator(seed, accuracy))
        if each.is_flagged
    ]
    return names.count("bad") / max(len(names), 1), names.count("bad") / seeds


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    asked = parser.parse_args()
    lines = ["| planted | precision | recall | by chance |", "|---|---|---|---|"]
    for share in (0.05, 0.1, 0.2):
        found = np.array([_flips(seed, share) for seed in range(asked.seeds)])
        precision, recall, chance = found.mean(axis=0)
        low, high = np.quantile(found[:, :2], [0.05, 0.95], axis=0)
        lines.append(
            f"| {share:.0%} of labels flipped | {precision:.2f} ({low[0]:.2f} to {high[0]:.2f}) | {recall:.2f} "
            f"({low[1]:.2f} to {high[1]:.2f}) | {chance:.2f} |"
        )
    for accuracy in (0.6, 0.7, 0.8):
        precision, recall = _flagged(accuracy, 5 * asked.seeds)
        lines.append(f"| one annotator of six right in {accuracy:.0%} | {precision:.2f} | {recall:.2f} | 0.17 |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
