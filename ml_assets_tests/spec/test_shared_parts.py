from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from ml_assets.spec.asset_versions import asset_versions
from ml_assets.spec.declaration import DeclarationError, load_use_case, locate_use_case
from ml_assets.spec.json_schema import declaration_schema

WEATHER = """\
  - name: weather
    key: [station, observed_at]
    event_at: observed_at
    known_at: observed_at + INTERVAL 1 HOUR
    columns:
      station: {type: string}
      observed_at: {type: timestamp}
      temp_f: {type: float, unit: "°F"}
    expectations:
      - {expect: expect_table_row_count_to_be_between, arguments: {min_value: 23}, reason: few_rows}
      - {expect: expect_column_values_to_be_between, arguments: {column: temp_f, max_value: 120}, reason: too_hot}
    volume: [{within: 0.3, reason: odd_volume}]
"""
SOURCES = """\
  - name: trips
    key: [trip]
    columns:
      trip: {type: string}
      station: {type: string}
  - name: ends
    key: [trip]
    known_at: ended_at
    columns:
      trip: {type: string}
      ended_at: {type: timestamp}
      is_late: {type: integer}
"""
VIEW = "    - {name: air, from: weather, entity: [station], latest: [temp_f], max_age: 6h}\n"


def declare(folder: Path, sources: str, *, view: str, labels: str = "sql/labels.sql", expression: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "sql").mkdir()
    (folder / "sql/examples.sql").write_text("SELECT trip AS example_id, station FROM trips\n")
    if labels == "sql/labels.sql":
        (folder / labels).write_text("SELECT trip AS example_id, is_late AS label, known_at FROM ends\n")
    (folder / "defs.yaml").write_text(
        f"""\
type: ml_assets.UseCase
attributes:
  name: {folder.name}
  clock: data
  calendar: {{start: 2013-01-01, end: 2013-12-31, every: 1d, at: "04:00", timezone: America/New_York}}
  sources:
{sources}{SOURCES}
  examples: {{from: [trips], sql: sql/examples.sql}}
  labels: {{from: [ends], sql: {labels}, matures_after: 2d}}
  features:
    views:
{view}    expressions:
      - {expression}
  model:
    holdout: 14d
    min_relative_gain: 0.003
    candidates:
      - {{name: constant, kind: constant}}
      - {{name: history, kind: group_history, group_by: [station]}}
    gate: {{min_gain: 0.003, max_loss: 0, interval_level: 0.95, resamples: 500, min_auc: 0.6, max_auc_drop: 0.02,
           max_ece: 0.1, min_examples: 200, min_days: 7}}
  worklist: {{capacity: 5}}
"""
    )
    return folder


@pytest.fixture
def daily(tmp_path: Path) -> Path:
    """A use case that writes out all it has, and from which others take."""
    expression = "{name: station, sql: station, description: where}"
    return declare(tmp_path / "daily", WEATHER, view=VIEW, expression=expression)


def takes(root: Path, sources: str = "  - like: daily/weather\n", view: str = "    - like: daily/air\n",
          labels: str = "../daily/sql/labels.sql", expression: str = "{like: daily/station}") -> Path:  # fmt: skip
    return declare(root / "hourly", sources, view=view, labels=labels, expression=expression)


def mistakes_of(folder: Path) -> list[str]:
    with pytest.raises(DeclarationError) as found:
        load_use_case(folder)
    return [str(mistake) for mistake in found.value.mistakes]


def test_what_is_taken_is_as_if_it_were_written_out(daily: Path) -> None:
    other, written = load_use_case(takes(daily.parent)), load_use_case(daily)

    assert other.model_copy(update={"name": "daily"}) == written
    assert asset_versions(other) == asset_versions(written)


def test_keys_of_the_taker_stand_in_place_and_rules_are_left_out_by_their_reason(daily: Path) -> None:
    own = '  - {like: daily/weather, without: [few_rows, odd_volume], arrives: sometimes, null_values: ["-"]}\n'
    taken, written = (load_use_case(each).source("weather") for each in (takes(daily.parent, own), daily))

    assert [each.reason for each in taken.expectations] == ["too_hot"]
    assert (taken.volume, taken.arrives, taken.null_values) == ((), "sometimes", ("-",))
    assert (taken.columns, taken.known_at, taken.key) == (written.columns, written.known_at, written.key)


