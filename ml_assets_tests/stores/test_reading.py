"""The read API for notebooks."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

import ml_assets
from ml_assets.stores.delta_log import Forgotten, write_forgotten
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths

DROPS = [date(2013, 1, day) for day in (1, 2, 3)]


@pytest.fixture
def data(tmp_path: Path) -> StatePaths:
    paths = StatePaths(tmp_path)
    lake = Lake(paths.lake / "flights")
    scores = pa.table({"batch_date": DROPS[::-1], "score": [0.3, 0.2, 0.1], "_run_id": ["c", "b", "a"]})
    lake.replace_drops("predictions", scores, DROPS)
    lake.append("champion", pa.table({"as_of": DROPS, "verdict": ["promoted", "refused", "promoted"]}))
    lake.replace("training_set", pa.table({"as_of": DROPS, "label": [0, 1, 0]}))
    return paths


def test_rows_come_in_order_of_drop_without_provenance(data: StatePaths) -> None:
    frame = ml_assets.read("flights", "predictions", data=data)

    assert list(frame.columns) == ["batch_date", "score"]
    assert frame["score"].tolist() == [0.1, 0.2, 0.3]


@pytest.mark.parametrize("as_of", ["2013-01-02", date(2013, 1, 2)])
def test_as_of_a_drop_nothing_later_is_read(data: StatePaths, as_of: date | str) -> None:
    assert ml_assets.read("flights", "predictions", as_of=as_of, data=data)["score"].tolist() == [0.1, 0.2]
    assert ml_assets.read("flights", "champion", as_of=as_of, data=data)["verdict"].tolist() == ["promoted", "refused"]


@pytest.mark.parametrize("as_of", ["2012-12-31", "2013-01-04"])
def test_moment_outside_the_drops_is_a_mistake_that_names_the_range(data: StatePaths, as_of: str) -> None:
    told = f"as_of: found {as_of}; allowed: a drop that was run, from 2013-01-01 to 2013-01-03"

    with pytest.raises(ValueError, match=told):
        ml_assets.read("flights", "predictions", as_of=as_of, data=data)


def test_drops_that_were_run_are_those_of_the_ledger_and_not_of_the_table_alone(data: StatePaths) -> None:
    later = date(2013, 1, 5)
    Lake(data.lake / "flights").replace_drops(
        "drops", pa.table({"batch_date": [*DROPS, later], "state": ["admitted"] * 4}), [*DROPS, later]
    )

    assert len(ml_assets.read("flights", "predictions", as_of=later, data=data)) == 3


def test_table_without_drops_is_read_as_it_stands(data: StatePaths) -> None:
    assert len(ml_assets.read("flights", "training_set", data=data)) == 3
    with pytest.raises(ValueError, match=r"flights\.training_set knows no drops"):
        ml_assets.read("flights", "training_set", as_of="2013-01-02", data=data)


def test_unknown_table_is_named_with_the_nearest(data: StatePaths) -> None:
    with pytest.raises(LookupError, match=r"there is no table flights\.prediction; .*flights\.predictions"):
        ml_assets.read("flights", "prediction", data=data)


def test_features_are_read_as_they_were_when_they_were_scored(tmp_path: Path) -> None:
    data = StatePaths(tmp_path)
    lake = Lake(data.lake / "flights")
    for day, value in ((0, 1.0), (1, 2.0), (2, 3.0)):
        version = lake.replace_drops("features", pa.table({"batch_date": [DROPS[day]], "x": [value]}), [DROPS[day]])
        if day < 2:  # nothing served the last
            scored = pa.table({"batch_date": [DROPS[day]], "score": [0.1], "_features_version": [version]})
            lake.replace_drops("predictions", scored, [DROPS[day]])
    again = pa.table({"batch_date": DROPS, "x": [10.0, 20.0, 30.0], "added": [1, 1, 1]})
    lake.replace_drops("features", again, DROPS)

    assert ml_assets.read("flights", "features", data=data)["x"].tolist() == [10.0, 20.0, 30.0]
    served = ml_assets.read("flights", "features", as_served=True, data=data)
    assert (list(served.columns), served["x"].tolist()) == (["batch_date", "x"], [1.0, 2.0])
    assert ml_assets.read("flights", "features", as_of=DROPS[0], as_served=True, data=data)["x"].tolist() == [1.0]
    lake.replace_drops("predictions", pa.table({"batch_date": [DROPS[2]], "score": [0.1], "_features_version":
                                               [lake.version("features")]}), [DROPS[2]])  # fmt: skip
    assert list(ml_assets.read("flights", "features", as_of=DROPS[1], as_served=True, data=data)) == ["batch_date", "x"]
    assert "added" in ml_assets.read("flights", "features", as_served=True, data=data)
    write_forgotten(lake.folder / "features", Forgotten(lake.version("features") or 0))
    with pytest.warns(UserWarning, match="flights: 2 drops were scored from versions of features that are no longer"):
        served = ml_assets.read("flights", "features", as_served=True, data=data)
    assert served["x"].tolist() == [10.0, 20.0, 30.0]
    with pytest.raises(ValueError, match="as_served: found for predictions; allowed: features"):
        ml_assets.read("flights", "predictions", as_served=True, data=data)
