from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ml_assets.spec.catalogue import FeatureEntry, catalogue
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets_tests.rehearsal import flagship

EXPRESSIONS = [{"name": "carrier", "sql": "carrier"}, {"name": "departure_hour", "sql": "departure_hour"}]


def entries_of(
    views: list[dict[str, Any]], expressions: list[dict[str, Any]] | None = None, **features: Any
) -> dict[str, FeatureEntry]:
    """Give the catalogue of the flagship with other features."""
    declared = flagship().model_dump(by_alias=True)
    declared["model"] |= {"behaviours": [], "abstain": None}  # they name features that are not in this one
    declared["features"] |= {"views": views, "expressions": [*EXPRESSIONS, *(expressions or [])], **features}
    declared["monitoring"]["slices"] = []
    return {each.feature: each for each in catalogue(UseCaseSpec.model_validate(declared))}


def outcomes(aggregates: Mapping[str, str], **view: Any) -> dict[str, Any]:
    return {"name": "v", "from": "flight_outcomes", "entity": ["carrier"], "windows": ["7d"],
            "aggregates": dict(aggregates), **view}  # fmt: skip


@pytest.mark.parametrize(
    ("aggregate", "unit", "null"),
    [
        ("count(*)", "count", "never null"),
        ("count(arrival_delay_min)", "count", "never null"),
        ("distinct(dest)", "count", "never null"),
        ("mean(status = 'cancelled')", "share", "no fact of its carrier in the 7d before"),
        ("share(arrival_delay_min > 15)", "share", "no fact of its carrier in the 7d before with a value"),
        ("sum(status = 'cancelled')", "count", "no fact of its carrier in the 7d before"),
        ("max(arrival_delay_min)", "min", "no fact of its carrier in the 7d before with a value"),
        ("last(air_time_min)", "min", "no fact of its carrier in the 7d before with a value"),
        ("std(air_time_min)", "min", "fewer than two facts of its carrier in the 7d before with a value"),
        (
            "mean(arrival_delay_min - departure_delay_min)",
            "min",
            "no fact of its carrier in the 7d before with a value",
        ),
        ("mean(arrival_delay_min * 60)", "", "no fact of its carrier in the 7d before with a value"),
        ("mean(coalesce(air_time_min, 0))", "", "no fact of its carrier in the 7d before"),
        ("hours_since_last(*)", "h", "no fact of its carrier in the 7d before"),
    ],
)
def test_unit_and_null_of_a_window_are_derived_where_that_is_certain(aggregate: str, unit: str, null: str) -> None:
    found = entries_of([outcomes({"a": aggregate})])["v_a_7d"]

    assert (found.unit, found.null_means) == (unit, null)
    assert (found.value, found.over, found.source) == (aggregate, "7d", "flight_outcomes by carrier")


def test_latest_value_has_the_unit_of_its_column_and_its_age_is_in_hours() -> None:
    view = {
        "name": "w",
        "from": "weather",
        "entity": ["origin"],
        "latest": ["temp_f"],
        "max_age": "6h",
        "with_age": True,
    }

    found = entries_of([view])

    assert (found["w_temp_f"].unit, found["w_age_h"].unit) == ("°F", "h")
    assert found["w_temp_f"].null_means == "no fact of its origin younger than 6h, or one without temp_f"
    assert found["w_age_h"].null_means == "no fact of its origin younger than 6h"


def test_column_that_a_view_derives_keeps_its_unit_and_its_nulls() -> None:
    view = outcomes({"a": "mean(made_up_min)"}, derive={"made_up_min": "departure_delay_min - arrival_delay_min"},
                    where="status = 'completed'")  # fmt: skip

    found = entries_of([view])["v_a_7d"]

    assert found.unit == "min"
    assert found.null_means == "no fact of its carrier where status = 'completed' in the 7d before with a value"


