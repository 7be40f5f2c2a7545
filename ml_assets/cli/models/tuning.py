"""A search for parameters from the terminal."""

from __future__ import annotations

from dataclasses import asdict

from ml_assets.cli.console import console, fail, next_steps, plain_rows, print_json
from ml_assets.cli.progress import progress_bar
from ml_assets.cli.tables import TableColumn, print_table
from ml_assets.pipeline.training.training_set import read_newest
from ml_assets.spec.model import Tuning
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.tasks import task_of
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.training.tuning import tune_candidates


def run_tune(spec: UseCaseSpec, state: UseCaseState, candidate: str, budget: Tuning, *, as_json: bool) -> None:
    """Search on the newest training set and print what was found; nothing is written."""
    recipe = spec.recipe()
    if candidate:
        try:
            recipe = recipe.model_copy(update={"candidates": (recipe.candidate(candidate),)})
        except ValueError as error:
            raise fail(f"--{error}") from error
    newest = read_newest(spec, state)
    plan, rows = newest.plan, newest.rows
    with progress_bar() as progress:
        task = progress.add_task(f"tune on the training set as of {plan['as_of']}", total=None, now="")
        try:
            tuned, trials = tune_candidates(
                recipe, budget, rows, plan["features"], lambda now: progress.update(task, advance=1, now=now[:100])
            )
        except ValueError as error:
            raise fail(str(error)) from error
    searched = [each for each in tuned.candidates if each.search]
    if as_json:
        found = {each.name: each.parameters for each in searched}
        print_json({"parameters": found, "trials": [asdict(trial) for trial in trials]})
        return
    names = list(dict.fromkeys(name for trial in trials for name in trial.parameters))
    heads = ["candidate", "outcome", f"{task_of(spec.task).loss_metric} ahead", *names]
    done = sorted(trials, key=lambda trial: (trial.candidate, trial.outcome != "complete", trial.loss))
    rows_shown = [
        [each.candidate, "best" if each.is_best else each.outcome, each.loss, *(each.parameters.get(n) for n in names)]
        for each in done[:20]
    ]
    columns = [TableColumn(head, max(0, position - 2)) for position, head in enumerate(heads)]
    cells = [list(row.values()) for row in plain_rows(heads, rows_shown)]
    print_table(f"{len(trials)} trials", columns, cells, see="--json")
    for each in searched:
        said = ", ".join(f"{name}: {value:g}" for name, value in each.parameters.items() if not isinstance(value, str))
        console.print(f"{each.name}: parameters: {{{said}}}", highlight=False, soft_wrap=True)
    next_steps({f"ml-assets retrain {spec.name} --tune": "search again and train by what is found"})
