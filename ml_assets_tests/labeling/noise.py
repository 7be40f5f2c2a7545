"""Labels with planted errors: flipped ones of the generated comments, and answers of annotators one of whom is bad."""

from __future__ import annotations

from datetime import UTC

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml_assets.labeling.votes import VoteMatrix
from ml_assets_tests.comment_spam.generate import draw_comments
from ml_assets_tests.comment_spam.state import spam_spec


def flipped_comments(seed: int, n: int = 1200, share: float = 0.1) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """Give `n` comments in order of time with features and labels, a share of them flipped, and which these are."""
    rng = np.random.default_rng(seed)
    comments = draw_comments()
    chosen = [comments[place] for place in np.sort(rng.choice(len(comments), size=n, replace=False))]
    texts = pd.DataFrame({"example_id": [each.comment_id for each in chosen], "text": [each.text for each in chosen]})
    columns = ", ".join(f'({each.sql}) AS "{each.name}"' for each in spam_spec().features.expressions)
    with duckdb.connect() as connection:
        connection.register("_texts", texts)
        rows = connection.sql(f"SELECT example_id, {columns} FROM _texts ORDER BY example_id").df()
    is_flipped = rng.random(n) < share
    truth = np.array([each.is_spam for each in chosen])
    moments = pd.to_datetime([each.posted_at.replace(tzinfo=UTC) for each in chosen])
    return rows.assign(prediction_at=moments, label=(truth ^ is_flipped).astype(float)), is_flipped


def answers_with_a_bad_annotator(seed: int, accuracy: float, n: int = 300) -> VoteMatrix:
    """Let three of six annotators answer each of `n` examples; five are right in 85 to 95 %, the last as given."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, n)
    right = np.array([*rng.uniform(0.85, 0.95, 5), accuracy])
    votes = np.full((n, 6), -1, dtype=np.int16)
    for row in range(n):
        for place in rng.choice(6, size=3, replace=False):
            votes[row, place] = truth[row] if rng.random() < right[place] else 1 - truth[row]
    return VoteMatrix(votes, (0, 1), ("a", "b", "c", "d", "e", "bad"))
