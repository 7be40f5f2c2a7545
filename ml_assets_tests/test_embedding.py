"""A use case inside a Dagster project that was there before: its assets up- and downstream, one graph."""

from __future__ import annotations

import shutil
from pathlib import Path

import dagster as dg
import pytest

from ml_assets_tests.rehearsal import REPOSITORY

DECLARED = REPOSITORY / "ml_assets_tests" / "second_use_case" / "late_loans"


@pytest.fixture
def together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dg.Definitions:
    """Give a team's definitions with late_loans among them: one asset writes its files, one reads its predictions."""
    folder = Path(shutil.copytree(DECLARED, tmp_path / "defs" / "late_loans"))
    text = (folder / "defs.yaml").read_text()
    text = text.replace("    - name: applications\n", "    - name: applications\n      asset: shop/applications\n")
    (folder / "defs.yaml").write_text(text)
    (tmp_path / "ml_assets.toml").touch()
    monkeypatch.setenv("ML_ASSETS_PROJECT", str(tmp_path))
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path / "state"))
    from ml_assets.definitions import use_cases

    @dg.asset(key=["shop", "applications"], group_name="shop")
    def applications() -> None:
        """Write <drop>/applications.csv."""

    @dg.asset(key=["shop", "calls"], group_name="shop", deps=[dg.AssetKey(["late_loans", "predictions", "worklist"])])
    def calls() -> None:
        """Call those on the list."""

    team = dg.Definitions(assets=[applications, calls], jobs=[dg.define_asset_job("shop_all", "group:shop")])
    return dg.Definitions.merge(use_cases(), team)


def test_lineage_goes_from_their_assets_through_the_use_case_to_their_assets(together: dg.Definitions) -> None:
    graph = together.get_repository_def().asset_graph
    below = {key.to_user_string() for key in graph.get_ancestor_asset_keys(dg.AssetKey(["shop", "calls"]))}

    landed = dg.AssetKey(["late_loans", "landed", "applications"])
    assert graph.get(landed).parent_keys == {dg.AssetKey(["shop", "applications"])}
    assert {"shop/applications", "late_loans/landed/applications", "late_loans/raw/applications",
            "late_loans/features/features", "late_loans/predictions/predictions"} <= below  # fmt: skip


def test_their_jobs_and_groups_stay_theirs(together: dg.Definitions) -> None:
    repository = together.get_repository_def()
    groups = {repository.asset_graph.get(key).group_name for key in repository.asset_graph.get_all_asset_keys()}

    assert groups - {"shop"} == {group for group in groups if group.startswith("late_loans_")}
    assert {key.to_user_string() for key in repository.get_job("shop_all").asset_layer.executable_asset_keys} == {
        "shop/applications", "shop/calls",
    }  # fmt: skip
    batch = repository.get_job("late_loans_batch").asset_layer.executable_asset_keys
    assert {key.path[0] for key in batch} == {"late_loans"}
