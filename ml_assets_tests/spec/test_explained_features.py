from __future__ import annotations

from pathlib import Path
from typing import Any

from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.explained_features import CALENDAR, LAGGED, explained_features
from ml_assets.spec.features import FeatureSpec
from ml_assets.spec.use_case import UseCaseSpec

DECLARED = Path(__file__).parents[1] / "second_use_case" / "late_loans"


def loans(features: dict[str, Any]) -> UseCaseSpec:
    """Give late_loans with other features: applied_at is when an application became known."""
    spec = load_use_case(DECLARED)
    return spec.model_copy(update={"features": FeatureSpec.model_validate(features)})


def test_hour_and_weekday_of_the_example_are_of_the_calendar() -> None:
    hour, weekday = "hour(timezone('Asia/Kolkata', applied_at))", "isodow(prediction_at)"
    spec = loans({"expressions": [{"name": "h", "sql": hour}, {"name": "w", "sql": weekday}]})

    assert explained_features(spec) == {"h": CALENDAR, "w": CALENDAR}


def test_columns_that_read_more_than_a_moment_are_not_explained() -> None:
    sqls = {"amount_inr": "amount_inr", "mixed": "amount_inr * hour(applied_at)", "fixed": "1"}
    spec = loans({"expressions": [{"name": name, "sql": sql} for name, sql in sqls.items()]})

    assert explained_features(spec) == {}


def test_window_over_outcomes_is_explained_but_not_where_its_entity_is_the_example() -> None:
    aggregates = {"late": "mean(days_late)"}
    views = [
        {"name": name, "from": "repayments", "entity": [entity], "windows": ["28d"], "aggregates": aggregates}
        for name, entity in (("of_branch", "branch"), ("of_itself", "loan_id"))
    ]
    applied = {"name": "asked", "from": "applications", "entity": ["branch"], "windows": ["28d"]}
    views.append({**applied, "aggregates": {"rows": "count(*)"}})
    spec = loans({"views": views, "expressions": [{"name": "twice", "sql": "2 * of_branch_late_28d"}]})

    assert explained_features(spec) == {"of_branch_late_28d": LAGGED, "twice": LAGGED}
