"""Scores kept in a file a model: each drop is scored once, and again where its features are other files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from ml_assets.spec.drop import DropKey
from ml_assets.stores import kept_scores
from ml_assets.stores.kept_scores import KeptScores, scores_schema
from ml_assets.stores.lake import Lake
from ml_assets.stores.table_files import TableFiles

DROPS = [date(2024, 1, 1) + timedelta(days=number) for number in range(6)]


class Model:
    def __init__(self, value: float) -> None:
        self.value, self.scored = value, list[DropKey]()

    def score(self, drops: Sequence[DropKey]) -> pa.Table:
        self.scored += drops
        at = datetime(2024, 1, 1, tzinfo=UTC)
        rows = [
            {"batch_date": drop, "example_id": f"{n}", "prediction_at": at, "score": self.value + n}
            for drop in drops
            for n in range(2)
        ]
        return pa.Table.from_pylist(rows, scores_schema(rows[0]["batch_date"]))


def features(folder: Path, drops: Sequence[date]) -> TableFiles:
    lake = Lake(folder / "lake")
    rows = pa.table({"batch_date": pa.array(drops, pa.date32()), "x": [1.0] * len(drops)})
    lake.replace_drops("features", rows, list(drops))
    return lake.files("features")


def test_drops_are_scored_once_and_come_in_order(tmp_path: Path) -> None:
    files, model, kept = features(tmp_path, DROPS), Model(0.5), KeptScores(tmp_path / "scores")

    kept.of("m1", files, [DROPS[3], DROPS[1]], model.score)
    found = KeptScores(tmp_path / "scores").of("m1", files, DROPS[:4], model.score)

    assert model.scored == [DROPS[3], DROPS[1], DROPS[0], DROPS[2]]
    assert found == Model(0.5).score(DROPS[:4])


def test_another_model_and_other_files_of_features_are_scored_anew(tmp_path: Path) -> None:
    files, model, kept = features(tmp_path, DROPS), Model(0.5), KeptScores(tmp_path / "scores")
    kept.of("m1", files, DROPS, model.score)

    other = Model(0.7)
    assert kept.of("m2", files, DROPS[:1], other.score)["score"].to_pylist() == [0.7, 1.7]
    again = features(tmp_path, DROPS[2:3])
    model.scored.clear()
    kept.of("m1", again, DROPS, model.score)
    assert model.scored == [DROPS[2]]


def test_drop_without_features_has_no_scores(tmp_path: Path) -> None:
    files, model = features(tmp_path, DROPS[:2]), Model(0.5)

    assert KeptScores(tmp_path / "scores").of("m1", files, [DROPS[4]], model.score).num_rows == 0
    assert model.scored == []


def test_damaged_file_is_made_again_and_only_some_models_are_kept(tmp_path: Path) -> None:
    files, model, kept = features(tmp_path, DROPS), Model(0.5), KeptScores(tmp_path / "scores")
    expected = kept.of("m1", files, DROPS, model.score)
    (tmp_path / "scores" / "m1.arrow").write_bytes(b"half")
    assert kept.of("m1", files, DROPS, model.score) == expected

    for number in range(2, 9):
        kept.of(f"m{number}", files, DROPS, model.score)
    assert len(list((tmp_path / "scores").glob("*.arrow"))) == kept_scores._MOST_MODELS


def test_folder_that_cannot_be_written_costs_only_the_work(tmp_path: Path) -> None:
    files, model = features(tmp_path, DROPS), Model(0.5)
    (tmp_path / "scores").write_text("a file where the folder would be")

    assert KeptScores(tmp_path / "scores").of("m1", files, DROPS, model.score).num_rows == 12
