"""The AUC before labels as NannyML 0.13.1 estimates it, in an environment of its own: this file needs no ml_assets.

    python -m venv nml && nml/bin/pip install nannyml==0.13.1 statsmodels
    nml/bin/python expected_quality_nannyml.py scores.csv estimates.csv [--reference-until 2013-05-30]

`scores.csv` is what `expected_quality.py --export` wrote. What was scored until the given day is the reference; each later
day is a chunk. Its CBPE has no log loss, so the AUC is compared. Writes `drop,auc`.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Estimate the AUC of each day after the reference by CBPE."""
    os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"  # it would tell its makers
    import nannyml as nml  # pyright: ignore[reportMissingImports] - in an environment of its own
    import pandas as pd

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scores", type=Path)
    parser.add_argument("estimates", type=Path)
    parser.add_argument("--reference-until", default="2013-05-30")
    asked = parser.parse_args()
    rows = pd.read_csv(asked.scores)
    rows["at"] = pd.to_datetime(rows["drop"])
    rows["said"] = (rows["score"] >= 0.5).astype(int)
    is_reference = rows["drop"] <= asked.reference_until
    estimator: Any = nml.CBPE(  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        y_pred_proba="score", y_pred="said", y_true="label", timestamp_column_name="at",
        problem_type="classification_binary", metrics=["roc_auc"], chunk_period="D",
    )  # fmt: skip
    estimator.fit(rows[is_reference].reset_index(drop=True))
    found = estimator.estimate(rows[~is_reference].reset_index(drop=True)).filter(period="analysis").to_df()
    told = pd.DataFrame(
        {"drop": found["chunk", "start_date"].dt.strftime("%Y-%m-%d"), "auc": found["roc_auc", "value"]}
    )
    told.to_csv(asked.estimates, index=False)
    sys.stdout.write(f"{len(told)} days estimated\n")


if __name__ == "__main__":
    main()
