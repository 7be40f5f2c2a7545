"""Keys of earlier releases: they are read as those of now and named; a record of then is read."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from ml_assets.spec.declaration import DeclarationError, Located, load_use_case, locate_use_case
from ml_assets.spec.former_names import PARTS
from ml_assets.spec.model import Abstain, TrainingRecipe
from ml_assets_tests.rehearsal import DEFS_FOLDER


@pytest.mark.parametrize(
    ("place", "before", "now", "value"),
    [
        ("model", "margin", "min_relative_gain", "0.003"),
        ("model", "ladder", "candidates", ""),
        ("model.abstain", "beyond", "max_range_multiple", "2"),
        ("model.gate", "freshness_worth", "max_loss_per_30d_newer", "0.03"),
        ("monitoring", "before", "reference_window", "56d"),
        ("retraining", "important", "min_alarmed_importance", "0.1"),
    ],
)
def test_former_key_is_read_as_the_key_of_now_and_named(
    tmp_path: Path, place: str, before: str, now: str, value: str
) -> None:
    found, line = located_with(tmp_path, f"{now}: {value}".rstrip(), f"{before}: {value}".rstrip())

    assert found.spec == load_use_case(DEFS_FOLDER / "flight_delays")
    assert [str(each) for each in found.former_names] == [f"defs.yaml:{line} {place}.{before}: it is called {now} now"]


def test_former_value_is_read_as_the_value_of_now_and_named(tmp_path: Path) -> None:
    found, line = located_with(tmp_path, "arrives: every_drop", "arrives: every drop")

    said = f"defs.yaml:{line} sources[0].arrives: found 'every drop'; it is called every_drop now"
    assert found.spec == load_use_case(DEFS_FOLDER / "flight_delays")
    assert [str(each) for each in found.former_names] == [said]


def test_mistake_under_a_former_key_keeps_its_name_and_line(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError) as error:
        located_with(tmp_path, "min_relative_gain: 0.003", "margin: -1")

    (mistake,) = error.value.mistakes
    assert (mistake.key, mistake.message) == ("model.margin", "found -1; allowed: 0 or more")
    assert mistake.line > 400


def test_both_names_of_a_key_are_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError) as error:
        located_with(tmp_path, "min_relative_gain: 0.003", "min_relative_gain: 0.003\n    margin: 0.003")

    assert "model.margin: found 'margin'; it is called min_relative_gain now" in str(error.value)


def located_with(tmp_path: Path, now: str, before: str) -> tuple[Located, int]:
    """Give the flagship declared with a former name, and the line of it."""
    folder = Path(shutil.copytree(DEFS_FOLDER / "flight_delays", tmp_path / "flight_delays"))
    text = (folder / "defs.yaml").read_text(encoding="utf-8")
    line = text[: text.index(now)].count("\n") + 1
    (folder / "defs.yaml").write_text(text.replace(now, before, 1), encoding="utf-8")
    return locate_use_case(folder), line


def test_what_a_key_is_called_now_is_a_key() -> None:
    unknown = {new for part in PARTS.values() for new in part.renamed.values() if new not in part.model_fields}

    assert unknown == set()
    assert sum(len(part.renamed) for part in PARTS.values()) == 6


def test_recipe_of_an_earlier_release_is_read() -> None:
    candidates = [{"name": "mean", "kind": "constant"}]
    then = {"matures_after": "2d", "ladder": candidates, "abstain": {"beyond": 2.0, "features": ["wind"]}}

    read = TrainingRecipe.model_validate(then)

    assert read.abstain == Abstain(max_range_multiple=2.0, features=("wind",))
    assert read.matures_after == timedelta(days=2)
