"""Columns that a declared sampling adds to the training set."""

from __future__ import annotations

from ml_assets.spec.tables.table import read_columns

OF_TRAINING_SET = read_columns("""
    sample_weight | DOUBLE  | how much the row counts because of how it was drawn; 1 in the holdout
    sample_reason | VARCHAR | why it was drawn, or holdout
""")
