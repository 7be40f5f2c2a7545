"""What makes a feature another one, and what does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ml_assets.spec.feature_versions import changed_features, feature_definitions
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets_tests.rehearsal import small_spec

Change = Callable[[dict[str, Any]], None]


def changed(change: Change) -> list[str]:
    """Give the features that a change of the declaration makes others."""
    declared = small_spec().model_dump(by_alias=True)
    change(declared)
    return changed_features(
        feature_definitions(small_spec()), feature_definitions(UseCaseSpec.model_validate(declared))
    )


def view(declared: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in declared["features"]["views"] if each["name"] == name)


def expression(declared: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in declared["features"]["expressions"] if each["name"] == name)


def test_every_feature_has_a_definition_of_its_own() -> None:
    found = feature_definitions(small_spec())

    assert set(found) == set(small_spec().features.feature_names())
    assert len(set(found.values())) == len(found)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: view(d, "carrier").update(description="said otherwise"),
        lambda d: d["features"].update(views=d["features"]["views"][::-1]),
        lambda d: expression(d, "distance_mi").update(description="said otherwise"),
        lambda d: d["model"].update(seed=7),
    ],
)
def test_words_order_and_the_model_change_no_feature(change: Change) -> None:
    assert changed(change) == []


def test_another_aggregate_changes_its_features_and_the_expressions_on_them() -> None:
    def change(declared: dict[str, Any]) -> None:
        view(declared, "carrier")["aggregates"]["late_share"] = "mean(arrival_delay_min >= 30)"

    assert changed(change) == [
        "carrier_late_share_1d", "carrier_late_share_28d", "carrier_late_share_7d", "carrier_trend",
    ]  # fmt: skip


def test_source_that_becomes_known_at_another_time_changes_the_features_from_it() -> None:
    def change(declared: dict[str, Any]) -> None:
        source = next(each for each in declared["sources"] if each["name"] == "weather")
        source["known_at"] = "observed_at + INTERVAL 2 HOUR"

    found = changed(change)
    assert found
    assert all(name.startswith("weather_") for name in found)


def test_expression_that_reads_other_columns_is_another_one() -> None:
    assert changed(lambda d: expression(d, "distance_mi").update(sql="distance_mi / 2")) == ["distance_mi"]


def test_what_a_forecast_is_for_and_how_it_is_asked_change_its_features_alone() -> None:
    def declare(declared: dict[str, Any], **more: Any) -> None:
        source = next(each for each in declared["sources"] if each["name"] == "weather")
        source |= {"key": ["origin", "observed_at"], "event_at": None}
        source["forecast"] = {
            "issued_at": "observed_at",
            "for": "observed_at + INTERVAL 6 HOUR",
            **more.pop("times", {}),
        }
        view(declared, "weather").update({"within": "1h", **more})

    def definitions(**more: Any) -> dict[str, str]:
        declared = small_spec().model_dump(by_alias=True)
        declare(declared, **more)
        return feature_definitions(UseCaseSpec.model_validate(declared))

    before = definitions()
    for change in (
        {"times": {"for": "observed_at + INTERVAL 7 HOUR"}},
        {"for": "scheduled_departure_at"},
        {"within": "2h"},
    ):
        declared = {"within": "1h", **change}
        found = changed_features(before, definitions(**declared))
        assert found, change
        assert all(name.startswith("weather_") for name in found), change
