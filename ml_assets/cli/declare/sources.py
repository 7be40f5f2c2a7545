"""Shows the sources of a use case, as declared and as they stand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_assets.cli.console import console, next_steps, print_json, say
from ml_assets.cli.tables import TableColumn, print_table
from ml_assets.pipeline.ingestion.source_facts import list_sources
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.use_case_state import UseCaseState

_SOURCES = {"source": 0, "arrives": 2, "key": 3, "newest_drop": 1, "rows": 1, "quarantined": 0, "missing": 0}
_DROP_RULES = {
    "reason": TableColumn("reason"), "severity": TableColumn("severity", 1),
    "asks": TableColumn("asks of a drop", is_text=True), "broken": TableColumn("drops broke it"),
    "not_judged": TableColumn("not judged", 1),
}  # fmt: skip


def run_sources(spec: UseCaseSpec, state: UseCaseState, pages: Mapping[str, Path], *, as_json: bool) -> None:
    """Print each source: what is declared, how far it has come, what its rows were quarantined for, and its page."""
    found = [{**row, "page": pages.get(row["source"])} for row in list_sources(spec, state)]
    if as_json:
        print_json(found)
        return
    rows = [[", ".join(row[name]) if name == "key" else row[name] for name in _SOURCES] for row in found]
    columns = [TableColumn(name, rank) for name, rank in _SOURCES.items()]
    print_table(f"sources of {spec.name}", columns, rows, see="--json")
    for row in found:
        for reason, number in row["reasons"].items():
            say(f"{row['source']}: {reason} x{number:,}", indent=2)
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
        [row["source"], *(rule[name] for name in _DROP_RULES)]
        for row, source in zip(found, spec.sources, strict=True)
        for rule in row["rules"]
        if rule["reason"] in {each.reason for each in source.drop_rules}
    ]
    if rows:
        columns = [TableColumn("source"), *_DROP_RULES.values()]
        print_table("rules about whole drops", columns, rows, see="--json")
