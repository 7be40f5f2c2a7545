"""Forecasts by vintage, and what a backtest with final values flatters by, from the terminal."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ml_assets.cli.console import console, fail, next_steps, print_json, say
from ml_assets.cli.progress import progress_bar
from ml_assets.cli.tables import TableColumn, print_table
from ml_assets.pipeline.training.vintages import NoForecastError, VintageReport, report_vintages
from ml_assets.reports.vintages_page import (
    BAND_HEADS,
    band_rows,
    counts_sentence,
    heads,
    loss_rows,
    verdict,
    vintages_page,
)
from ml_assets.spec.names import not_among
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.tasks import task_of
from ml_assets.stores.landing import write_whole
from ml_assets.stores.use_case_state import UseCaseState


def run_vintages(spec: UseCaseSpec, state: UseCaseState, candidate: str, *, as_json: bool) -> None:
    """Measure on the newest training set, print what was found and write the page; nothing else is changed."""
    names = [each.name for each in spec.recipe().candidates]
    if candidate and candidate not in names:
        raise fail(f"--candidate: {not_among(candidate, names)}")
    with progress_bar() as progress:
        task = progress.add_task(f"vintages of {spec.name}", total=3, now="")
        try:
            found = report_vintages(
                spec, state, candidate or names[-1], lambda now: progress.update(task, advance=1, now=now)
            )
        except (NoForecastError, ValueError) as error:
            raise fail(str(error)) from error
    page = state.paths.reports / spec.name / f"vintages_{found.as_of}.html"
    write_whole(page, vintages_page(spec, found).encode())
    if as_json:
        print_json({**_as_json(spec, found), "page": page})
        return
    _show(spec, found)
    console.print(f"page: {page}", highlight=False, soft_wrap=True)
    next_steps(
        {
            f"ml-assets audit {spec.name}": "recompute stored features without later vintages",
            f"ml-assets ablation {spec.name} --page": "what each view, this forecast too, is worth",
        }
    )


def _show(spec: UseCaseSpec, found: VintageReport) -> None:
    task = task_of(spec.task)
    for each in found.sources:
        say(f"{each.source}: {counts_sentence(each)}")
        columns = [TableColumn(name, rank) for name, rank in zip(BAND_HEADS, (0, 0, 2, 0, 3, 1), strict=True)]
        if each.bands:
            print_table(f"revisions of {each.source}", columns, band_rows(each.bands), see="--json")
        for sign in each.signs:
            if sign.is_alarm:
                say(f"suspected {each.source}.{sign.column}: {sign.says}")
    names = heads(task)
    ranks = [0, 0, *[2] * (len(names) - 4), 0, 1]
    shown = [TableColumn(name, rank) for name, rank in zip(names, ranks, strict=True)]
    title = f"{found.flattery.candidate} out of time, as of {found.as_of}"
    print_table(title, shown, loss_rows(task, found.flattery), see="--json")
    say(verdict(task, found.flattery))


def _as_json(spec: UseCaseSpec, found: VintageReport) -> dict[str, Any]:
    return {
        "use_case": spec.name,
        "as_of": found.as_of,
        "verdict": verdict(task_of(spec.task), found.flattery),
        "sources": [
            {
                "source": each.source,
                **asdict(each.counts),
                "revisions": [asdict(band) for band in each.bands],
                "signs": [{**asdict(sign), "is_alarm": sign.is_alarm} for sign in each.signs],
            }
            for each in found.sources
        ],
        "flattery": asdict(found.flattery),
    }
