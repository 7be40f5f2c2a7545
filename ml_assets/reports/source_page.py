"""The page of a source: its contract in words, what each rule found drop by drop, and rows that broke it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_assets.pipeline.ingestion.source_facts import SHOWN_DROPS, SourceFacts, gather_facts
from ml_assets.reports.drop_chart import DropBar, bar_chart, reason_chart
from ml_assets.reports.figure_style import Chart
from ml_assets.reports.page import ColouredCell, PageColumn, PageTable, render_page
from ml_assets.spec.contract import RECEIVED, Source
from ml_assets.spec.contract_words import rules_in_words
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.landing import write_whole
from ml_assets.stores.paths import StatePaths

_CELL = 60  # characters of a value: beyond, a broken line fills the page
_SHOWN = 60
_QUIET = ("admitted", "not_expected")
_BEYOND = {
    "malformed_line": "a line that does not split into the columns",
    "unreadable": "a value that does not read as its type",
    "missing": "no value where one is required",
    "known_after_batch": "known later than the batch that brought it",
    "forecast_time_missing": "a forecast without the moment it is for, or was issued at",
    "known_before_issue": "a forecast known before it was issued",
    "known_at_missing": "no moment in which it became known",
    "duplicate_key": "the key again in the same drop; the last known row is the fact",
    "already_known": "came late, and says what was known",
    "file_refused": "the whole file was refused",
}


def write_source_pages(spec: UseCaseSpec, paths: StatePaths) -> dict[str, Path]:
    """Write the page of every source, as it stands, and give their paths by its name."""
    lake, written = Lake(paths.lake / spec.name), dict[str, Path]()
    for source in spec.sources:
        page = paths.source_page(spec.name, source.name)
        write_whole(page, source_page(spec, source, gather_facts(spec, source, lake)).encode())
        written[source.name] = page
    return written


def source_page(spec: UseCaseSpec, source: Source, facts: SourceFacts) -> str:
    """Write the page of a source."""
    bars = [DropBar(row["batch_date"], row["validated"], row["quarantined"], row["state"] not in _QUIET)
            for row in facts.drops]  # fmt: skip
    noted = _noted(facts)
    return render_page(
        "source.html.j2",
        title=f"{spec.name}: source {source.name}",
        description=source.description,
        outcome=outcome(facts),
        bars=bar_chart(bars, spec.calendar),
        has_drops=bool(facts.drops),
        reasons=_reasons(spec, facts),
        contract=_contract(source),
        columns=_columns(source),
        rules=_rules(source, facts),
        noted=_ledger(noted[-_SHOWN:]),
        n_noted=len(noted),
        quarantined=_examples(source, facts),
        quarantine_table=f"quarantine_{source.name}",
    )


def outcome(facts: SourceFacts) -> str:
    """Say in a sentence how far the source has come and what became of its rows."""
    if not facts.drops:
        return "No drop has been run yet."
    states = Counter(row["state"] for row in facts.drops)
    landed, kept, apart = (sum(row[name] for row in facts.drops) for name in ("landed", "validated", "quarantined"))
    counts = ", ".join(f"{number:,} {state.replace('_', ' ')}" for state, number in states.most_common())
    newest = " newest" if len(facts.drops) == SHOWN_DROPS else ""
    first, last = facts.drops[0]["batch_date"], facts.drops[-1]["batch_date"]
    return (
        f"{len(facts.drops):,}{newest} drops, {first} to {last}: {counts}. "
        f"{landed:,} rows landed, {kept:,} validated and {apart:,} quarantined."
    )


def _reasons(spec: UseCaseSpec, facts: SourceFacts) -> Chart | None:
    found: dict[str, dict[DropKey, int]] = {reason: dict(drops) for reason, drops in facts.reasons.items()}
    for row in facts.results:
        if row["is_judged"] and not row["is_refused"]:
            found.setdefault(row["reason"], {}).setdefault(row["batch_date"], row["failed_rows"])
    if not facts.drops:
        return None
    ranked = dict(sorted(found.items(), key=lambda each: (-sum(each[1].values()), each[0])))
    return reason_chart(ranked, (facts.drops[0]["batch_date"], facts.drops[-1]["batch_date"]), spec.calendar)


def _contract(source: Source) -> dict[str, str]:
    return {
        "arrives": source.arrives + (f", until {source.until}" if source.until else ""),
        "when it is missing": "later drops wait for it" if source.when_missing == "wait" else "drops go on without it",
        "key": ", ".join(source.key),
        "happened at": source.event_at or "the moment it became known",
        **({"a forecast for": source.forecast.valid_at} if source.forecast else {}),
        "known at": "its batch: nothing is claimed" if source.known_at == RECEIVED else source.known_at,
        "texts that mean null": _null_texts(source),
    }


def _null_texts(source: Source) -> str:
    everywhere = ", ".join(repr(value) for value in source.null_values)
    own = [f"{', '.join(map(repr, column.null_values))} in {name}"
           for name, column in source.columns.items() if column.null_values]  # fmt: skip
    return "; ".join([*([everywhere] if everywhere else []), *own]) or "none"


def _columns(source: Source) -> PageTable:
    rows: list[list[str]] = []
    for name, column in source.columns.items():
        zone = f", {column.zone} where no offset is named" if column.type == "timestamp" else ""
        policy = "part of the key" if name in source.key else "required" if column.required else "may be missing"
        rows.append([name, column.type + zone, column.unit or "", policy, column.description])
    heads = [PageColumn(name) for name in ("column", "type", "unit", "null")]
    return PageTable([*heads, PageColumn("what it is", "sentence")], rows)


def _rules(source: Source, facts: SourceFacts) -> PageTable:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in facts.results:
        found.setdefault(row["reason"], []).append(row)
    rows: list[list[Any]] = []
    for about, asks, severity, reason in rules_in_words(source):
        broken = [row for row in found.get(reason, []) if row["is_judged"]]
        unjudged = len(found.get(reason, [])) - len(broken)
        newest = max((row["batch_date"] for row in broken), default=None)
        counts = [f"{sum(row['failed_rows'] for row in broken):,}", f"{len(broken):,}", f"{unjudged:,}"]
        rows.append([about, asks, _severity(severity), reason, *counts, str(newest or "")])
    declared = {row[3] for row in rows}
    for reason, drops in sorted(facts.reasons.items()):
        meaning = _BEYOND.get(reason.split(":")[0])
        if meaning and reason not in declared:
            rows.append(["a row", meaning, _severity("error"), reason, f"{sum(drops.values()):,}", f"{len(drops):,}",
                         "0", str(max(drops))])  # fmt: skip
    columns = [PageColumn("about"), PageColumn("asks", "sentence"), PageColumn("severity"), PageColumn("reason"),
               PageColumn("rows", "number"), PageColumn("drops", "number"), PageColumn("not judged", "number"),
               PageColumn("last", "day")]  # fmt: skip
    return PageTable(columns, rows)


def _severity(name: str) -> ColouredCell:
    return ColouredCell(name, "bad" if name == "error" else "")


def _noted(facts: SourceFacts) -> list[dict[str, Any]]:
    """Give the drops that were not simply admitted, or have reasons or notes."""
    drops = [
        {**row, "notes": [note for note in row["notes"] or [] if ": not judged: " not in note]} for row in facts.drops
    ]
    return [row for row in drops if row["state"] not in _QUIET or row["reasons"] or row["notes"]]


def _ledger(noted: list[dict[str, Any]]) -> PageTable:
    rows = [
        [row["batch_date"],
         ColouredCell(row["state"].replace("_", " "), "bad" if row["state"] == "refused" else ""),
         f"{row['validated']:,}", f"{row['quarantined']:,}", "; ".join([*row["reasons"], *row["notes"]])]
        for row in reversed(noted)
    ]  # fmt: skip
    columns = [PageColumn("drop", "day"), PageColumn("state"), PageColumn("validated", "number"),
               PageColumn("quarantined", "number"), PageColumn("reasons and notes", "sentence")]  # fmt: skip
    return PageTable(columns, rows)


def _examples(source: Source, facts: SourceFacts) -> PageTable:
    rows = [
        [row["batch_date"], "; ".join(row["reasons"]), f"{row['_file']}:{row['_line']}", _content(source, row)]
        for row in facts.examples
    ]
    columns = [PageColumn("drop", "day"), PageColumn("reasons"), PageColumn("file and line"),
               PageColumn("row", "sentence")]  # fmt: skip
    return PageTable(columns, rows)


def _content(source: Source, row: Mapping[str, Any]) -> str:
    if row.get("_text") is not None:
        return _short(row["_text"])
    values = [f"{name} {_short(row.get(name))}" for name in source.columns if row.get(name) is not None]
    unreadable = [f"{_short(each)} (cannot be read)" for each in row.get("_unreadable") or []]
    return ", ".join([*values, *unreadable])


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _CELL else text[:_CELL] + "…"
