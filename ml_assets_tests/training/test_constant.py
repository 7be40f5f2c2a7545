from __future__ import annotations

import pandas as pd
import pytest

from ml_assets.spec.model import ModelCandidate
from ml_assets.training.constant import Constant
from ml_assets.training.estimators import fit_candidate, load_model

CANDIDATE = ModelCandidate(name="constant", kind="constant")


def test_everybody_gets_the_share_of_the_training_rows_whatever_the_features() -> None:
    model = fit_candidate(CANDIDATE, pd.DataFrame({"hour": [1.0, 2.0, 3.0]}), [1, 0, 0], seed=0)

    assert model.predict(pd.DataFrame({"other": [None] * 4})).tolist() == [1 / 3] * 4
    assert (model.feature_names, model.importance()) == ((), {})


@pytest.mark.parametrize("mean", [1 / 3, 0.1 + 0.2, 5e-324])
def test_share_reads_back_to_the_bit(mean: float) -> None:
    read = load_model("constant", Constant(mean).to_files())

    assert read == Constant(mean)
