"""What a use case has: its sources and its features, as declared and as they stand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from ml_assets.cli.overview import rows_of
from ml_assets.cli.terminal import console, next_steps, print_json, table_of
from ml_assets.graph.feature_sets import read_sets, sets_of_drops
from ml_assets.spec.calendar import format_duration
from ml_assets.spec.contract_words import rules_in_words
from ml_assets.spec.feature_versions import feature_definitions
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths

_NOTED = (
    "SELECT reason, count(*) FILTER (is_judged), count(*) FILTER (is_refused), count(*) FILTER (NOT is_judged) "
    "FROM (SELECT reason, is_refused, coalesce(is_judged, true) AS is_judged FROM (SELECT NULL::BOOLEAN AS is_judged "
    "WHERE false UNION ALL BY NAME SELECT * FROM t)) GROUP BY reason"  # lakes from before rules about drops lack it
)


def run_sources(spec: UseCaseSpec, paths: StatePaths, pages: Mapping[str, Path], *, as_json: bool) -> None:
    """Print each source: what is declared, how far it has come, what its rows were quarantined for, and its page."""
    lake = Lake(paths.lake / spec.name)
    counts = {row[0]: row[1:] for row in rows_of(
        lake, "drops",
        "SELECT source, max(batch_date) FILTER (state = 'admitted'), sum(landed)::BIGINT, sum(quarantined)::BIGINT, "
        "count(*) FILTER (state IN ('missing', 'missing_accepted')), count(*) FILTER (state = 'refused') "
        "FROM t GROUP BY source")}  # fmt: skip
    found: list[dict[str, Any]] = []
    for source in spec.sources:
        newest, landed, quarantined, missing, refused = counts.get(source.name, (None, 0, 0, 0, 0))
        reasons = rows_of(
            lake, f"quarantine_{source.name}", "SELECT reason, count(*) AS n FROM t GROUP BY 1 ORDER BY n DESC, 1"
        )
        noted = {
            name: {"broken": broken, "refused": refusing, "not_judged": unjudged}
            for name, broken, refusing, unjudged in rows_of(lake, f"contract_{source.name}", _NOTED)
        }
        rules = [
            {**rule._asdict(), **noted.get(rule.reason, {"broken": 0, "refused": 0, "not_judged": 0})}
            for rule in rules_in_words(source)
        ]
        found.append({
            "source": source.name, "arrives": source.arrives, "when_missing": source.when_missing,
            "key": list(source.key), "columns": len(source.columns), "expectations": len(source.expectations),
            "newest_drop": newest, "rows": landed, "quarantined": quarantined, "missing": missing, "refused": refused,
            "reasons": dict(reasons), "rules": rules,
            "page": pages.get(source.name),
        })  # fmt: skip
    if as_json:
        print_json(found)
        return
    shown = ["source", "arrives", "key", "newest_drop", "rows", "quarantined", "missing"]
    rows = [[", ".join(row[name]) if name == "key" else row[name] for name in shown] for row in found]
    console.print(table_of(f"sources of {spec.name}", shown, rows))
    for row in found:
        for reason, number in row["reasons"].items():
            console.print(f"  {row['source']}: {reason} x{number:,}", markup=False, highlight=False)
    _show_drop_rules(spec, found)
    for page in pages.values():
        console.print(f"page: {page}", soft_wrap=True, highlight=False, markup=False)
    steps = {f"ml-assets requeue {spec.name} --source NAME --dry-run": "what could be brought back"}
    if not pages:
        steps[f"ml-assets sources {spec.name} --page"] = "each contract and what it found, as a page"
    next_steps(steps)


def _show_drop_rules(spec: UseCaseSpec, found: list[dict[str, Any]]) -> None:
    """Print the rules about whole drops, which leave no rows in quarantine where they only warn."""
    rows = [
        [row["source"], *(rule[name] for name in ("reason", "severity", "asks", "broken", "not_judged"))]
        for row, source in zip(found, spec.sources, strict=True)
        for rule in row["rules"]
        if rule["reason"] in {each.reason for each in source.drop_rules}
    ]
    if rows:
        columns = ["source", "reason", "severity", "asks of a drop", "drops broke it", "not judged"]
        console.print(table_of("rules about whole drops", columns, rows))


def run_features(spec: UseCaseSpec, paths: StatePaths, *, as_json: bool) -> None:
    """Print each feature: where it comes from, over which time, its version, and since when drops hold it."""
    lake, now = Lake(paths.lake / spec.name), feature_definitions(spec)
    with duckdb.connect() as connection:
        sets, drops = read_sets(connection, lake), sets_of_drops(connection, lake)
    recorded = {(name, definition): version for name, definition, version in rows_of(
        lake, "feature_versions", "SELECT feature, definition, version FROM t")}  # fmt: skip
    first: dict[int, date] = {}
    for drop, number in sorted(drops.items()):
        first.setdefault(number, drop)
    found: list[dict[str, Any]] = []
    for name, origin in _origins(spec).items():
        since = [first[number] for number, known in sets.items() if known.get(name) == now[name] and number in first]
        found.append({
            "feature": name, **origin, "definition": now[name], "version": recorded.get((name, now[name])),
            "first_drop": min(since, default=None),
        })  # fmt: skip
    if as_json:
        print_json(found)
        return
    rows = [[f"{row['feature']}\n  {_spelt(row)}", row["version"] or "-", row["first_drop"] or "-"] for row in found]
    title = f"{len(found)} features of {spec.name}; a version is given when they are computed"
    console.print(table_of(title, ["feature", "version", "first_drop"], rows))
    next_steps({f"ml-assets backfill {spec.name} --features": "computes new and changed ones of earlier drops"})


def _spelt(row: dict[str, Any]) -> str:
    over = f" over {row['over']}" if row["over"] else ""
    return f"{row['value']}{over}, of {row['from']}"


def _origins(spec: UseCaseSpec) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for view in spec.features.views:
        age = format_duration(view.max_age) if view.max_age else "any age"
        if view.latest:
            values = [(age, f"latest {column}") for column in view.latest]
            values += [("", "hours since the latest")] if view.with_age else []
        else:
            values = [(format_duration(window), text) for window in view.windows for text in view.aggregates.values()]
        source = view.source + (f" by {', '.join(view.entity)}" if view.entity else "")
        for name, (over, value) in zip(view.feature_names(), values, strict=True):
            found[name] = {"from": source, "over": over, "value": value, "description": view.description}
    for expression in spec.features.expressions:
        found[expression.name] = {
            "from": "the example", "over": "", "value": expression.sql, "description": expression.description,
        }  # fmt: skip
    return found
