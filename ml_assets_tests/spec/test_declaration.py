from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import ml_assets
from ml_assets.spec.declaration import DeclarationError, find_use_cases, load_use_case

DEFS = Path(ml_assets.__file__).parent / "defs"
Broken = Callable[..., list[tuple[int, str, str]]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Copy the flagship, to be broken."""
    return Path(shutil.copytree(DEFS / "flight_delays", tmp_path / "flight_delays"))


@pytest.fixture
def broken(folder: Path) -> Broken:
    """Change texts of defs.yaml, and give line, key and message of each mistake that is found then."""

    def change(*changes: tuple[str, str]) -> list[tuple[int, str, str]]:
        text = (folder / "defs.yaml").read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        (folder / "defs.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(DeclarationError) as refused:
            load_use_case(folder)
        assert str(refused.value) == "\n".join(str(mistake) for mistake in refused.value.mistakes)
        return [(mistake.line, mistake.key, mistake.message) for mistake in refused.value.mistakes]

    return change


def line_of(text: str) -> int:
    """Give the first line of the flagship's declaration that holds `text`."""
    lines = (DEFS / "flight_delays" / "defs.yaml").read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, start=1) if text in line)


def test_flagship_reads_with_its_sql_in_place_of_the_names_of_files() -> None:
    spec = load_use_case(DEFS / "flight_delays")

    assert DEFS / "flight_delays" in find_use_cases(DEFS)
    assert [source.name for source in spec.sources] == ["schedule", "flight_outcomes", "weather", "planes", "airports"]
    assert spec.labels.sql == (DEFS / "flight_delays" / "sql" / "labels.sql").read_text(encoding="utf-8")
    assert (spec.calendar.timezone, spec.worklist.capacity, spec.source("weather").file_name) == (
        "America/New_York",
        50,
        "weather.csv",
    )


def test_every_mistake_is_found_in_one_pass_with_its_line_and_what_is_allowed(broken: Broken) -> None:
    found = broken(
        ("ml_assets.UseCase", "ml_assets.UseCas"),
        ("clock: data", "clok: data"),
        ("every: 1d", "every: 1x"),
        ("America/New_York", "America/New_Yrok"),
        ("sql/examples.sql", "sql/example.sql"),
        ("matures_after: 2d", "matures_after: 0d"),
        ("late_share: mean(", "late_share: median("),
        ("min_auc: 0.6", "min_auk: 0.6"),
        ("capacity: 50", "capacity: 0"),
    )
    by_key = {key: (line, message) for line, key, message in found}

    assert by_key["type"] == (1, "found 'ml_assets.UseCas'; allowed: ml_assets.UseCase; nearest: ml_assets.UseCase")
    assert by_key["clok"] == (
        line_of("clock: data"),
        "found 'clok'; allowed: name, description, owners, clock, task, calendar, sources, examples, labels, labeling, "
        "review, sampling, features, model, worklist, acted_on, deliveries, monitoring, retraining, retention, "
        "experiments; nearest: clock",
    )
    assert by_key["calendar.every"] == (
        line_of("every: 1d"),
        "found '1x'; allowed: a positive whole number and a unit of s, min, h, d, w, as in 7d",
    )
    assert by_key["calendar.timezone"] == (
        line_of("timezone: America/New_York"),
        "found 'America/New_Yrok'; allowed: an IANA time zone such as America/New_York",
    )
    assert by_key["examples.sql"] == (
        line_of("sql/examples.sql"),
        "found 'sql/example.sql'; allowed: a file of this folder: sql/examples.sql, sql/labels.sql; "
        "nearest: sql/examples.sql",
    )
    assert by_key["labels.matures_after"][0] == line_of("matures_after: 2d")
    assert by_key["features.views[0].aggregates.late_share"] == (
        line_of("late_share: mean("),
        "found 'median(arrival_delay_min >= 15)'; allowed: count(*), hours_since_last(*), or count, sum, mean, share, "
        "min, max, std, last, distinct, hours_since_last of an expression; nearest: mean",
    )
    assert by_key["model.gate.min_auc"] == (line_of("gate:"), "is required and missing")
    assert by_key["model.gate.min_auk"][1].endswith("; nearest: min_auc")
    assert by_key["worklist.capacity"] == (
        line_of("capacity: 50"),
        "found 0; allowed: 1 or more",
    )
    assert len(found) == len(by_key) == 10
    assert [line for line, _, _ in found] == sorted(line for line, _, _ in found)


