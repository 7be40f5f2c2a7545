"""Which rows fail which expectation, by Great Expectations itself: it is loaded for what is not compiled to SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from ml_assets.ingestion.compiled_drops import DROP_CHECKS
from ml_assets.ingestion.compiled_rows import ROW_CHECKS
from ml_assets.spec.contract import Expectation, columns_asked

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

# These look at a row beside the rows around it, so they are about a drop and not about a row.
_ABOUT_NEIGHBOURS = ("unique", "increasing", "decreasing")


class ExpectationError(ValueError):
    """An expectation that Great Expectations does not know, or cannot evaluate as declared."""


@dataclass(frozen=True)
class ExpectationFinding:
    """What one expectation found: failing row positions (row rules), or its verdict on the whole frame.

    `failed` holds positions in the frame, ascending. `observed` is what a rule about the whole
    frame measured. An expectation that raised counts as failed and says so in `observed`.
    """

    expectation: Expectation
    is_about_rows: bool
    failed: np.ndarray
    success: bool
    observed: str | None


def is_about_rows(expectation: Expectation) -> bool:
    """Say whether the expectation judges each row alone, so that failing rows can be named.

    Great Expectations is not loaded for the names that are compiled to SQL.

    Raises
    ------
    ExpectationError
        If Great Expectations has no expectation of that name.
    """
    if expectation.expect in ROW_CHECKS or expectation.expect in DROP_CHECKS:
        return expectation.expect in ROW_CHECKS
    from great_expectations.expectations.expectation import (
        ColumnMapExpectation,
        ColumnPairMapExpectation,
        MulticolumnMapExpectation,
    )

    if any(word in expectation.expect for word in _ABOUT_NEIGHBOURS):
        return False
    row_rules = (ColumnMapExpectation, ColumnPairMapExpectation, MulticolumnMapExpectation)
    return issubclass(_implementation(expectation.expect), row_rules)


def columns_needed(expectation: Expectation) -> tuple[str, ...] | None:
    """Name the columns an expectation looks at; None where only it knows.

    Examples
    --------
    >>> between = {"expect": "expect_column_values_to_be_between", "arguments": {"column": "seats"}, "reason": "seats"}
    >>> columns_needed(Expectation.model_validate(between))
    ('seats',)
    """
    if "row_condition" in expectation.arguments:
        return None
    named = tuple(dict.fromkeys(name for _, name in columns_asked(expectation.arguments)))
    is_of_rows_alone = expectation.expect.startswith("expect_table_row_count")
    return named if named or is_of_rows_alone else None


class Judge:
    """Evaluates expectations on frames, through one ephemeral Great Expectations context."""

    def __init__(self) -> None:
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
        asset = context.data_sources.add_pandas("landed").add_dataframe_asset("rows")
        self._whole_frame = asset.add_batch_definition_whole_dataframe("all")

    def find_failures(self, frame: pd.DataFrame, expectations: Sequence[Expectation]) -> list[ExpectationFinding]:
        """Evaluate `expectations` on `frame`, in their order; its index must be 0..n-1."""
        found: list[ExpectationFinding] = []
        for expectation in expectations:
            # of a frame it hashes every cell, and copies all of it for every rule: most of the time of a large file
            named = columns_needed(expectation)
            looked_at = frame if named is None else frame[[name for name in named if name in frame.columns]]
            found.append(_evaluate(self._whole_frame.get_batch({"dataframe": looked_at}), expectation))
        return found


def _evaluate(batch: Any, expectation: Expectation) -> ExpectationFinding:
    import numpy as np

    try:
        rule = _implementation(expectation.expect)(**expectation.arguments)
    except ExpectationError:
        raise
    except Exception as error:
        found = f"{expectation.reason}: {expectation.expect}: {' '.join(str(error).split())}"
        raise ExpectationError(found) from error
    about_rows = is_about_rows(expectation)
    result = batch.validate(rule, result_format={"result_format": "COMPLETE", "return_unexpected_index_query": False})
    failed = np.unique(np.asarray(result.result.get("unexpected_index_list") or [], dtype=np.int64))
    observed = result.result.get("observed_value")
    raised = _exception_in(result.exception_info)
    if raised is not None:
        return ExpectationFinding(expectation, False, failed, False, f"could not be evaluated: {raised}")
    success = bool(result.success) if not about_rows else failed.size == 0
    return ExpectationFinding(expectation, about_rows, failed, success, None if observed is None else str(observed))


def _exception_in(info: Any) -> str | None:
    if not isinstance(info, dict):
        return None
    if info.get("raised_exception"):
        return str(info.get("exception_message"))
    for value in info.values():
        found = _exception_in(value)
        if found is not None:
            return found
    return None


def _implementation(name: str) -> type:
    import great_expectations.expectations  # noqa: F401 - fills the registry
    from great_expectations.expectations.registry import (
        get_expectation_impl,
        list_registered_expectation_implementations,
    )

    known = list_registered_expectation_implementations()
    if name not in known:
        nearest = get_close_matches(name, known, n=1)
        raise ExpectationError(
            f"found {name!r}; allowed: an expectation of Great Expectations"
            + (f"; nearest: {nearest[0]}" if nearest else "")
        )
    return get_expectation_impl(name)
