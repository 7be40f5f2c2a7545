"""The policy backtest, from the terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ml_assets.cli.console import console, fail, next_steps, plain_rows, print_json, read_run_drop, say
from ml_assets.cli.progress import progress_bar
from ml_assets.cli.tables import TableColumn, print_table
from ml_assets.decisions.policies import SIGNALS, Policy, standard_policies
from ml_assets.pipeline.champion.record import newest_champion, read_record
from ml_assets.pipeline.features.closed_drops import closed_drops
from ml_assets.pipeline.policies.backtest import (
    Backtest,
    BacktestRequest,
    PolicyResult,
    build_table,
    read_upstream,
    recommend,
    run_backtest,
)
from ml_assets.pipeline.policies.policy_state import policy_state
from ml_assets.reports.policies_page import policies_page
from ml_assets.spec.duration import format_duration, parse_duration
from ml_assets.spec.monitoring import RetrainingSpec
from ml_assets.spec.names import not_among
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.tasks import task_of
from ml_assets.stores.landing import write_whole
from ml_assets.stores.use_case_state import UseCaseState

_ALL = "all"
_COLUMNS = (
    "policy",
    "retrained",
    "promoted",
    "loss",
    "saved beside never",
    "cost",
    "over hindsight",
    "random",
    "as good",
)
_RANKS = (0, 1, 2, 0, 0, 1, 3, 4, 3)


@dataclass(frozen=True)
class PolicyOptions:
    """What the command was asked for; empty texts are defaults."""

    first: str
    last: str
    every: str
    candidate: str
    tries: tuple[str, ...]
    as_json: bool


def run_policies(spec: UseCaseSpec, state: UseCaseState, asked: PolicyOptions) -> None:
    """Fit and score what was not yet, walk every policy, print what they came to and write the page."""
    if not spec.calendar.has_dates:
        raise fail(f"{spec.name} has several drops a day; policies are compared where a drop is a day or longer")
    request = _request(spec, state, asked)

    def between(cutoffs: int) -> str:
        return format_duration(spec.calendar.duration_of(cutoffs * request.every))

    policies = [*standard_policies(between), *_tried(spec, asked.tries)]
    own = policy_state(state)
    begun = time.perf_counter()
    try:
        with progress_bar() as progress, own.connect() as connection:
            task = progress.add_task(f"policies of {spec.name}", total=None, now="")

            def tell(now: str) -> None:
                progress.update(task, advance=1, now=now[:100])

            table = build_table(connection, spec, own, request, tell)
            fitted = time.perf_counter()
            found = run_backtest(table, read_upstream(connection, own, table), request, policies, tell)
    except ValueError as error:
        raise fail(str(error)) from error
    took = (fitted - begun, time.perf_counter() - fitted)
    page = state.paths.reports / spec.name / f"policies_{request.last}.html"
    write_whole(page, policies_page(spec, found, recommend(found, spec.retraining.cost)).encode())
    if asked.as_json:
        print_json(_as_json(spec, found, page, took))
        return
    _show(spec, found, page, took)


def _request(spec: UseCaseSpec, state: UseCaseState, asked: PolicyOptions) -> BacktestRequest:
    closed = closed_drops(state)
    if not closed:
        first = spec.calendar.first_drop
        raise fail(f"no drop was run yet. Run `ml-assets batch {spec.name} --from {first} --to …` first")
    with state.connect() as connection:
        record = read_record(connection, state.lake)
    promoted = [row["as_of"] for row in record if row["verdict"] == "promoted"]
    default = min(promoted) if promoted else spec.calendar.drop_receiving(
        spec.calendar.batch_at(spec.calendar.first_drop) + spec.retraining.first_after
    )  # fmt: skip
    first = read_run_drop(spec, asked.first, "--from") if asked.first else default
    last = read_run_drop(spec, asked.last, "--to") if asked.last else max(closed)
    if first >= last:
        raise fail(f"--from {first} is not before --to {last}: a model needs later drops to be scored on")
    try:
        every = spec.calendar.drops_in(parse_duration(asked.every))
    except ValueError as error:
        raise fail(f"--every: {error}") from error
    serving = newest_champion(record)
    names = [each.name for each in spec.model.candidates]
    candidate = asked.candidate or (serving["candidate"] if serving and serving["candidate"] in names else _ALL)
    if candidate not in (*names, _ALL):
        raise fail(f"--candidate: {not_among(candidate, [*names, _ALL])}")
    return BacktestRequest(first, last, every, "" if candidate == _ALL else candidate)


def _tried(spec: UseCaseSpec, tries: Sequence[str]) -> list[Policy]:
    """Read settings to try: each is the declared policy with one key of `retraining` replaced."""
    found: list[Policy] = []
    for text in tries:
        key, equals, value = text.partition("=")
        keys = [name for name in RetrainingSpec.model_fields if name not in ("replay_every", "periodic", "cost")]
        if key not in keys or not equals:
            raise fail(f"--try {text}: {not_among(key, keys)}, followed by = and a value, as cooldown=14d")
        try:
            rule = RetrainingSpec.model_validate({**spec.retraining.model_dump(), key: value})
        except ValidationError as error:
            raise fail(f"--try {text}: {error.errors()[0]['msg']}") from error
        found.append(Policy(f"declared, {text}", SIGNALS, rule=rule))
    return found


def _show(spec: UseCaseSpec, found: Backtest, page: Path, took: tuple[float, float]) -> None:
    columns = [TableColumn(name, rank) for name, rank in zip(_COLUMNS, _RANKS, strict=True)]
    print_table(f"retraining policies of {spec.name}", columns, [_row(each) for each in found.results], see="--json")
    loss = task_of(spec.task).loss_metric
    say(
        f"{loss} of {found.n:,} examples from {found.counted_from} to {found.counted_until}, {len(found.cutoffs)} "
        f"cutoffs, candidate {found.candidate}"
    )
    for each in found.ages:
        gain = each.excess
        say(
            f"a model {each.days:g} days older than the newest: {gain.estimate:+.2%} of its {loss} could be saved "
            f"({gain.lower:+.2%} to {gain.upper:+.2%})"
        )
    say(recommend(found, spec.retraining.cost))
    say(f"table {took[0]:.1f} s, policies {took[1]:.1f} s")
    console.print(f"page: {page}", highlight=False, soft_wrap=True)
    next_steps({f"ml-assets policies {spec.name} --try cooldown=14d": "the declared policy with another setting"})


def _row(each: PolicyResult) -> list[Any]:
    saved, path = each.saved, each.path
    interval = (
        "" if path.policy.name == "never" else f"{saved.estimate:+.2%} ({saved.lower:+.2%} to {saved.upper:+.2%})"
    )
    return [
        path.policy.name, path.n_retrained, path.n_promoted, f"{each.loss:.4f}", interval,
        "" if each.cost is None else f"{each.cost:,.0f}", f"{each.regret:+.2%}", f"{each.random_loss:.4f}",
        f"{each.beaten_by:.0%}",
    ]  # fmt: skip


def _as_json(spec: UseCaseSpec, found: Backtest, page: Path, took: tuple[float, float]) -> dict[str, Any]:
    names = ("policy", "retrained", "promoted", "loss", "saved", "saved_lower", "saved_upper", "cost", "regret",
             "random_loss", "beaten_by")  # fmt: skip
    rows = [
        [each.path.policy.name, each.path.n_retrained, each.path.n_promoted, each.loss, each.saved.estimate,
         each.saved.lower, each.saved.upper, each.cost, each.regret, each.random_loss, each.beaten_by]
        for each in found.results
    ]  # fmt: skip
    return {
        "use_case": spec.name,
        "cutoffs": list(found.cutoffs),
        "candidate": found.candidate,
        "from": found.counted_from,
        "until": found.counted_until,
        "examples": found.n,
        "policies": plain_rows(names, rows),
        "decisions": {
            each.path.policy.name: [
                {"drop": drop, "action": decision.action, "trigger": decision.trigger, "reason": decision.reason}
                for drop, decision in each.path.decisions.items()
            ]
            for each in found.results
        },
        "best_schedules": [{"models": k, "loss": loss} for k, loss in found.frontier],
        "ages": plain_rows(
            ("days", "excess", "lower", "upper"),
            [[each.days, each.excess.estimate, each.excess.lower, each.excess.upper] for each in found.ages],
        ),
        "recommendation": recommend(found, spec.retraining.cost),
        "seconds": {"table": round(took[0], 2), "policies": round(took[1], 2)},
        "page": page,
    }
