"""Columns of use cases that declare `model.intervals`."""

from __future__ import annotations

from ml_assets.spec.tables.table import read_columns

OF_PREDICTIONS = read_columns("""
    lower | DOUBLE | the outcome lies above as often as declared | unit of the label | the baseline gave the score
    upper | DOUBLE | the outcome lies below as often as declared | unit of the label | the baseline gave the score
""")
OF_REPORT = read_columns("""
    coverage       | DOUBLE | share of outcomes within the bounds | | none has bounds, or a slice of too few
    interval_width | DOUBLE | mean distance of the bounds | unit of the label | none has bounds, or a slice of too few
""")
OF_VERDICTS = read_columns("""
    coverage       | DOUBLE | share of the window's outcomes within their bounds | | none has bounds
    coverage_lower | DOUBLE | lower bound of that, as surely as the budget of false alarms asks | | fewer than two days
    coverage_upper | DOUBLE | upper bound | | fewer than two days
""")
