"""The page of a policy backtest: quality against retrainings, what a stale day costs, and what each policy did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ml_assets.decisions.policies import Policy
from ml_assets.pipeline.policies.backtest import DRAWS, LEVEL, Backtest, PolicyResult
from ml_assets.reports.figure_style import DIM, SERIES, TEXT, Chart, chart_figure, svg_of
from ml_assets.reports.page import ColouredCell, PageColumn, PageTable, render_page
from ml_assets.spec.duration import format_duration
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.block_bootstrap import Interval
from ml_assets.stats.tasks import task_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEIGHT, _NAMED = 400, 3
_LETTER = 0.009  # width of a letter, in widths of the chart
_LEAST_APART = 0.022  # of the height of the chart: names of points closer than this are moved apart


def policies_page(spec: UseCaseSpec, found: Backtest, recommendation: str) -> str:
    """Write the page of a backtest."""
    loss = task_of(spec.task).loss_metric
    return render_page(
        "policies.html.j2",
        title=f"{spec.name}: what retraining policies would have been worth",
        recommendation=recommendation,
        loss=str(loss),
        n=f"{found.n:,}",
        counted_from=str(found.counted_from),
        counted_until=str(found.counted_until),
        candidate=found.candidate,
        n_cutoffs=len(found.cutoffs),
        first_cutoff=str(found.cutoffs[0]),
        every=format_duration(spec.calendar.duration_of(found.request.every)),
        level=f"{LEVEL:.0%}",
        chart=_chart(found, str(loss)),
        policies=_policies(spec, found),
        ages=_ages(found),
        age_chart=_age_chart(found, str(loss)),
        advantages=_advantages(found),
        schedule=found.schedule,
        decisions=_decisions(found.results),
        cost=f"{spec.retraining.cost:g}",
        draws=DRAWS,
        meanings=PageTable(
            [PageColumn("policy"), PageColumn("retrains when", "sentence")],
            [[each.path.policy.name, _meaning(each.path.policy)] for each in found.results],
        ),
    )


def _meaning(policy: Policy) -> str:
    return policy.meaning[0].upper() + policy.meaning[1:]


def _chart(found: Backtest, loss: str) -> Chart:
    with chart_figure(_HEIGHT) as (figure, axes):
        models = [k for k, _ in found.frontier]
        axes.plot(models, [value for _, value in found.frontier], color=DIM, linestyle=":", marker="",
                  label="best schedule in hindsight")  # fmt: skip
        for kind, colour in ((False, SERIES[1]), (True, SERIES[0])):
            some = [each for each in found.results if each.path.policy.is_adaptive == kind]
            axes.plot([each.path.n_promoted for each in some], [each.loss for each in some], color=colour,
                      linestyle="", marker="o", markersize=7, label="asks sensors" if kind else "schedule")  # fmt: skip
        random = sorted({(each.path.n_promoted, each.random_loss) for each in found.results})
        axes.plot([n for n, _ in random], [value for _, value in random], color=SERIES[2], linestyle="", marker="_",
                  markersize=14, label="mean of random schedules")  # fmt: skip
        _name_points(axes, found, len(models))
        axes.set_xlim(0, len(models) + max(3, len(models) / 6))
        axes.set_xlabel("models that served")
        axes.set_ylabel(f"{loss} of what was served")
        figure.legend(loc="outside lower left", ncols=4)
        return svg_of(figure, f"{loss} against the number of models that served, by policy")


def _name_points(axes: Axes, found: Backtest, n_models: int) -> None:
    """Write the names of policies at their points; those of one point stand together, and none over another."""
    low, high = axes.get_ylim()
    named: dict[tuple[int, float], list[str]] = {}
    for each in found.results:
        named.setdefault((each.path.n_promoted, round(each.loss, 9)), []).append(each.path.policy.name)
    placed: list[tuple[float, float, float]] = []  # left, right, height of each name
    for (n_promoted, loss), names in sorted(named.items()):
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        text, height = ", ".join(names[:_NAMED]) + more, loss
        left, right = n_promoted, n_promoted + (len(text) + 2) * n_models * _LETTER
        beside = [y for begin, end, y in placed if begin < right and left < end]
        while any(abs(height - y) < _LEAST_APART * 1.8 * (high - low) for y in beside):
            height += _LEAST_APART * (high - low) / 2
        placed.append((left, right, height))
        axes.annotate(text, (n_promoted, height), (9, -4), textcoords="offset points",
                      color=TEXT, fontsize=11)  # fmt: skip


def _age_chart(found: Backtest, loss: str) -> Chart | None:
    if not found.ages:
        return None
    with chart_figure(260) as (figure, axes):
        days = [each.days for each in found.ages]
        axes.fill_between(days, [100 * each.excess.lower for each in found.ages],
                          [100 * each.excess.upper for each in found.ages], color=SERIES[0], alpha=0.15,
                          linewidth=0)  # fmt: skip
        axes.plot(days, [100 * each.excess.estimate for each in found.ages], color=SERIES[0], marker="o")
        axes.axhline(0, color=DIM, linewidth=1)
        axes.set_xlabel("days by which a model is older than the newest one")
        axes.set_ylabel(f"% of its {loss} lost to age")
        return svg_of(figure, f"Share of the {loss} that the newest model would have saved, by age of the model")


def _policies(spec: UseCaseSpec, found: Backtest) -> PageTable:
    names = ["policy", "retrained", "promoted", str(task_of(spec.task).loss_metric), "saved beside never", "",
             "total cost", "over hindsight", "random schedules", "as good or better"]  # fmt: skip
    rows = [
        [
            each.path.policy.name, each.path.n_retrained, each.path.n_promoted, f"{each.loss:.4f}",
            _coloured(each.saved), _bounds(each.saved), "" if each.cost is None else f"{each.cost:,.0f}",
            f"{each.regret:+.2%}", f"{each.random_loss:.4f}", f"{each.beaten_by:.0%}",
        ]
        for each in found.results
    ]  # fmt: skip
    styles = ["", *["number"] * 9]
    return PageTable([PageColumn(n, s) for n, s in zip(names, styles, strict=True)], rows)  # pyright: ignore[reportArgumentType] - styles of columns


def _ages(found: Backtest) -> PageTable:
    rows = [[f"{each.days:g}", each.excess.n_days, _coloured(each.excess, is_loss=True), _bounds(each.excess)]
            for each in found.ages]  # fmt: skip
    heads = ("days older", "periods", "lost to age", "interval")
    return PageTable([PageColumn(name, "number") for name in heads], rows)


def _advantages(found: Backtest) -> PageTable:
    rows = [[name, _coloured(gain), _bounds(gain), f"{gain.level:.1%}"] for name, gain in found.beside_best.items()]
    heads = (PageColumn("policy"), *(PageColumn(name, "number") for name in ("saved", "interval", "level")))
    return PageTable(heads, rows)


def _decisions(results: Sequence[PolicyResult]) -> PageTable:
    rows = [
        [each.path.policy.name, str(row["as_of"]), row["verdict"] if row["decided_by"] == "gate" else "fallback",
         row["asked_by"], "" if row["gain"] is None else f"{row['gain']:+.2%}",
         each.path.decisions[row["as_of"]].reason if row["as_of"] in each.path.decisions else ""]
        for each in results
        if each.path.policy.is_adaptive
        for row in each.path.record
    ]  # fmt: skip
    return PageTable(
        [PageColumn("policy"), PageColumn("as of", "day"), PageColumn("verdict"), PageColumn("asked by"),
         PageColumn("gain at the gate", "number"), PageColumn("reason", "sentence")], rows
    )  # fmt: skip


def _coloured(gain: Interval, *, is_loss: bool = False) -> ColouredCell:
    text = f"{gain.estimate:+.2%}"
    if not (gain.lower > 0 or gain.upper < 0):
        return ColouredCell(text, "")
    return ColouredCell(text, "good" if (gain.lower > 0) != is_loss else "bad")


def _bounds(gain: Interval) -> str:
    return f"{gain.lower:+.2%} to {gain.upper:+.2%}"
