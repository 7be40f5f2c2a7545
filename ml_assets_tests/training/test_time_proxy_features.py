from __future__ import annotations

import numpy as np
import pandas as pd

from ml_assets.training.time_proxy_features import time_proxy_features

N_DROPS, A_DROP = 30, 20


def _drops() -> pd.DataFrame:
    """Thirty drops of twenty examples, the last eight held out."""
    rng = np.random.default_rng(0)
    drop = np.repeat(np.arange(N_DROPS), A_DROP)
    of_drop = rng.normal(0, 1, N_DROPS)[drop]
    return pd.DataFrame(
        {
            "batch_date": pd.date_range("2013-01-01", periods=N_DROPS).to_numpy()[drop],
            "split": np.where(drop >= 22, "holdout", "train"),
            "season": np.sin(drop / N_DROPS * np.pi / 2),
            "since_event": np.where(drop < 12, drop, drop - 12).astype(float),
            "weather": of_drop,
            "rare": (drop % 11 == 3).astype(float),
            "carrier_share": of_drop + rng.normal(0, 1, drop.size),
            "month": np.where(drop < 10, "January", np.where(drop < 20, "February", "March")),
            "constant": 1.0,
            "unknown": np.nan,
        }
    )


def _found(rows: pd.DataFrame) -> list[str]:
    features = [str(name) for name in rows if name not in ("batch_date", "split")]
    return [each.name for each in time_proxy_features(rows, features)]


def test_what_moves_on_with_time_is_found_and_what_comes_again_is_not() -> None:
    assert _found(_drops()) == ["season", "since_event", "month"]


def test_the_reason_says_where_the_held_out_drops_are() -> None:
    season, since, _ = time_proxy_features(_drops(), ["season", "since_event", "month"])

    assert season.outside == 1.0
    assert "it goes up with time" in season.reason
    assert since.outside == 6 / 8
    assert "75% of the held-out drops are outside" in since.reason
    assert "with time" not in since.reason


def test_the_early_examples_of_the_next_day_hide_nothing_and_the_order_of_rows_says_nothing() -> None:
    rows = _drops()
    rows.loc[rows.index % A_DROP == 0, "season"] = rows["season"].shift(-A_DROP).fillna(1.0)

    assert "season" in _found(rows)
    assert _found(rows.sample(frac=1.0, random_state=1))[:2] == ["season", "since_event"]


def test_few_drops_are_in_order_by_chance() -> None:
    rows = _drops()

    assert not _found(rows.loc[rows["batch_date"] >= pd.Timestamp("2013-01-16")])
