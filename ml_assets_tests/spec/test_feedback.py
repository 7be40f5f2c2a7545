from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from ml_assets.spec.feedback import feedback_paths
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets_tests.rehearsal import small_spec


def declared(**more: Any) -> UseCaseSpec:
    return UseCaseSpec.model_validate({**small_spec().model_dump(by_alias=True), **more})


def test_nothing_that_is_declared_leads_from_predictions_to_training_data() -> None:
    assert feedback_paths(declared()) == ()


def test_list_that_is_acted_on_reaches_the_outcomes() -> None:
    assert feedback_paths(declared(acted_on="worklist")) == (
        "predictions/worklist -> what people do -> validated/flight_outcomes -> training/labels -> "
        "training/training_set",
    )


def test_source_that_an_asset_of_predictions_writes_reaches_them_too() -> None:
    sources = [
        {**source, "asset": f"{small_spec().name}/predictions/worklist"} if source["name"] == "weather" else source
        for source in small_spec().model_dump(by_alias=True)["sources"]
    ]

    assert feedback_paths(declared(sources=sources)) == (
        "predictions/worklist -> validated/weather -> training/training_set",
    )


def test_list_that_routes_choose_cannot_be_compared() -> None:
    worklist = {**small_spec().model_dump(by_alias=True)["worklist"], "routes": {"max_risk": 0.05}}

    with pytest.raises(ValidationError, match=r"found acted_on beside worklist\.routes"):
        declared(acted_on="worklist", worklist=worklist)
    with pytest.raises(ValidationError, match="Input should be 'worklist'"):
        declared(acted_on="predictions")
