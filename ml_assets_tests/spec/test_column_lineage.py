from __future__ import annotations

from functools import cache

from ml_assets.spec.column_lineage import (
    EXAMPLES,
    FEATURES,
    LABELS,
    PREDICTIONS,
    TRAINING_SET,
    ColumnAt,
    Lineage,
    across_assets,
    column_lineage,
    trace,
)
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets_tests.rehearsal import flagship


@cache
def lineage() -> Lineage:
    return column_lineage(flagship())


def step(asset: tuple[str, str], column: str) -> list[str]:
    return [str(each) for each in lineage()[asset][column]]


def test_validated_column_is_its_raw_one_and_its_times_are_what_the_contract_computes_them_of() -> None:
    outcomes = ("validated", "flight_outcomes")

    assert step(outcomes, "arrival_delay_min") == ["raw/flight_outcomes.arrival_delay_min"]
    assert step(outcomes, "known_at") == ["raw/flight_outcomes.reported_at"]
    assert step(outcomes, "event_at") == [
        "raw/flight_outcomes.scheduled_departure_at",
        "raw/flight_outcomes.arrived_at",
    ]
    assert step(("validated", "schedule"), "known_at") == []  # as received: nothing of the row claims it


def test_example_and_label_are_followed_through_their_select() -> None:
    assert step(EXAMPLES, "example_id") == ["validated/schedule.flight_id"]
    assert step(EXAMPLES, "origin_hour_departures") == [
        "validated/schedule.origin", "validated/schedule.scheduled_departure_at",
    ]  # fmt: skip
    assert step(LABELS, "label") == ["validated/flight_outcomes.arrival_delay_min"]


def test_feature_of_a_window_is_made_of_what_it_measures_and_what_decides_which_facts_count() -> None:
    assert step(FEATURES, "origin_hour_late_share_7d") == [
        "validated/flight_outcomes.arrival_delay_min",
        "validated/flight_outcomes.origin",
        "validated/flight_outcomes.scheduled_departure_at",  # the view derives departure_hour of it
        "validated/flight_outcomes.known_at",
        "features/examples.origin",
        "features/examples.departure_hour",
        "features/examples.prediction_at",
    ]


def test_feature_of_features_is_followed_through_to_other_assets() -> None:
    assert step(FEATURES, "dew_spread") == ["features/features.weather_temp_f", "features/features.weather_dewpoint_f"]

    beyond = across_assets(lineage(), FEATURES)

    assert [str(each) for each in beyond["dew_spread"]] == [
        "validated/weather.temp_f", "validated/weather.origin", "validated/weather.known_at",
        "validated/weather.event_at", "features/examples.origin", "features/examples.prediction_at",
        "validated/weather.dewpoint_f",
    ]  # fmt: skip
    assert all((each.layer, each.table) != FEATURES for origins in beyond.values() for each in origins)


def test_every_feature_goes_from_prediction_back_to_a_raw_column() -> None:
    names = flagship().features.feature_names()

    assert step(PREDICTIONS, "score") == [f"features/features.{name}" for name in names]
    assert step(PREDICTIONS, "baseline_score") == ["features/features.carrier", "features/features.departure_hour"]
    assert step(TRAINING_SET, "carrier_late_share_7d") == ["features/features.carrier_late_share_7d"]
    for name in names:
        raw = {each for _, each in trace(lineage(), ColumnAt(*FEATURES, name)) if each.layer == "raw"}
        assert raw, name
        assert {each.column for each in raw} <= {c for source in flagship().sources for c in source.columns}


def test_trace_says_how_many_steps_away_each_column_is() -> None:
    steps = [(depth, str(each)) for depth, each in trace(lineage(), ColumnAt(*FEATURES, "distance_mi"))]

    assert steps == [
        (1, "features/examples.distance_mi"), (2, "validated/schedule.distance_mi"), (3, "raw/schedule.distance_mi"),
    ]  # fmt: skip


def test_filter_of_a_view_and_the_row_itself_decide_a_count() -> None:
    declared = flagship().model_dump(by_alias=True)
    declared["model"] |= {"behaviours": [], "abstain": None}  # they name features that are not in this one
    declared["features"]["views"] = [
        {"name": "v", "from": "flight_outcomes", "derive": {"gone": "status = 'cancelled'"}, "where": "NOT gone",
         "windows": ["7d"], "aggregates": {"n": "count(*)"}},
    ]  # fmt: skip
    declared["features"]["expressions"] = [
        {"name": name, "sql": name} for name in ("carrier", "origin", "departure_hour")
    ]

    made = column_lineage(UseCaseSpec.model_validate(declared))[FEATURES]

    assert [str(each) for each in made["v_n_7d"]] == [
        "validated/flight_outcomes.status", "validated/flight_outcomes.known_at", "features/examples.prediction_at",
    ]  # fmt: skip
