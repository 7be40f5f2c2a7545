from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from ml_assets.pipeline.ingestion.source_facts import list_sources
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.rehearsal import day, flagship

SPEC = flagship()
DROPS = [day(1), day(2)]


def test_sources_stand_at_nothing_before_anything_has_run(tmp_path: Path) -> None:
    found = list_sources(SPEC, UseCaseState(SPEC.name, StatePaths(tmp_path)))

    assert [row["source"] for row in found] == [source.name for source in SPEC.sources]
    assert {(row["newest_drop"], row["rows"], row["refused"]) for row in found} == {(None, 0, 0)}
    assert all(rule["broken"] == rule["refused"] == rule["not_judged"] == 0 for row in found for rule in row["rules"])


def test_reasons_are_counted_the_most_frequent_first(tmp_path: Path) -> None:
    state = UseCaseState(SPEC.name, StatePaths(tmp_path))
    table = pa.table({"batch_date": [*DROPS, day(2)], "reason": ["b", "a", "a"]})
    state.lake.replace_drops("quarantine_weather", table, DROPS)

    (weather,) = [row for row in list_sources(SPEC, state) if row["source"] == "weather"]

    assert list(weather["reasons"].items()) == [("a", 2), ("b", 1)]
