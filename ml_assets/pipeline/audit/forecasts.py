"""Forecasts whose values never change from vintage to vintage: final values under an early date of issue."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ml_assets.features.final_values import forecast_views
from ml_assets.features.outcome_leakage import LeakageSign
from ml_assets.pipeline.training.vintages import features_of_column, forecast_vintages, read_columns
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.training.training_set import DrawPlan


def audit_forecasts(spec: UseCaseSpec, state: UseCaseState, plan: DrawPlan) -> list[LeakageSign]:
    """Say of each feature of a forecast how far the first vintages agree with the last, as of the drop of a plan.

    A contract that claims a moment of issue too early deceives recomputation; that nothing is ever revised gives it
    away. A forecast that declares `unrevised` is not judged.
    """
    return list(_signs(spec, state, plan)) if forecast_views(spec) else []


def _signs(spec: UseCaseSpec, state: UseCaseState, plan: DrawPlan) -> Iterator[LeakageSign]:
    for found in forecast_vintages(spec, state, plan):
        columns = list(read_columns(spec, spec.source(found.source)))
        for sign in found.signs:
            for view in forecast_views(spec):
                if view.source == found.source:
                    for name in features_of_column(view, sign.column, columns):
                        yield replace(sign, column=name, says=f"{found.source}.{sign.column}: {sign.says}")
