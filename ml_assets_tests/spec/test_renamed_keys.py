"""Keys of earlier releases: a declaration is told the new one, a record of then is read."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from ml_assets.spec.declaration import DeclarationError, load_use_case
from ml_assets.spec.declared import RECORDED, Declared
from ml_assets.spec.gate import GateRule
from ml_assets.spec.model import Abstain, ModelSpec, TrainingRecipe
from ml_assets.spec.monitoring import MonitoringSpec, RetrainingSpec
from ml_assets_tests.rehearsal import DEFS_FOLDER

PARTS: tuple[type[Declared], ...] = (Abstain, GateRule, ModelSpec, MonitoringSpec, RetrainingSpec)


@pytest.mark.parametrize(
    ("place", "before", "now", "value"),
    [
        ("model", "margin", "min_relative_gain", "0.003"),
        ("model.abstain", "beyond", "max_range_multiple", "2"),
        ("model.gate", "freshness_worth", "max_loss_per_30d_newer", "0.03"),
        ("monitoring", "before", "reference_window", "56d"),
        ("retraining", "important", "min_alarmed_importance", "0.1"),
    ],
)
def test_former_key_is_a_mistake_that_names_the_key_of_now(
    tmp_path: Path, place: str, before: str, now: str, value: str
) -> None:
    mistakes = mistakes_with(tmp_path, f"{now}: {value}", f"{before}: {value}")

    assert f"{place}.{before}: found {before!r}; it is called {now} now" in mistakes


def test_former_value_is_a_mistake_that_names_the_value_of_now(tmp_path: Path) -> None:
    mistakes = mistakes_with(tmp_path, "arrives: every_drop", "arrives: every drop")

    assert "sources[0].arrives: found 'every drop'; it is called every_drop now" in mistakes


def mistakes_with(tmp_path: Path, now: str, before: str) -> str:
    folder = Path(shutil.copytree(DEFS_FOLDER / "flight_delays", tmp_path / "flight_delays"))
    text = (folder / "defs.yaml").read_text(encoding="utf-8")
    assert now in text
    (folder / "defs.yaml").write_text(text.replace(now, before, 1), encoding="utf-8")
    with pytest.raises(DeclarationError) as error:
        load_use_case(folder)
    return str(error.value)


def test_what_a_key_is_called_now_is_a_key() -> None:
    unknown = {new for part in PARTS for new in part.renamed.values() if new not in part.model_fields}

    assert unknown == set()
    assert sum(len(part.renamed) for part in PARTS) == 5


def test_recipe_of_an_earlier_release_is_read() -> None:
    ladder = [{"name": "mean", "kind": "constant"}]
    then = {"matures_after": "2d", "ladder": ladder, "abstain": {"beyond": 2.0, "features": ["wind"]}}

    read = TrainingRecipe.model_validate(then, context=RECORDED)

    assert read.abstain == Abstain(max_range_multiple=2.0, features=("wind",))
    assert read.matures_after == timedelta(days=2)
