"""What `ml-assets validate` says of declarations: for a person, or for CI."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml_assets.cli.console import console, print_json
from ml_assets.pipeline.declaring.calendar_changes import locate_on_state
from ml_assets.pipeline.ingestion.contract_changes import find_contract_changes
from ml_assets.spec.contract_words import rules_in_words
from ml_assets.spec.declaration import DECLARATION_FILE, DeclarationError, Mistake
from ml_assets.spec.marked_yaml import read_marked
from ml_assets.spec.names import spell_path
from ml_assets.spec.sql_tests import load_sql_tests
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.paths import state_paths
from ml_assets.stores.use_case_state import UseCaseState


def run_validate(folders: Sequence[Path], *, as_json: bool) -> bool:
    """Check the declarations in `folders`, print every mistake, and say whether there was none."""
    found = [_checked(folder) for folder in folders]
    if as_json:
        print_json([{key: value for key, value in each.items() if key != "lines"} for each in found])
    else:
        for each in found:
            _show(each)
    return not any(each["mistakes"] for each in found)


def _checked(folder: Path) -> dict[str, Any]:
    try:
        located = locate_on_state(folder, state_paths())
        spec, former = located.spec, [str(each) for each in located.former_names]
        changes = _changes_of_contracts(folder, spec)
    except DeclarationError as error:
        rows = [mistake.as_row() for mistake in error.mistakes]
        return {"use_case": folder.name, "mistakes": rows, "lines": [str(mistake) for mistake in error.mistakes]}
    rules = sum(1 for source in spec.sources for _ in rules_in_words(source))
    about_drops = sum(len(source.drop_rules) for source in spec.sources)
    counts = {
        "sources": len(spec.sources),
        "rules": rules,
        "rules_about_drops": about_drops,
        "features": len(spec.features.feature_names()),
    }
    tests = [str(mistake) for mistake in load_sql_tests(folder, spec).mistakes]
    notes = {"former_names": former, "changes": changes, "tests": tests}
    return {"use_case": folder.name, "mistakes": [], **counts, **notes}


def _changes_of_contracts(folder: Path, spec: UseCaseSpec) -> list[str]:
    """Say which columns are declared otherwise than earlier drops stored them.

    Raises
    ------
    DeclarationError
        If stored rows cannot follow.
    """
    state = UseCaseState(spec.name, state_paths())
    line_of = read_marked((folder / DECLARATION_FILE).read_bytes()).line_of
    notes: list[str] = []
    mistakes: list[Mistake] = []
    for place, source in enumerate(spec.sources):
        for change in find_contract_changes(state, source):
            key = ("sources", place, "columns", change.column)
            found = Mistake(Path(DECLARATION_FILE), line_of(("attributes", *key)), spell_path(key), change.message())
            if change.is_possible:
                notes.append(str(found))
            else:
                mistakes.append(found)
    if mistakes:
        raise DeclarationError(folder, mistakes)
    return notes


def _show(found: dict[str, Any]) -> None:
    name = found["use_case"]
    if not found["mistakes"]:
        sizes = f"{found['sources']} sources, {found['rules']} rules, {found['features']} features"
        console.print(f"[bold green]{name}[/]: {sizes}, no mistake")
        for line in found["former_names"]:
            console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True, style="yellow")
        for line in found["changes"]:
            console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
        for line in found["tests"]:
            said = f"  {line}; it stops `ml-assets test {name}` alone"
            console.print(said, markup=False, highlight=False, soft_wrap=True, style="yellow")
        return
    count = len(found["mistakes"])
    console.print(f"[bold red]{name}[/]: {count} mistake{'s' if count > 1 else ''}")
    for line in found["lines"]:
        console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
