"""A kind of behaviour of another package: declared, tried, and named where it cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from ml_assets.spec.behaviours import Behaviour, kind_fault
from ml_assets.spec.former_names import former_names
from ml_assets.training.behaviour_trials import try_behaviours
from ml_assets_tests.added_package import install, installed
from ml_assets_tests.rehearsal import REPOSITORY
from ml_assets_tests.training.test_behaviour_trials import ByHour

EXAMPLE = (REPOSITORY / "docs" / "examples" / "rank_behaviour.py").read_text()
ADDS = {"keeps_order": "rank_behaviour:KIND", "gone": "nowhere:KIND"}
ROWS = pd.DataFrame({"hour": np.arange(24.0), "wind": np.linspace(0, 30, 24), "gate": ["B1"] * 24})


@pytest.fixture(autouse=True)
def package(tmp_path: Path) -> Iterator[None]:
    with installed(install(tmp_path, {"rank_behaviour.py": EXAMPLE}, {"ml_assets.behaviours": ADDS})):
        yield


@pytest.mark.parametrize(("sql", "state"), [("wind * 2", "kept"), ("hour + 1", "kept"), ("23 - hour", "broken")])
def test_its_own_judge_decides(sql: str, state: str) -> None:
    feature = "wind" if "wind" in sql else "hour"
    declared = {
        "name": "order",
        "kind": "keeps_order",
        "change": {feature: sql},
        "parameters": {"min_correlation": 0.8},
    }
    with duckdb.connect() as connection:
        (found,) = try_behaviours([Behaviour.model_validate(declared)], ByHour(), None, ROWS, connection, 0)

    assert (found.kind, found.state, found.n, found.threshold) == ("keeps_order", state, 24, 0.8)
    assert found.message.startswith("ranks before and after correlate by ")


def test_what_it_needs_is_asked_for_and_what_cannot_be_used_is_named() -> None:
    missing = list(Behaviour.faults({"name": "order", "kind": "keeps_order"}))

    assert missing == [(("change",), "is required by keeps_order and missing")]
    assert "'gone' of added-package (nowhere:KIND) cannot be loaded" in kind_fault("gone")
    assert "nearest: keeps_order" in kind_fault("keeps_ordr")


def test_one_that_fails_is_broken_and_the_others_stand() -> None:
    order = {"name": "order", "kind": "keeps_order", "change": {"hour": "hour"}, "parameters": {"min_correlation": "x"}}
    same = {"name": "same", "kind": "invariance", "change": {"wind": "0.0"}, "max_change": 0.01}
    with duckdb.connect() as connection:
        behaviours = [Behaviour.model_validate(each) for each in (order, same)]
        broken, kept = try_behaviours(behaviours, ByHour(), None, ROWS, connection, 0)

    assert (broken.state, broken.message) == ("broken", "ValueError: could not convert string to float: 'x'")
    assert kept.state == "kept"


def test_former_name_of_a_kind_is_read_and_named() -> None:
    declared = {"name": "heavy", "kind": "minimum", "cases": [{"values": {"hour": 3}, "label": "low"}]}

    assert Behaviour.model_validate(declared).kind == "labelled_cases"
    (found,) = former_names({"model": {"behaviours": [declared]}})
    assert found.message == "found 'minimum'; it is called labelled_cases now"
