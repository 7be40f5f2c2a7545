"""The code version of an asset changes with what its rows depend on, and with nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from ml_assets.spec.asset_versions import asset_versions
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets_tests.rehearsal import flagship


def changed_by(**parts: dict[str, Any]) -> set[str]:
    """Name the assets whose version is another once keys of these parts are set."""
    declared = flagship().model_dump(by_alias=True)
    other = UseCaseSpec.model_validate(
        {**declared, **{name: {**declared[name], **more} for name, more in parts.items()}}
    )
    before, after = asset_versions(flagship()), asset_versions(other)
    return {asset for asset in before if before[asset] != after[asset]}


@pytest.mark.parametrize(
    ("parts", "assets"),
    [
        ({"worklist": {"capacity": 7}}, {"predictions/worklist"}),
        ({"labels": {"matures_after": "5d"}}, {"training/labels", "training/training_set"}),
        ({"examples": {"sql": flagship().examples.sql + "\n-- a comment"}}, set()),
        ({"examples": {"sql": flagship().examples.sql + " LIMIT 1"}}, {"features/examples", "features/features"}),
    ],
)
def test_a_part_of_the_declaration_changes_the_assets_that_depend_on_it(
    parts: dict[str, dict[str, Any]], assets: set[str]
) -> None:
    assert changed_by(**parts) == assets


def test_contract_changes_what_is_made_of_its_source_alone() -> None:
    declared = flagship().model_dump(by_alias=True)
    weather = next(each for each in declared["sources"] if each["name"] == "weather")
    weather["description"] = "Other words."
    same = asset_versions(UseCaseSpec.model_validate(declared))
    weather["null_values"] = ["", "n/a"]

    after = asset_versions(UseCaseSpec.model_validate(declared))

    assert same == asset_versions(flagship())
    assert {each for each in after if after[each] != same[each]} == {
        f"{layer}/weather" for layer in ("raw", "validated", "quarantine")
    }
