from __future__ import annotations

from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from ml_assets.graph.assets.columns import describe_columns
from ml_assets.reports.column_descriptions import feature_descriptions
from ml_assets_tests.rehearsal import flagship, rehearse, small_spec


def description(layer: str, table: str, column: str, said: dict[str, str] | None = None) -> str:
    found = describe_columns(flagship(), layer, table, {column: "DOUBLE"}, said)
    schema = found["dagster/column_schema"]
    assert isinstance(schema, dg.TableSchema)
    (described,) = schema.columns
    assert (described.name, described.type) == (column, "DOUBLE")
    return described.description or ""


def test_description_of_a_feature_says_all_of_it_and_links_the_assets_it_is_made_of() -> None:
    said = feature_descriptions(flagship(), {"carrier_late_share_7d": (2, date(2013, 1, 5))})

    assert description("features", "features", "carrier_late_share_7d", said) == (
        "How the carrier has been doing.\n\n"
        "`mean(arrival_delay_min >= 15)` over 7d, of flight_outcomes by carrier. Unit: share. Null: no fact of its "
        "carrier in the 7d before with a value. Owner: team:flight-operations. Version 2 since 2013-01-05.\n\n"
        "← [validated/flight_outcomes](/assets/flight_delays/validated/flight_outcomes): arrival_delay_min, carrier, "
        "known_at; [features/examples](/assets/flight_delays/features/examples): carrier, prediction_at"
    )


def test_description_of_a_source_keeps_its_unit_and_leads_to_raw() -> None:
    assert description("validated", "flight_outcomes", "arrival_delay_min") == (
        "negative is early; null when cancelled or diverted [min]\n\n"
        "← [raw/flight_outcomes](/assets/flight_delays/raw/flight_outcomes): arrival_delay_min"
    )


def test_score_is_made_of_more_columns_than_are_named() -> None:
    count = len(flagship().features.feature_names())

    assert description("predictions", "predictions", "score") == (
        "what is acted on: the champion's with its prior shift, the baseline's, or of an arm\n\n"
        f"← [features/features](/assets/flight_delays/features/features): {count} columns"
    )
    assert description("predictions", "predictions", "model_version") == "the champion of the drop"


def test_lineage_names_columns_of_other_assets_as_dagster_does() -> None:
    lineage = describe_columns(flagship(), "features", "features", {"carrier_trend": "DOUBLE"})[
        "dagster/column_lineage"
    ]

    assert isinstance(lineage, dg.TableColumnLineage)
    deps = {(each.asset_key.to_user_string(), each.column_name) for each in lineage.deps_by_column["carrier_trend"]}
    assert deps == {
        ("flight_delays/validated/flight_outcomes", "arrival_delay_min"),
        ("flight_delays/validated/flight_outcomes", "carrier"),
        ("flight_delays/validated/flight_outcomes", "known_at"),
        ("flight_delays/features/examples", "carrier"),
        ("flight_delays/features/examples", "prediction_at"),
    }


@pytest.mark.slow  # a run of all assets; the tests above say what each has
def test_run_leaves_lineage_at_the_last_drop_of_each_asset_and_it_leads_to_columns_that_are_there(
    tmp_path: Path,
) -> None:
    result = rehearse(tmp_path, last=2).graph.batch(1, 2)

    shown: dict[str, dict[str, object]] = {}
    for event in result.get_asset_materialization_events():
        materialization = event.step_materialization_data.materialization
        asset = "/".join(materialization.asset_key.path[1:])
        has_lineage = "dagster/column_lineage" in materialization.metadata
        assert not (has_lineage and materialization.partition == "2013-01-01"), asset
        if has_lineage:
            shown[asset] = {name: value.value for name, value in materialization.metadata.items()}
    assert set(shown) == {
        *(f"validated/{source.name}" for source in small_spec().sources),
        "training/labels", "features/examples", "features/features", "predictions/predictions",
    }  # fmt: skip
    columns = {asset: _columns(metadata) for asset, metadata in shown.items()}
    columns |= {f"raw/{source.name}": set(source.columns) for source in small_spec().sources}
    for asset, metadata in shown.items():
        lineage = metadata["dagster/column_lineage"]
        assert isinstance(lineage, dg.TableColumnLineage)
        assert set(lineage.deps_by_column) <= columns[asset]
        for deps in lineage.deps_by_column.values():
            assert [dep for dep in deps if dep.column_name not in columns["/".join(dep.asset_key.path[1:])]] == []
    assert columns["features/features"] == {"batch_date", "example_id", "prediction_at",
                                            *small_spec().features.feature_names()}  # fmt: skip


def _columns(metadata: dict[str, object]) -> set[str]:
    schema = metadata["dagster/column_schema"]
    assert isinstance(schema, dg.TableSchema)
    return {column.name for column in schema.columns}
