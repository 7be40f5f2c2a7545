"""What a use case is fed with: its sources, as declared and as they stand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_assets.cli.console import console, next_steps, print_json, table_of
from ml_assets.cli.operate.status import rows_of
from ml_assets.spec.contract_words import rules_in_words
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