def test_a_part_may_be_taken_under_another_name(daily: Path) -> None:
    view = "    - {like: daily/air, name: outside, max_age: 2h}\n"
    found = load_use_case(takes(daily.parent, view=view)).features.views[0]

    assert (found.name, found.feature_names(), found.latest) == ("outside", ("outside_temp_f",), ("temp_f",))


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        ("  - like: daly/weather\n", "defs.yaml:7 sources[0].like: found 'daly'; allowed: daily; nearest: daily"),
        (
            "  - like: daily/wether\n",
            "defs.yaml:7 sources[0].like: found 'wether'; allowed: weather, trips, ends; nearest: weather; these are "
            "the sources of daily",
        ),
        ("  - like: daily\n", "found 'daily'; allowed: USE_CASE/NAME, as in flight_delays/weather"),
        ("  - like: ../daily/weather\n", "found '..'; allowed: daily"),
        ("  - like: hourly/weather\n", "found 'hourly'; allowed: daily"),
        (
            "  - like: daily/weather\n    without: [few_row]\n",
            "defs.yaml:8 sources[0].without[0]: found 'few_row'; allowed: few_rows, too_hot, odd_volume; nearest: "
            "few_rows",
        ),
    ],
)
def test_a_reference_that_leads_nowhere_is_one_mistake_with_its_line(daily: Path, sources: str, said: str) -> None:
    found = mistakes_of(takes(daily.parent, sources))

    assert len(found) == 1
    assert said in found[0]


def test_what_is_taken_itself_is_taken_from_where_it_is_written(daily: Path) -> None:
    takes(daily.parent, "  - {like: daily/weather, name: weather}\n")
    sources = "  - like: hourly/weather\n"
    third = declare(daily.parent / "third", sources, view=VIEW, expression="{name: station, sql: station}")

    assert "which is itself taken from daily/weather; allowed: where it is written" in mistakes_of(third)[0]


def test_rules_cannot_be_left_out_of_a_source_that_is_written_out(daily: Path) -> None:
    key = "    key: [station, observed_at]\n"
    text = (daily / "defs.yaml").read_text().replace(key, f"{key}    without: [too_hot]\n")
    (daily / "defs.yaml").write_text(text)

    said = "found rules to leave out of what is taken; allowed: beside `like`"
    assert mistakes_of(daily) == [f"defs.yaml:9 sources[0].without: {said}"]


def test_a_use_case_that_cannot_be_read_is_named_where_it_is_taken_from(daily: Path) -> None:
    folder = takes(daily.parent)
    (daily / "defs.yaml").write_text("type: [")

    found = mistakes_of(folder)
    assert found[0].startswith("defs.yaml:7 sources[0].like: found 'daily', whose defs.yaml cannot be read:")


def test_sql_of_another_use_case_is_read_and_its_mistakes_name_its_file(daily: Path) -> None:
    folder = takes(daily.parent)
    located = locate_use_case(folder)
    (daily / "sql/labels.sql").write_text("SELECT trip AS example_id, is_lat AS label, known_at FROM ends\n")

    assert located.places["training/labels"][0].file.resolve() == daily / "sql/labels.sql"
    assert mistakes_of(folder)[0].startswith("../daily/sql/labels.sql:1 labels.sql: ")


@pytest.mark.parametrize("name", ["../daily/sql/none.sql", "../../outside.sql", "../loose/labels.sql", ".."])
def test_sql_outside_of_the_use_cases_is_refused(daily: Path, name: str) -> None:
    for outside in (daily.parent.parent / "outside.sql", daily.parent / "loose" / "labels.sql"):
        outside.parent.mkdir(exist_ok=True)
        outside.write_text("SELECT trip AS example_id, is_late AS label, known_at FROM ends\n")

    found = mistakes_of(takes(daily.parent, labels=name))
    assert "or ../USE_CASE/FILE of another use case" in found[0]


def test_editors_accept_a_part_that_is_taken_and_no_other_without_its_keys() -> None:
    schema = declaration_schema()
    of_sources = Draft202012Validator({"$ref": "#/$defs/Source", "$defs": schema["$defs"]})

    assert of_sources.is_valid({"like": "daily/weather"})
    assert not of_sources.is_valid({"name": "weather"})


def test_use_cases_that_are_linked_into_a_project_share_parts_there(daily: Path, tmp_path: Path) -> None:
    elsewhere = takes(tmp_path / "elsewhere")
    linked = tmp_path / "project" / "hourly"
    linked.parent.mkdir()
    linked.symlink_to(elsewhere, target_is_directory=True)
    (linked.parent / "daily").symlink_to(daily, target_is_directory=True)

    assert load_use_case(linked).labels == load_use_case(daily).labels
    assert "found 'daily'; allowed: " in mistakes_of(elsewhere)[0]