def test_every_reference_to_nothing_is_found_where_it_stands(broken: Broken) -> None:
    found = broken(
        ("team:flight-operations", "Bob"),
        ("from: [schedule]", "from: [shedule]"),
        ("entity: [carrier]", "entity: [carier]"),
        ("latest: [", "latest: [nowhere, "),
        ("group_by: [carrier,", "group_by: [carier,"),
    )

    views = load_use_case(DEFS / "flight_delays").features.views
    of_carrier = next(place for place, view in enumerate(views) if view.entity == ("carrier",))
    of_latest = next(place for place, view in enumerate(views) if view.latest)
    assert [(line, key, message.split("; ")[0 if "nowhere" in message else -1]) for line, key, message in found] == [
        (line_of("team:flight-operations"), "owners[0]", "allowed: team:NAME or an e-mail address"),
        (line_of("from: [schedule]"), "examples.from[0]", "nearest: schedule"),
        (line_of("entity: [carrier]"), f"features.views[{of_carrier}].entity[0]", "nearest: carrier"),
        (line_of("latest: ["), f"features.views[{of_latest}].latest[0]", "found 'nowhere'"),
        (line_of("group_by: [carrier,"), "model.candidates[1].group_by[0]", "nearest: carrier"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "key", "message"),
    [
        (
            "name: airports",
            "name: planes",
            "sources[4].name",
            "found 'planes' again; allowed: a name once",
        ),
        (
            "kind: group_history",
            "kind: xgboost",
            "model.candidates[1].kind",
            "the first candidate is the baseline to beat; found 'xgboost'; allowed: group_history or feature_value",
        ),
        (
            "key: [tail_number]",
            "key: [tail]",
            "sources[3].key[0]",
            "found 'tail'; allowed: tail_number, manufactured_year, type, manufacturer, model, engines, seats, "
            "speed_mph, engine",
        ),
        (
            "    - name: planes",
            "    - name: batch",
            "sources[3].name",
            "found 'batch'; allowed: a name other than batch, drops, examples",
        ),
        (
            "column: engines,",
            "column: motors,",
            "sources[3].expectations[0].arguments.column",
            "found 'motors'; allowed: tail_number, manufactured_year, type, manufacturer, model, engines, seats, "
            "speed_mph, engine",
        ),
        (
            "name: flight_delays",
            "name: delays",
            "name",
            "found 'delays'; allowed: the folder's name, 'flight_delays'",
        ),
        (
            "sql: sql/labels.sql",
            "sql: ../flight_delays.sql",
            "labels.sql",
            "found '../flight_delays.sql'; allowed: a file of this folder: sql/examples.sql, sql/labels.sql, or "
            "../USE_CASE/FILE of another use case",
        ),
    ],
)
def test_mistake_is_named_with_what_is_allowed(broken: Broken, old: str, new: str, key: str, message: str) -> None:
    found = broken((old, new))

    assert (key, message) in [(where, said.partition("; nearest")[0]) for _, where, said in found]


def test_sql_file_that_is_not_there_is_named_with_those_that_are(folder: Path) -> None:
    (folder / "sql" / "labels.sql").unlink()

    with pytest.raises(DeclarationError) as refused:
        load_use_case(folder)

    assert str(refused.value) == (
        f"defs.yaml:{line_of('sql/labels.sql')} labels.sql: found 'sql/labels.sql'; allowed: a file of this folder: "
        "sql/examples.sql; nearest: sql/examples.sql"
    )


def test_yaml_that_does_not_read_is_one_mistake_with_its_line(broken: Broken) -> None:
    ((line, key, message),) = broken(("owners: [", "owners: [["))

    assert (line, key) == (line_of("clock: data"), "")
    assert "expected ',' or ']'" in message


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("", "defs.yaml:1 found nothing; allowed: a mapping of type and attributes"),
        ("just text", "defs.yaml:1 found 'just text'; allowed: a mapping of type and attributes"),
        (
            "type: ml_assets.UseCase\nattributes: [a, b]\n",
            "defs.yaml:2 attributes: found a list of 2; allowed: a mapping with the use case",
        ),
    ],
)
def test_declaration_without_attributes_is_one_mistake(folder: Path, content: str, found: str) -> None:
    (folder / "defs.yaml").write_text(content, encoding="utf-8")

    with pytest.raises(DeclarationError) as refused:
        load_use_case(folder)

    assert str(refused.value) == found


def test_missing_declaration_is_one_mistake_of_its_folder(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="No such file or directory") as refused:
        load_use_case(tmp_path)

    assert refused.value.folder == tmp_path
    assert find_use_cases(tmp_path) == []
