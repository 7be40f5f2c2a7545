"""The page of forecasts by vintage: what final values flatter a backtest by, and how forecasts were revised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ml_assets.features.revisions import RevisionBand
from ml_assets.pipeline.training.vintages import SourceVintages, VintageReport
from ml_assets.reports.figure_style import BAD, SERIES, Chart, chart_figure, svg_of
from ml_assets.reports.page import ColouredCell, PageColumn, PageTable, render_page
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.block_bootstrap import Interval
from ml_assets.stats.task import Task
from ml_assets.stats.tasks import task_of
from ml_assets.training.final_values import Flattery

PROMISED, KNOWN, SERVED = "final values, promised", "what was known", "final values, served"


def vintages_page(spec: UseCaseSpec, found: VintageReport) -> str:
    """Write the page of a report."""
    task, flattery = task_of(spec.task), found.flattery
    return render_page(
        "vintages.html.j2",
        title=f"{spec.name}: forecasts by vintage, as of {found.as_of}",
        verdict=verdict(task, flattery),
        as_of=found.as_of,
        candidate=flattery.candidate,
        n=f"{flattery.promised.n:,}",
        n_days=flattery.promised.n_days,
        losses=_loss_chart(task, flattery),
        measured=PageTable([PageColumn(heads(task)[0]), *(PageColumn(name, "number") for name in heads(task)[1:])],
                           _coloured_rows(task, flattery)),
        loss=str(task.loss_metric),
        level=f"{flattery.promised.level:.0%}",
        features=", ".join(flattery.features) or "none",
        sources=[_source(spec, each) for each in found.sources],
    )  # fmt: skip


def verdict(task: Task, found: Flattery) -> str:
    """Say in a sentence or two what final values promise, and what serving would have made of it."""
    loss, promised, kept = task.loss_metric, found.promised, found.kept
    known, final, mixed = (each[loss.name] for each in (found.known, found.final, found.mixed))
    if not found.is_flattered:
        return (
            f"Final values promise no surely better {loss}: {final:.4g} beside {known:.4g} on what was known "
            f"({_share(promised)})."
        )
    served = "about as well" if kept.lower <= 0 <= kept.upper else "worse" if kept.upper < 0 else "better"
    return (
        f"A backtest with final values flatters: it promises {loss} {final:.4g}, {promised.estimate:.1%} below the "
        f"{known:.4g} that is reached on what was known ({_bounds(promised)}). A model fitted on final values serves "
        f"{served}: {mixed:.4g}."
    )


def heads(task: Task) -> tuple[str, ...]:
    """Name the columns of `loss_rows`."""
    names = [task.loss_metric, *(each for each in task.metrics if each.name != task.loss_metric.name)]
    return ("fitted and scored on", *(str(each) for each in names), f"{task.loss_metric} saved", "interval")


def loss_rows(task: Task, found: Flattery) -> list[list[str]]:
    """Give a row of text each for what was known, what is promised, and what would have served."""
    names = [task.loss_metric.name, *(each.name for each in task.metrics if each.name != task.loss_metric.name)]
    rows: list[list[str]] = []
    for title, measured, gain in _lines(found):
        saved = ["", ""] if gain is None else [f"{gain.estimate:+.2%}", _bounds(gain)]
        rows.append([title, *(f"{measured[name]:.4g}" for name in names), *saved])
    return rows


def counts_sentence(found: SourceVintages) -> str:
    """Say how many vintages there are, of how many moments, how far ahead and how late."""
    counts = found.counts
    single = f", {counts.single:,} of them with one alone" if counts.single else ""
    return (
        f"{counts.vintages:,} vintages of {counts.moments:,} moments{single}. The median vintage is issued "
        f"{counts.lead_h:g} h ahead of its moment and known {counts.late_h:g} h after its issue."
    )


def band_rows(bands: Sequence[RevisionBand]) -> list[list[str]]:
    """Give a row of text a band: column, leads, vintages, mean revision, root mean square, spread of the last."""
    return [
        [each.column, leads_text(each), f"{each.n:,}", f"{each.mean_abs:.4g}", f"{each.rms:.4g}", f"{each.spread:.4g}"]
        for each in bands
    ]


BAND_HEADS = ("column", "hours ahead", "vintages", "mean revision", "root mean square", "spread of the last")


def leads_text(band: RevisionBand) -> str:
    """Write the leads of a band, as `12 to 24`."""
    return f"{band.from_h} and more" if band.to_h is None else f"{band.from_h} to {band.to_h}"


def _lines(found: Flattery) -> list[tuple[str, Any, Interval | None]]:
    return [(KNOWN, found.known, None), (PROMISED, found.final, found.promised), (SERVED, found.mixed, found.kept)]


def _coloured_rows(task: Task, found: Flattery) -> list[list[Any]]:
    """Colour what serving would have gained or lost; what is promised is no news of either kind."""
    rows: list[list[Any]] = []
    for row, (title, _, gain) in zip(loss_rows(task, found), _lines(found), strict=True):
        is_sure = title == SERVED and gain is not None and (gain.lower > 0 or gain.upper < 0)
        colour = "" if gain is None or not is_sure else "good" if gain.lower > 0 else "bad"
        rows.append([*row[:-2], ColouredCell(row[-2], colour), row[-1]])
    return rows


def _source(spec: UseCaseSpec, found: SourceVintages) -> dict[str, Any]:
    forecast = spec.source(found.source).forecast
    why = forecast.unrevised if forecast is not None else None
    rows = [[each.column, ColouredCell(f"{each.value:.3f}", "bad" if each.is_alarm else ""),
             "" if each.limit is None else f"{each.limit:g}", each.says] for each in found.signs]  # fmt: skip
    columns = [PageColumn("column"), PageColumn("agreement", "number"), PageColumn("limit", "number"),
               PageColumn("what it says", "sentence")]  # fmt: skip
    styles = ["", *["number"] * (len(BAND_HEADS) - 1)]
    return {
        "name": found.source,
        "counts": counts_sentence(found),
        "chart": _revision_chart(found),
        "bands": PageTable([PageColumn(n, s) for n, s in zip(BAND_HEADS, styles, strict=True)], band_rows(found.bands)),  # pyright: ignore[reportArgumentType] - styles of columns
        "signs": PageTable(columns, rows),
        "unjudged": f"Declared as never revised: {why}." if why else "Too few moments with several vintages to judge.",
    }


def _loss_chart(task: Task, found: Flattery) -> Chart:
    lines = _lines(found)[::-1]
    values = [measured[task.loss_metric.name] for _, measured, _ in lines]
    with chart_figure(200) as (figure, axes):
        axes.barh([title for title, _, _ in lines], values, color=[BAD, SERIES[1], SERIES[0]], height=0.6)
        for place, value in enumerate(values):
            axes.annotate(f"{value:.4g}", (value, place), (6, -4), textcoords="offset points")
        axes.set_xlim(0, 1.12 * max(values))
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(f"{task.loss_metric}, lower is better")
        return svg_of(figure, f"{task.loss_metric} out of time with final values and with what was known")


def _revision_chart(found: SourceVintages) -> Chart | None:
    shown = [each for each in found.bands if each.spread > 0]
    if not shown:
        return None
    columns = list(dict.fromkeys(each.column for each in shown))
    starts = sorted({each.from_h for each in shown})
    with chart_figure(260) as (figure, axes):
        for number, column in enumerate(columns[: len(SERIES)]):
            bands = [each for each in shown if each.column == column]
            axes.plot([starts.index(each.from_h) for each in bands], [each.rms / each.spread for each in bands],
                      color=SERIES[number], marker="o", label=column)  # fmt: skip
        named = {each.from_h: leads_text(each) for each in shown}
        axes.set_xticks(range(len(starts)), [named[start] for start in starts])
        axes.set_ylim(bottom=0)
        axes.set_xlabel("hours from issue to the moment")
        axes.set_ylabel("revision, share of the spread")
        axes.legend(loc="upper left")
        return svg_of(figure, f"How far vintages of {found.source} were from the last, by lead")


def _share(gain: Interval) -> str:
    return f"{gain.estimate:+.1%} saved, {_bounds(gain)}"


def _bounds(gain: Interval) -> str:
    return f"{gain.lower:+.1%} to {gain.upper:+.1%}"
