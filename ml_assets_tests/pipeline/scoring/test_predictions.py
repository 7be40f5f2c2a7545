"""Predictions of drops: what their checks say of the champion."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_assets.spec.model import Abstain
from ml_assets_tests.rehearsal import Rehearsal, go_on_from
from ml_assets_tests.served import SPEC, served_by

pytestmark = pytest.mark.xdist_group("models")  # with cli/models/test_models.py, on one history

CHECK = "predictions:can_abstain"


def test_champion_fitted_before_abstain_was_declared_is_told_and_serves(served: Rehearsal, tmp_path: Path) -> None:
    state = go_on_from(served, tmp_path / "state")
    abstain = Abstain(max_range_multiple=1, features=("departure_hour",))
    model = SPEC.model.model_copy(update={"abstain": abstain})
    declared = Rehearsal(SPEC.model_copy(update={"model": model}), state.root)

    before, after = state.score(13, 14).checks[CHECK], declared.score(13, 14).checks[CHECK]

    assert before.passed
    assert not after.passed
    assert after.description.startswith(f"{served_by(state)[14]} cannot abstain: it was fitted without `abstain`")
    assert after.measured == {"drops of a champion that cannot": 2}
    assert set(served_by(declared)) == set(served_by(served))
