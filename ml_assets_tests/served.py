"""A served history to copy: fourteen drops, a champion as of the 9th, and one more drop landed to go on with.

The model is the small one of `rehearsal.py`, calibrated; what a test does to it, it does to a copy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from ml_assets.cli import app
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets_tests.rehearsal import Rehearsal, rehearse, small_spec

LAST, FIRST_AS_OF, SECOND_AS_OF = 15, 9, 13
DRAWING = ("training/training_set",)
JUDGING = ("models/candidate_model", "models/evaluation_measures", "models/evaluation_slices", "models/behaviours",
           "models/evaluation", "models/champion")  # fmt: skip
RECORD = "SELECT sequence, verdict, decided_by, serves_after, note, model_version, as_of FROM t ORDER BY sequence"
SERVED = "SELECT batch_date, min(model_version) AS least, max(model_version) AS most FROM t GROUP BY 1 ORDER BY 1"


def served_spec(**gate: Any) -> UseCaseSpec:
    """Give the small spec with a Platt curve after each candidate; `gate` sets rules of the gate."""
    spec = small_spec(**gate)
    return spec.model_copy(update={"model": spec.model.model_copy(update={"calibration": "platt"})})


SPEC = served_spec()


def serve(root: Path) -> Rehearsal:
    """Land fifteen drops, run fourteen, promote a line as of the 9th, and score the drops after it."""
    state = Rehearsal(SPEC, rehearse(root, last=LAST).root)
    state.batch(1, LAST - 1)
    state.retrain(FIRST_AS_OF, candidate="logistic_regression", gate="disabled")
    state.retrain(FIRST_AS_OF, only=("models/model_card",))
    state.score(FIRST_AS_OF + 1, LAST - 1)
    return state


def served_by(state: Rehearsal) -> dict[int, str]:
    """Give the model that scored each drop, by its day of January; one model scores a whole drop."""
    rows = state.rows("predictions", SERVED)
    assert all(row["least"] == row["most"] for row in rows)
    return {row["batch_date"].day: row["most"] for row in rows}


def run(*arguments: str, answer: str | None = None) -> Result:
    """Run a command as a person does; `answer` is what is typed when it asks."""
    return CliRunner().invoke(app, list(arguments), input=answer, terminal_width=200)
