"""Mistakes in the declaration of routes, and what a use case has without any."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ml_assets.spec.asset_versions import asset_versions
from ml_assets.spec.declaration import DeclarationError, load_use_case
from ml_assets.spec.tables import declared_lake_tables
from ml_assets_tests.comment_spam.state import FOLDER

ROUTES = "routes: {max_risk: 0.1, escalate: 5}"


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ("routes: {max_risk: 0.6}", "worklist.routes.max_risk: found 0.6; allowed: less than 0.5"),
        ("routes: {max_risk: 0}", "worklist.routes.max_risk: found 0; allowed: more than 0"),
        ("routes: {escalate: 5}", "worklist.routes.max_risk: "),
        ("routes: {max_risk: 0.1, escalate: -1}", "worklist.routes.escalate: found -1; allowed: 0 or more"),
        ("routes: {max_risk: 0.1, level: 90}", "worklist.routes.level: found 90; allowed: less than 1"),
        ("routes: {max_risk: 0.1, windw: 7d}", "worklist.routes.windw: found 'windw'; allowed: "),
    ],
)
def test_mistake_is_named_with_its_line(tmp_path: Path, declared: str, said: str) -> None:
    file = Path(shutil.copytree(FOLDER, tmp_path / "comment_spam")) / "defs.yaml"
    text = file.read_text()
    assert ROUTES in text
    line = next(number for number, each in enumerate(text.splitlines(), 1) if ROUTES in each)
    file.write_text(text.replace(ROUTES, declared))

    with pytest.raises(DeclarationError) as refused:
        load_use_case(file.parent)

    (mistake,) = map(str, refused.value.mistakes)
    assert mistake.startswith(f"defs.yaml:{line} {said}"), mistake


def test_worklist_without_routes_has_the_columns_and_tables_it_had() -> None:
    spec = load_use_case(FOLDER)
    without = spec.model_copy(update={"worklist": spec.worklist.model_copy(update={"routes": None})})

    assert {"worklist_routes", "risk_coverage"} == declared_lake_tables(spec).keys() - declared_lake_tables(
        without
    ).keys()
    assert "route" not in declared_lake_tables(without)["worklist"].types
    versions, others = asset_versions(spec), asset_versions(without)
    assert {name for name in versions if versions[name] != others[name]} == {"predictions/worklist"}
