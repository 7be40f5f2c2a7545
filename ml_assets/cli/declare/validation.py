"""What `ml-assets validate` says of declarations: for a person, or for CI."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml_assets.cli.console import console, print_json
from ml_assets.spec.contract_words import rules_in_words
from ml_assets.spec.declaration import DeclarationError, load_use_case
from ml_assets.stores.paths import delivery_roots


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
        spec = load_use_case(folder, delivery_roots())
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
    return {"use_case": folder.name, "mistakes": [], **counts}


def _show(found: dict[str, Any]) -> None:
    name = found["use_case"]
    if not found["mistakes"]:
        sizes = f"{found['sources']} sources, {found['rules']} rules, {found['features']} features"
        console.print(f"[bold green]{name}[/]: {sizes}, no mistake")
        return
    count = len(found["mistakes"])
    console.print(f"[bold red]{name}[/]: {count} mistake{'s' if count > 1 else ''}")
    for line in found["lines"]:
        console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
