"""The state of a use case looked over, in the terminal."""

from __future__ import annotations

from dataclasses import asdict

from ml_assets.cli.console import console, next_steps, print_json, say
from ml_assets.pipeline.doctor import examine, remove_left_behind
from ml_assets.stores.use_case_state import UseCaseState


def run_doctor(state: UseCaseState, *, is_repair: bool, as_json: bool) -> bool:
    """Print what is wrong and what to do; with `is_repair` mend first what can be. Give whether all is well."""
    from ml_assets.graph.runs.launch import open_instance
    from ml_assets.graph.runs.lost_runs import end_lost_runs

    repaired: list[str] = []
    if is_repair:
        repaired = [f"removed {path}" for path in remove_left_behind(state.paths)]
        if state.paths.dagster_home.exists():  # where nothing ran, looking makes nothing
            with open_instance(state.paths) as instance:
                lost = end_lost_runs(instance)
            repaired += [f"run {run_id[:8]} marked as failed: its process is gone" for run_id in lost]
    found = examine(state)
    problems = [each for each in found if each.problem]
    if as_json:
        print_json({"repaired": repaired, "found": [asdict(each) for each in found]})
        return not problems
    for line in repaired:
        say(line, style="green")
    for each in problems:
        say(f"{each.what}: {each.problem}", style="bold red", hanging=2)
        say(each.advice, indent=2)
    console.print(f"{len(found)} looked at, {len(problems)} with a problem", style="red" if problems else "green")
    next_steps({f"ml-assets status {state.use_case}": "what serves, what is missing"})
    return not problems
