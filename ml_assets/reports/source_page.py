"""The page of a source: its contract in words, what each rule found drop by drop, and rows that broke it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date
from html import escape
from pathlib import Path
from typing import Any

from ml_assets.pipeline.ingestion.source_facts import SHOWN_DROPS, SourceFacts, gather_facts
from ml_assets.reports.drop_chart import Bar, bar_chart, reason_chart
from ml_assets.reports.html_page import html_page, table
from ml_assets.spec.contract import RECEIVED, Source
from ml_assets.spec.contract_words import rules_in_words
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
    title = f"{spec.name}: source {source.name}"
    marked = {row["batch_date"]: f"{row['batch_date']}: {row['state']}" for row in facts.drops
              if row["state"] not in _QUIET}  # fmt: skip
    bars = [Bar(row["batch_date"], (row["validated"], row["quarantined"]), _of_drop(row)) for row in facts.drops]
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(source.description)}</p>",
        f"<p>{escape(outcome(facts))}</p>",
        "<h2>Rows per drop</h2>", bar_chart(bars, spec.calendar.every, marked), _legend(),
        "<h2>Reasons by drop</h2>",
        '<p class="dim">Rows in quarantine and rules that were broken; a rule that only warns lets its rows pass.</p>',
        _reasons(spec, facts),
        "<h2>Contract</h2>", _times(source),
        "<h2>Columns</h2>", _columns(source),
        "<h2>Rules</h2>", _rules(source, facts),
        "<h2>Drops with something to say</h2>",
        '<p class="dim">Those in which a rule could not judge yet are counted above.</p>', _ledger(facts),
        "<h2>Rows in quarantine</h2>", _examples(source, facts),
    ]  # fmt: skip
    return html_page(title, "\n".join(parts))


def outcome(facts: SourceFacts) -> str:
    """Say in a sentence how far the source has come and what became of its rows."""
    if not facts.drops:
        return "No drop has been run yet."
    states = Counter(row["state"] for row in facts.drops)
    landed, kept, apart = (sum(row[name] for row in facts.drops) for name in ("landed", "validated", "quarantined"))
    said = ", ".join(f"{number:,} {state.replace('_', ' ')}" for state, number in states.most_common())
    newest = " newest" if len(facts.drops) == SHOWN_DROPS else ""
    first, last = facts.drops[0]["batch_date"], facts.drops[-1]["batch_date"]
    return (
        f"{len(facts.drops):,}{newest} drops, {first} to {last}: {said}. "
        f"{landed:,} rows landed, {kept:,} validated and {apart:,} quarantined."
    )


def _of_drop(row: Mapping[str, Any]) -> str:
    late = f", {row['late']:,} of them late" if row["late"] else ""
    return (
        f"{row['batch_date']}, {row['state']}: {row['validated']:,} validated, {row['quarantined']:,} quarantined{late}"
    )


def _legend() -> str:
    names = {"b0": "validated", "b1": "quarantined", "b2": "refused or missing, under the line"}
    return '<div class="legend">' + "".join(
        f'<span><i class="{key}"></i>{name}</span>' for key, name in names.items()
    ) + "</div>"  # fmt: skip


def _reasons(spec: UseCaseSpec, facts: SourceFacts) -> str:
    found: dict[str, dict[date, int]] = {reason: dict(drops) for reason, drops in facts.reasons.items()}
    for row in facts.results:
        if row["is_judged"] and not row["is_refused"]:
            found.setdefault(row["reason"], {}).setdefault(row["batch_date"], row["failed_rows"])
    if not facts.drops:
        return '<p class="empty">nothing yet</p>'
    ranked = dict(sorted(found.items(), key=lambda each: (-sum(each[1].values()), each[0])))
    return reason_chart(ranked, facts.drops[0]["batch_date"], facts.drops[-1]["batch_date"], spec.calendar.every)


def _times(source: Source) -> str:
    said = {
        "arrives": source.arrives + (f", until {source.until}" if source.until else ""),
        "when it is missing": "later drops wait for it" if source.when_missing == "wait" else "drops go on without it",
        "key": ", ".join(source.key),
        "happened at": source.event_at or "the moment it became known",
        "known at": "its batch: nothing is claimed" if source.known_at == RECEIVED else source.known_at,
        "texts that mean null": ", ".join(repr(value) for value in source.null_values) or "none",
    }
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in said.items()) + "</dl>"


def _columns(source: Source) -> str:
    rows: list[list[str]] = []
    for name, column in source.columns.items():
        zone = f", {column.zone} where no offset is named" if column.type == "timestamp" else ""
        policy = "part of the key" if name in source.key else "required" if column.required else "may be missing"
        rows.append([name, column.type + zone, column.unit or "", policy, column.description])
    return table(["column", "type", "unit", "null", "what it is"], rows, classes={4: ["text"] * len(rows)})


def _rules(source: Source, facts: SourceFacts) -> str:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in facts.results:
        found.setdefault(row["reason"], []).append(row)
    rows: list[list[str]] = []
    for about, asks, severity, reason in rules_in_words(source):
        broken = [row for row in found.get(reason, []) if row["is_judged"]]
        unjudged = len(found.get(reason, [])) - len(broken)
        newest = max((row["batch_date"] for row in broken), default=None)
        counts = [f"{sum(row['failed_rows'] for row in broken):,}", f"{len(broken):,}", f"{unjudged:,}"]
        rows.append([about, asks, severity, reason, *counts, str(newest or "")])
    declared = {row[3] for row in rows}
    for reason, drops in sorted(facts.reasons.items()):
        said = _BEYOND.get(reason.split(":")[0])
        if said and reason not in declared:
            rows.append(["a row", said, "error", reason, f"{sum(drops.values()):,}", f"{len(drops):,}", "0",
                         str(max(drops))])  # fmt: skip
    heads = ["about", "asks", "severity", "reason", "rows", "drops", "not judged", "last"]
    said = '<p class="dim">An error sets rows apart, or refuses the drop where it is about the whole of it; a warning '
    said += "counts them. Every contract also sets apart what cannot be read, has no key, or repeats one.</p>"
    return said + table(heads, rows, numbers={4, 5, 6}, days={7}, classes={1: ["text"] * len(rows),
                        2: [row[2] for row in rows]})  # fmt: skip


def _ledger(facts: SourceFacts) -> str:
    told = [
        {**row, "notes": [note for note in row["notes"] or [] if ": not judged: " not in note]} for row in facts.drops
    ]
    told = [row for row in told if row["state"] not in _QUIET or row["reasons"] or row["notes"]]
    if not told:
        return '<p class="empty">every drop was admitted, with nothing noted</p>'
    rows = [
        [row["batch_date"], row["state"].replace("_", " "), f"{row['validated']:,}", f"{row['quarantined']:,}",
         "; ".join([*row["reasons"], *row["notes"]])]
        for row in reversed(told[-_SHOWN:])
    ]  # fmt: skip
    more = f'<p class="dim">The newest {_SHOWN} of {len(told):,}.</p>' if len(told) > _SHOWN else ""
    heads = ["drop", "state", "validated", "quarantined", "reasons and notes"]
    classes = {1: ["refused" if row[1] == "refused" else "" for row in rows], 4: ["text"] * len(rows)}
    return more + table(heads, rows, numbers={2, 3}, days={0}, classes=classes)


def _examples(source: Source, facts: SourceFacts) -> str:
    if not facts.examples:
        return '<p class="empty">none</p>'
    rows = [
        [row["batch_date"], "; ".join(row["reasons"]), f"{row['_file']}:{row['_line']}", _content(source, row)]
        for row in facts.examples
    ]
    return (
        '<p class="dim">The newest of each first reason, a few; '
        f"<code>ml-assets sql</code> has all of them in quarantine_{source.name}.</p>"
        + table(["drop", "reasons", "file and line", "row"], rows, days={0}, classes={3: ["text"] * len(rows)})
    )  # fmt: skip


def _content(source: Source, row: Mapping[str, Any]) -> str:
    if row.get("_text") is not None:
        return _short(row["_text"])
    said = [f"{name} {_short(row.get(name))}" for name in source.columns if row.get(name) is not None]
    unreadable = [f"{_short(each)} (cannot be read)" for each in row.get("_unreadable") or []]
    return ", ".join([*said, *unreadable])


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _CELL else text[:_CELL] + "…"
