from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from ml_assets.spec.features import Aggregate, FeatureSpec, FeatureView, RowExpression, parse_aggregate


def view(**declared: Any) -> FeatureView:
    return FeatureView.model_validate({"name": "carrier", "from": "outcomes", "entity": ["carrier"], **declared})


def windowed(**more: Any) -> FeatureView:
    aggregates = {"late_share": "mean(delay_min >= 15)", "arrivals": "count(*)"}
    return view(windows=["1d", "90min", "28d"], aggregates=aggregates, **more)


def test_features_of_windows_are_named_by_view_aggregate_and_window() -> None:
    assert windowed().feature_names() == (
        "carrier_late_share_1d",
        "carrier_arrivals_1d",
        "carrier_late_share_90min",
        "carrier_arrivals_90min",
        "carrier_late_share_28d",
        "carrier_arrivals_28d",
    )
    assert windowed().lookback == timedelta(days=28)


def test_features_of_the_latest_fact_are_named_by_its_columns_and_age() -> None:
    declared = view(latest=["wind_mph", "precip_in"], max_age="6h", with_age=True)

    assert declared.feature_names() == ("carrier_wind_mph", "carrier_precip_in", "carrier_age_h")
    assert declared.lookback == timedelta(hours=6)
    assert view(latest=["seats"]).lookback is None


@pytest.mark.parametrize(
    ("text", "aggregate"),
    [
        ("count(*)", Aggregate("n", "count", "*")),
        (" max( coalesce(a, (b + 1)) ) ", Aggregate("n", "max", "coalesce(a, (b + 1))")),
        ("mean(CASE WHEN a\nTHEN 1 END)", Aggregate("n", "mean", "CASE WHEN a\nTHEN 1 END")),
    ],
)
def test_aggregate_is_a_function_of_an_expression(text: str, aggregate: Aggregate) -> None:
    assert parse_aggregate("n", text) == aggregate
    assert aggregate.counts_rows is (text == "count(*)")


@pytest.mark.parametrize("text", ["median(a)", "sum(*)", "count()", "mean a", "mean(a) + 1", "mean(a) - (b)", "*"])
def test_other_aggregates_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"n: found .*; allowed: count"):
        parse_aggregate("n", text)


@pytest.mark.parametrize(
    ("declared", "found"),
    [
        ({"windows": ["1d"]}, "windows and aggregates go together"),
        ({"aggregates": {"n": "count(*)"}}, "windows and aggregates go together"),
        ({}, "either windows and aggregates, or latest"),
        ({"windows": ["1d"], "aggregates": {"n": "count(*)"}, "latest": ["a"]}, "either windows and aggregates"),
        ({"windows": ["1d"], "aggregates": {"n": "count(*)"}, "max_age": "1d"}, "belong to latest"),
        ({"windows": ["1d"], "aggregates": {"n": "count(*)"}, "with_age": True}, "belong to latest"),
        ({"windows": ["1d"], "aggregates": {"n": "first(a)"}}, "found 'first\\(a\\)'"),
        ({"latest": ["Not A Name"]}, "String should match pattern"),
    ],
)
def test_view_is_either_windows_or_the_latest_fact(declared: dict[str, Any], found: str) -> None:
    with pytest.raises(ValidationError, match=found):
        view(**declared)


def test_features_are_listed_views_first_and_named_once() -> None:
    trend = RowExpression(name="trend", sql="carrier_arrivals_1d - carrier_arrivals_28d")

    assert FeatureSpec(views=(windowed(),), expressions=(trend,)).feature_names() == (
        *windowed().feature_names(),
        "trend",
    )
    with pytest.raises(ValidationError, match="found twice: carrier_arrivals_1d"):
        FeatureSpec(views=(windowed(),), expressions=(RowExpression(name="carrier_arrivals_1d", sql="1"),))
    with pytest.raises(ValidationError, match="found no feature"):
        FeatureSpec()
