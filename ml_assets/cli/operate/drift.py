"""What a drop's performance verdict and drift report say, what was decided on them, and Evidently's page on demand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.text import Text

from ml_assets.cli.console import console, fail, next_steps, plain_rows, print_json, say
from ml_assets.cli.tables import TableColumn, print_table
from ml_assets.monitoring.diagnosis import spell
from ml_assets.monitoring.sure_change import CONSTANT_CHANGED
from ml_assets.pipeline.monitoring.monitor_rows import read_monitors
from ml_assets.pipeline.monitoring.serving_quality import verdict_of_drop
from ml_assets.reports.quality_text import baseline_sentence, gate_sentence, sums_sentences
from ml_assets.spec.drop import DropKey, nearest_key
from ml_assets.spec.tables.text_drift import TEXT_DRIFT
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.task import Task
from ml_assets.stats.tasks import task_of
from ml_assets.stores.rows import read_rows
from ml_assets.stores.use_case_state import UseCaseState

_SHOWN = 12
_SHOWN_COLUMNS = {
    "monitor": 0,
    "value": 3,
    "usual": 4,
    "z": 1,
    "threshold": 2,
    "state": 0,
    "meaning": 0,
}  # rank of each
_COLUMNS = (
    "monitor",
    "statistic",
    "value",
    "usual",
    "z",
    "threshold",
    "state",
    "kind",
    "meaning",
    "importance",
    "n_placebos",
)


@dataclass(frozen=True)
class DriftOptions:
    """What the command was asked for. `drop` is None for the newest drop with a report."""

    drop: DropKey | None
    page: bool
    as_json: bool


def run_drift(spec: UseCaseSpec, state: UseCaseState, asked: DriftOptions) -> None:
    """Print the performance and the monitors nearest to alarm of a drop, with the decision; write the page if asked."""
    lake = state.lake
    reported = {row["batch_date"] for row in read_monitors(lake, ["batch_date"])}
    drop = asked.drop or max(reported, default=None)
    if drop is None or drop not in reported:
        known = f"{min(reported)} to {max(reported)}" if reported else "none yet"
        near = f"; nearest: {nearest_key(reported, drop)}" if drop and reported else ""
        raise fail(f"no drift report of {drop or 'any drop'}; drops with a report: {known}{near}")
    rows = read_monitors(lake, [*_COLUMNS, "ratio"], (drop, drop))
    rows.sort(key=lambda row: (row["state"] != "alarm", -row["ratio"], row["monitor"]))
    decided = read_rows(lake, "decisions", None, (drop, drop))
    verdict = verdict_of_drop(lake, drop)
    page = _page(spec, state, drop) if asked.page else None
    texts = read_rows(lake, TEXT_DRIFT.name, None, (drop, drop))
    if asked.as_json:
        columns = list(_COLUMNS)
        monitors = plain_rows(columns, [[row[name] for name in columns] for row in rows])
        print_json({"use_case": spec.name, "drop": drop, "performance": verdict, "monitors": monitors, "texts": texts,
                    "decision": decided[0] if decided else None, "page": page})  # fmt: skip
        return
    if verdict is not None:
        _show_performance(task_of(spec.task), verdict)
    for row in texts:
        _show_text(row)
    _show(spec, drop, rows, decided, page)


def _show_text(row: dict[str, Any]) -> None:
    """Print how far texts of the window can be told from those before it."""
    said = row["state"] if row["auc"] is None else (
        f"{row['state']}: told from those before with an AUC of {row['auc']:.3f} (at least {row['auc_low']:.3f}; usual "
        f"{row['usual_auc']:.3f}), means {row['mean_distance']:.3f} standard deviations apart (usual "
        f"{row['usual_distance']:.3f})"
    )  # fmt: skip
    say(Text.assemble((f"texts of {row['encoder']}: ", "bold"), said))


def _show_performance(task: Task, verdict: dict[str, Any]) -> None:
    """Print how the champion of the drop does, and how near it is to an alarm."""
    state = (verdict["state"], "bold red" if verdict["state"] == "failed" else "bold")
    model = f" of champion {verdict['model_version']}" if verdict["model_version"] else ""
    say(Text.assemble((f"performance{model}: ", "bold"), state))
    lines = [gate_sentence(task, verdict)]
    if verdict["loss_now"] is not None:
        lines += [baseline_sentence(task, verdict), *sums_sentences(task, verdict)]
    for line in lines:
        say(line, indent=2)


def _show(
    spec: UseCaseSpec, drop: DropKey, rows: list[dict[str, Any]], decided: list[dict[str, Any]], page: Path | None
) -> None:
    alarms = sum(row["state"] == "alarm" for row in rows)
    judged = sum(row["state"] != "not enough data" for row in rows)
    title = f"{spec.name}, drop {drop}: {alarms} of {judged} monitors alarm, {len(rows) - judged} have not enough data"
    shown = rows[: max(alarms, _SHOWN)]
    spelt = [{**row, **{name: spell(row["statistic"], row[name]) for name in _spelt_of(row)}} for row in shown]
    columns = [TableColumn(name, rank, is_text=name == "meaning") for name, rank in _SHOWN_COLUMNS.items()]
    print_table(title, columns, [[row[name] for name in _SHOWN_COLUMNS] for row in spelt], see="--json")
    for row in decided:
        say(Text.assemble((row["action"], "bold"), f": {row['reason']}"))
        say(f"what would change it: {row['would_change']}")
        for each in row["evidence"]:
            say(each, indent=2)
    if page is not None:
        console.print(f"page: {page}", soft_wrap=True, highlight=False)
    steps = {f"ml-assets alerts {spec.name}": "what people were told"}
    if page is None:
        steps = {f"ml-assets drift {spec.name} --drop {drop} --page": "the distributions, as a page"} | steps
    next_steps(steps)


def _spelt_of(row: dict[str, Any]) -> tuple[str, ...]:
    """Name the figures that are in the unit of the statistic; where a constant changed, z is a share as well."""
    return ("value", "usual", "z", "threshold") if row["statistic"] == CONSTANT_CHANGED else ("value", "usual")


def _page(spec: UseCaseSpec, state: UseCaseState, drop: DropKey) -> Path:
    from ml_assets.reports.drift_page import write_drift_page

    with console.status("drawing the page, a few seconds"):
        written = write_drift_page(spec, state, drop)
    if written is None:
        raise fail(f"no page: the window of {drop}, or the drops before it, hold no row")
    return written[0]
