from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml_assets.spec.model import ModelCandidate, TrainingRecipe
from ml_assets.stores.model_store import ModelBundle, ModelStore, TamperedModelError
from ml_assets.training.estimators import fit_candidate

FLIGHTS = pd.DataFrame({"carrier": ["AA", "UA"] * 20, "hour": [6.0, 7.0, 18.0, 19.0] * 10})
LABELS = np.array([0, 0, 1, 1] * 10)


def bundle(**parameters: float) -> ModelBundle:
    history = ModelCandidate(name="history", kind="group_history", group_by=("carrier",), parameters=dict(parameters))
    linear = ModelCandidate(name="linear", kind="logistic_regression", parameters={"min_frequency": 1})
    model, baseline = (fit_candidate(candidate, FLIGHTS, LABELS, seed=0) for candidate in (linear, history))
    recipe = TrainingRecipe(matures_after=timedelta(days=2), candidates=(history, linear))
    until = "2013-03-15T08:00:00+00:00"
    return ModelBundle("2013-03-31", "linear", until, "cafe", recipe, ("carrier", "hour"), model, baseline)


@pytest.fixture(scope="module")
def made() -> ModelBundle:
    return bundle()


def test_stored_bundle_reads_back_and_predicts_the_same(tmp_path: Path, made: ModelBundle) -> None:
    store = ModelStore(tmp_path)
    stored = store.save(made)

    found = store.load(stored.model_version, stored.artifact_sha256)

    assert stored.model_version == f"2013-03-31-linear-{stored.artifact_sha256[:10]}"
    for name in ("as_of", "candidate", "trained_until", "training_set_hash", "recipe", "features"):
        assert getattr(found, name) == getattr(made, name)
    assert found.model.predict(FLIGHTS).tolist() == made.model.predict(FLIGHTS).tolist()
    assert found.baseline.predict(FLIGHTS).tolist() == made.baseline.predict(FLIGHTS).tolist()


def test_same_content_has_the_same_version_and_is_kept_once(tmp_path: Path, made: ModelBundle) -> None:
    store = ModelStore(tmp_path)

    first, again = store.save(made), store.save(bundle())

    assert again == first
    assert [path.name for path in tmp_path.iterdir()] == [first.model_version]


def test_other_content_has_another_version(tmp_path: Path, made: ModelBundle) -> None:
    store = ModelStore(tmp_path)
    others = [
        made,
        bundle(prior_strength=5),
        replace(made, training_set_hash="beef"),
        replace(made, as_of="2013-04-30"),
    ]

    versions = {store.save(other).model_version for other in others}

    assert len(versions) == 4


def test_changed_byte_in_any_file_is_refused(tmp_path: Path, made: ModelBundle) -> None:
    store = ModelStore(tmp_path)
    stored = store.save(made)
    files = sorted(path for path in stored.folder.rglob("*") if path.is_file())
    relative = [str(path.relative_to(stored.folder)) for path in files]

    for path in files:
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(TamperedModelError, match=f"{path.name}: found sha256 "):
            store.load(stored.model_version, stored.artifact_sha256)
        path.write_bytes(content)

    assert "manifest.json" in relative
    assert {name.split("/")[0] for name in relative} == {"manifest.json", "model", "baseline"}
    assert store.load(stored.model_version, stored.artifact_sha256).candidate == "linear"


def test_lost_file_is_refused_by_name(tmp_path: Path, made: ModelBundle) -> None:
    store = ModelStore(tmp_path)
    stored = store.save(made)
    next(stored.folder.glob("baseline/*")).unlink()

    with pytest.raises(TamperedModelError, match="the file is gone; its model cannot serve"):
        store.load(stored.model_version, stored.artifact_sha256)
    with pytest.raises(TamperedModelError, match="the file is gone; its model cannot serve"):
        store.load("2013-01-01-linear-0000000000", stored.artifact_sha256)


def test_model_of_an_older_version_is_refused_with_its_folder_and_what_to_do(
    tmp_path: Path, made: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ModelStore(tmp_path)
    monkeypatch.setattr(type(made.model), "to_files", lambda _: {"pipeline.skops": b"PK", "columns.json": b"{}"})
    stored = store.save(made)

    with pytest.raises(ValueError, match=rf"{stored.model_version}/model: .*older version of ml_assets .*retrain"):
        store.load(stored.model_version, stored.artifact_sha256)


def test_manifest_made_anew_for_changed_files_is_refused(tmp_path: Path, made: ModelBundle) -> None:
    store = ModelStore(tmp_path)
    recorded = store.save(made)
    forged = store.save(replace(made, training_set_hash="beef"))

    with pytest.raises(TamperedModelError, match=f"recorded when the gate saw it: {recorded.artifact_sha256}"):
        store.load(forged.model_version, recorded.artifact_sha256)


def test_model_without_a_verdict_is_marked_once_and_loses_the_mark_with_a_verdict_or_when_made_again(
    tmp_path: Path, made: ModelBundle
) -> None:
    store = ModelStore(tmp_path)
    one, two = store.save(made), store.save(bundle(prior_strength=5))
    mark = two.folder / "abandoned.txt"

    first, again = store.mark_abandoned([one.model_version]), store.mark_abandoned([one.model_version])

    assert (first, again) == ([two.model_version], [])
    assert mark.read_text() == "no verdict on this model was recorded\n"
    assert not (one.folder / "abandoned.txt").exists()
    store.load(two.model_version, two.artifact_sha256)
    assert store.mark_abandoned([one.model_version, two.model_version]) == []
    assert not mark.exists()
    store.mark_abandoned([one.model_version])
    assert mark.exists()
    store.save(bundle(prior_strength=5))
    assert not mark.exists()
