"""Shows how a use case stands: counts, candidates, verdicts, what serves, and what to do next."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from ml_assets.cli.console import (
    console,
    defs_folder,
    load_declared,
    next_steps,
    printable,
    read_use_case,
    say,
    shown,
    state_of,
    use_case_names,
)
from ml_assets.cli.tables import TableColumn, print_table
from ml_assets.decisions.alert_precision import AlertPrecision, precision_sentence
from ml_assets.decisions.first_champion import is_surely_worse
from ml_assets.decisions.reasons import spell_reason
from ml_assets.pipeline.champion.decisions import record_of, rejection_of, spell_rejection
from ml_assets.pipeline.champion.record import compared_with
from ml_assets.pipeline.monitoring.status import count_drops, facts_of, newest_verdict, refused_examples
from ml_assets.reports.quality_text import baseline_sentence, fallback_sentence, first_sentence, gate_sentence
from ml_assets.spec.declaration import DeclarationError
from ml_assets.spec.drop import DropKey
from ml_assets.stats.task import Task
from ml_assets.stats.tasks import task_of
from ml_assets.stores.paths import state_paths
from ml_assets.stores.rows import read_rows
from ml_assets.stores.use_case_state import UseCaseState

_LABEL = 13  # columns before the text of a line
_SHOWN = 3
_COUNTS = {"source": 0, "admitted": 1, "refused": 0, "missing": 0, "landed": 1, "validated": 2, "quarantined": 0}


def gather_facts(use_case: str | None) -> list[dict[str, Any]]:
    """Read how one use case stands, or every one; of one that cannot be read, why, and the others stand."""
    names = [use_case] if use_case else use_case_names()
    found: list[dict[str, Any]] = []
    for name in names:
        try:
            spec = read_use_case(name) if use_case else load_declared(name)
            found.append(facts_of(spec, state_of(spec).pinned()))
        except DeclarationError as error:
            found.append({"use_case": name, "broken": [str(mistake) for mistake in error.mistakes]})
        except ValueError as error:  # a damaged table or record; the others are shown
            found.append({"use_case": name, "unreadable": " ".join(f"{error}".split())})
    if not use_case:
        gone = sorted({folder.name for folder in state_paths().lake.glob("*/")} - set(names))
        found += [{"use_case": name, "undeclared": f"{defs_folder() / name} is not there"} for name in gone]
    return found


def show_drop_counts(state: UseCaseState, first: DropKey, last: DropKey) -> None:
    """Print what became of the rows of each source in a range of drops."""
    columns = [TableColumn("rows landed" if name == "landed" else name, rank) for name, rank in _COUNTS.items()]
    rows = [[row[name] for name in _COUNTS] for row in count_drops(state, first, last)]
    print_table(f"drops {first} to {last}", columns, rows)


def show_candidates(task: Task, state: UseCaseState) -> None:
    """Print the candidates of the newest candidate, as measured ahead of its training rows and on its holdout."""
    loss, headline = task.loss_metric, task.headline
    others = [each for each in task.metrics if each is not headline]
    columns = {
        "candidate": TableColumn("candidate"), f"ahead_{loss.name}": TableColumn(f"{loss} ahead"),
        f"ahead_{headline.name}": TableColumn(f"{headline} ahead", 1), loss.name: TableColumn(str(loss), 1),
        headline.name: TableColumn(str(headline), 2), **{each.name: TableColumn(str(each), 2) for each in others},
        "CASE WHEN is_chosen THEN 'taken' END AS chosen": TableColumn(""),
    }  # fmt: skip
    rows = [list(row.values()) for row in read_rows(state.lake, "candidate_model", list(columns))]
    title = "candidates: ahead of the training rows, where one is chosen, and on the holdout"
    print_table(title, list(columns.values()), rows)


def show_verdict(state: UseCaseState) -> None:
    """Print the newest verdict, and each rule it rests on."""
    found = newest_verdict(state)
    if found is None:
        return
    record = record_of(state)
    against = f"against {compared_with(record, found)}" if found["champion_before"] else "no champion before it"
    verdict = (found["verdict"], "bold green" if found["verdict"] == "promoted" else "bold yellow")
    say(Text.assemble(verdict, f" {found['model_version']} (gate {found['gate']}, {against})"))
    for reason in found["reasons"]:
        say(spell_reason(reason), indent=2, style="dim" if reason["passed"] else "red")
    rejected = rejection_of(record, found["model_version"])
    if rejected is not None:
        say(f"{spell_rejection(rejected)}; that stands. To take it back:", style="bold yellow")
        say(f"ml-assets approve {state.use_case} {found['model_version']} --reason TEXT", indent=2)


def _show_why_not(facts: dict[str, Any]) -> bool:
    """Print why nothing is known of a use case, and say whether that is so."""
    if "broken" in facts:
        console.print(f"[bold red]broken declaration[/], {len(facts['broken'])} mistakes; nothing of it runs")
    for mistake in facts.get("broken", ()):
        say(mistake, indent=2)
    if "unreadable" in facts:
        _line("damaged", f"{facts['unreadable']}: ml-assets doctor {facts['use_case']} looks for what is", "red")
    if "undeclared" in facts:
        _line("undeclared", f"{facts['undeclared']}: nothing of it runs, and its state is kept", "red")
    return not {"broken", "unreadable", "undeclared"}.isdisjoint(facts)


def show_facts(facts: dict[str, Any]) -> None:
    """Print the facts of one use case."""
    console.print(f"\n[bold]{facts['use_case']}[/]")
    if _show_why_not(facts):
        return
    for name in ("landed", "run"):
        span = facts[name]
        _line(name, f"{span['first']} to {span['last']}, {span['drops']} drops" if span else "nothing yet")
    if facts["unfinished"]:
        _line("not ended", f"run {facts['unfinished']} has ended without a commit: it failed, was cancelled or killed. "
              "Nobody sees what it wrote; the next run undoes it", "red")  # fmt: skip
    for name, colour in (("missing", "red"), ("refused", "yellow"), ("missing_accepted", "dim")):
        if facts[name]:
            more = f" and {len(facts[name]) - _SHOWN} more" if len(facts[name]) > _SHOWN else ""
            _line(name.replace("_", " "), "; ".join(facts[name][:_SHOWN]) + more, colour)
    _show_left_out(facts)
    champion = facts["champion"]
    if champion is None:
        _line("champion", "none yet: drops have no predictions")
    else:
        task = task_of(facts["task"])
        told = [f"{each} {shown(champion[each.name]) or 'undefined'}" for each in (task.loss_metric, task.headline)]
        measured = f"(gate {champion['gate']}; {', '.join(told)} on its window)"
        is_replaced = facts["fallback"] is not None and facts["fallback"]["serves"] == "baseline"
        serves = "has failed, and its baseline serves" if is_replaced else "serves"
        _line("champion", f"{champion['model_version']}, {serves} from {champion['serves_from']} {measured}")
        if champion["damage"]:
            _line("damaged", f"{champion['damage']}; no drop can be scored until it is back: restore the file, or "
                  f"ml-assets rollback {facts['use_case']}", "bold red")  # fmt: skip
    _show_predictions(facts)
    _show_quality(facts)
    _show_watch(facts)
    for verdict in facts["verdicts"]:
        _line("verdict", f"{verdict['as_of']} {verdict['model_version']}: {verdict['verdict']}", "dim")
    next_steps(facts["next"])


def _show_left_out(facts: dict[str, Any]) -> None:
    """Print what is odd about files, what lies in the landing folder unread, and which rows made no example."""
    for label, name, colour in (
        ("no marker", "unmarked", "yellow"),
        ("not read", "unread", "yellow"),
        ("noted", "noted", "yellow"),
    ):
        for text in facts[name][-_SHOWN:]:
            _line(label, text, colour)
        if len(facts[name]) > _SHOWN:
            _line(label, f"and {len(facts[name]) - _SHOWN} more: ml-assets status {facts['use_case']} --json", colour)
    if facts["examples_refused"]:
        _line("no example", refused_sentence(facts["use_case"], facts["examples_refused"]), "yellow")


def refused_sentence(use_case: str, refused: dict[str, int]) -> str:
    """Say how many rows made no example and why, and where they are."""
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in refused.items())
    return f"{sum(refused.values()):,} rows made no example: {reasons}; they are in {use_case}.quarantine_examples"


def show_refused_examples(state: UseCaseState, first: DropKey, last: DropKey) -> None:
    """Print how many rows of a range of drops made no example, where there are any."""
    refused = refused_examples(state, (first, last))
    if refused:
        say(refused_sentence(state.use_case, refused), style="yellow")


def _line(label: str, text: str, colour: str = "") -> None:
    """Print a label and a text beside it, wrapped at spaces."""
    named = label + " " * max(1, _LABEL - len(label))
    say(Text.assemble((named, colour), printable(text)), indent=2, hanging=2 + _LABEL)


def _show_predictions(facts: dict[str, Any]) -> None:
    """Print what is scored, and what is not by the champion that serves it now."""
    stale = facts["not_scored_by_champion"]
    if stale:
        _line("not scored", f"{len(stale)} drops are not scored by the champion that serves them now", "yellow")
    if facts["predictions"]:
        span = facts["predictions"]
        _line("predictions", f"{span['first']} to {span['last']}, {span['rows']:,} rows")


def _show_quality(facts: dict[str, Any]) -> None:
    """Print how the champion does in the last matured window, and the fallback where one serves."""
    verdict, fallback = facts["quality"], facts["fallback"]
    if fallback is not None:
        _line("fallback", fallback_sentence(fallback), "red")
    elif facts["failure"] is not None:
        _line("failed", f"the champion of the newest drop: {facts['failure']}", "red")
    if verdict is None or verdict["model_version"] is None:
        return
    champion = facts["champion"]
    is_other = champion is not None and champion["model_version"] != verdict["model_version"]
    whose, task = f"of {verdict['model_version']}: " if is_other else "", task_of(facts["task"])
    _line("quality", whose + gate_sentence(task, verdict), "red" if verdict["loss_since"] else "")
    if verdict["loss_now"] is not None:
        _line("vs baseline", baseline_sentence(task, verdict), "red" if verdict["behind_since"] else "")
        _line("vs first", first_sentence(task, verdict), "red" if is_surely_worse(verdict) else "")


def _show_watch(facts: dict[str, Any]) -> None:
    """Print the newest decision and the open incidents."""
    decision = facts["decision"]
    if decision is not None:
        _line("decision", f"{decision['drop']}: {decision['action']}: {decision['reason']}")
    for incident in facts["incidents"][:_SHOWN]:
        _line("incident", f"since {incident['since'][:10]}: {incident['message']}", "red")
    alerts = AlertPrecision(**facts["alerts"]["all"])
    if alerts.judged:
        _line("alerts", precision_sentence(alerts))
    if len(facts["incidents"]) > _SHOWN:
        _line("incident", f"and {len(facts['incidents']) - _SHOWN} more: ml-assets alerts {facts['use_case']}", "red")
