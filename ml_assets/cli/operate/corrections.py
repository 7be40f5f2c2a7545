"""Shows what a person does about quarantined rows and about files that will not come."""

from __future__ import annotations

from datetime import datetime

from ml_assets.cli.console import console, explained_errors, fail, next_steps, say
from ml_assets.cli.tables import print_table
from ml_assets.pipeline.ingestion.corrections import AcceptedGap, RequeueRequest, accept_gap, land_again, plan_requeue
from ml_assets.pipeline.monitoring.incidents import reconcile_accepted
from ml_assets.spec.drop import LATEST
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.alert_file import AlertOutboxError
from ml_assets.stores.use_case_state import UseCaseState


def run_requeue(spec: UseCaseSpec, state: UseCaseState, request: RequeueRequest, *, is_dry_run: bool) -> None:
    """Land quarantined rows once more, beside the file they came in: the next open drop receives them."""
    with explained_errors():
        plan = plan_requeue(spec, state, request)
    if plan.n_superseded:
        console.print(f"{plan.n_superseded:,} rows are left out: a later drop brought newer rows of their keys")
    if not plan.n_rows:
        until = f" to {request.last}" if request.last < LATEST else ""
        say(f"nothing to requeue: no such row of {request.source} in quarantine, from {request.first}{until}")
        return
    print_table(f"{plan.n_rows:,} rows of {request.source}", ["reason", "rows"], list(plan.by_reason.items()))
    if is_dry_run:
        return
    result = land_again(state, plan)
    for problem in result.problems:
        say(problem, style="yellow")
    say(f"{result.n_landed} of {result.n_files} files landed beside those they came in; the others were there already")
    if result.n_landed:
        drop = plan.next_drop
        next_steps({f"ml-assets batch {spec.name} --from {drop} --to {drop}": "receives them as corrections"})


def run_accept(spec: UseCaseSpec, state: UseCaseState, gap: AcceptedGap, now: datetime) -> None:
    """Record that a person goes on without a source in some drops, and why; all of them or none."""
    with explained_errors():
        refused = accept_gap(spec, state, gap, now)
    for drop in gap.drops:
        how = "refused and accepted as that" if drop in refused else "accepted as missing"
        say(f"{gap.source} of {drop} is {how}: {gap.reason.strip()}")
    if refused:
        try:
            reconcile_accepted(spec, state.paths, now)
        except AlertOutboxError as error:
            raise fail(f"it is recorded, and its incident closes with the next batch: {error}") from error
    missing = [drop for drop in gap.drops if drop not in refused]
    if not missing:
        next_steps({f"ml-assets alerts {spec.name}": "the incident about it is closed"})
        return
    first, last = missing[0], missing[-1]
    next_steps({f"ml-assets batch {spec.name} --from {first} --to {last}": "goes on without it"})