def test_what_is_said_comes_before_what_is_derived_but_counts_are_never_null() -> None:
    view = outcomes({"n": "count(*)", "late": "mean(arrival_delay_min > 15)"}, units={"late": "% of arrivals"},
                    null_means="a new carrier", owner="team:carriers")  # fmt: skip

    found = entries_of([view], owner="team:desk")

    assert (found["v_late_7d"].unit, found["v_late_7d"].null_means) == ("% of arrivals", "a new carrier")
    assert (found["v_n_7d"].unit, found["v_n_7d"].null_means) == ("count", "never null")
    assert (found["v_n_7d"].owner, found["carrier"].owner) == ("team:carriers", "team:desk")


@pytest.mark.parametrize(
    ("sql", "unit", "null"),
    [
        ("distance_mi", "mi", "distance_mi of schedule is null"),
        ("carrier = 'UA'", "true or false", "never null"),
        ("origin_day_departures", "count", "never null"),
        ("v_n_7d", "count", "never null"),
        ("v_late_7d - v_late_7d", "share", "v_late_7d is null"),
        ("distance_mi + v_late_7d", "", "distance_mi of schedule is null, or v_late_7d is null"),
        ("coalesce(v_late_7d, 0)", "", "never null"),
        ("v_late_7d IS NULL", "true or false", "never null"),
        ("CASE WHEN v_late_7d > 1 THEN 1 END", "", ""),
        ("nullif(distance_mi, 0)", "", ""),
        ("TRY_CAST(carrier AS INTEGER)", "", ""),
    ],
)
def test_unit_and_null_of_an_expression_are_derived_where_that_is_certain(sql: str, unit: str, null: str) -> None:
    view = outcomes({"n": "count(*)", "late": "mean(arrival_delay_min > 15)"})

    found = entries_of([view], [{"name": "asked", "sql": sql}])["asked"]

    assert (found.unit, found.null_means) == (unit, null)


def test_features_of_a_forecast_say_which_moments_they_are_of() -> None:
    declared = flagship().model_dump(by_alias=True)
    declared["model"] |= {"behaviours": [], "abstain": None}
    weather = next(source for source in declared["sources"] if source["name"] == "weather")
    weather |= {"key": ["origin", "observed_at"], "event_at": None}
    weather["forecast"] = {"issued_at": "observed_at", "for": "observed_at + INTERVAL 6 HOUR"}
    declared["features"]["views"] = [
        {"name": "then", "from": "weather", "entity": ["origin"], "for": "scheduled_departure_at", "within": "1h",
         "latest": ["wind_speed_mph"], "ahead": ["3h"], "with_lead": True, "max_age": "1d"},
        {"name": "day", "from": "weather", "entity": ["origin"], "ahead": ["24h"],
         "aggregates": {"peak_mph": "max(wind_speed_mph)", "hours": "count(*)"}},
    ]  # fmt: skip
    declared["features"]["expressions"] = [
        {"name": name, "sql": name} for name in ("carrier", "origin", "departure_hour")
    ]
    spec = UseCaseSpec.model_validate(declared)

    found = {each.feature: (each.value, each.over, each.unit, each.null_means) for each in catalogue(spec)}

    of_three = (
        "no forecast of its origin for the 1h up to 3h ahead of scheduled_departure_at, issued less than 1d before"
    )
    assert found["then_wind_speed_mph_3h"] == (
        "forecast wind_speed_mph 3h ahead of scheduled_departure_at",
        "",
        "mph",
        f"{of_three}, or one without wind_speed_mph",
    )
    assert found["then_lead_h_3h"][2:] == ("h", of_three)
    assert found["day_peak_mph_1d"] == (
        "max(wind_speed_mph)",
        "1d ahead",
        "mph",
        "no forecast of its origin for the 1d after prediction_at with a value",
    )
    assert found["day_hours_1d"][2:] == ("count", "never null")


def test_features_without_an_owner_belong_to_the_owners_of_the_use_case() -> None:
    assert entries_of([])["carrier"].owner == "team:flight-operations"


def test_every_feature_of_the_flagship_says_what_it_is() -> None:
    found = catalogue(flagship())

    assert tuple(each.feature for each in found) == flagship().features.feature_names()
    unsaid = {each.feature for each in found
              if not (each.description and each.unit and each.null_means and each.owner)}  # fmt: skip
    assert unsaid == set()
