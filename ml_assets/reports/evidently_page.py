"""Evidently's page on a sample of a window and its reference: for reading, never for deciding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def draw_page(reference: pd.DataFrame, window: pd.DataFrame, *, rows: int, seed: int) -> tuple[str, tuple[str, ...]]:
    """Draw Evidently's drift page of the columns that both frames have.

    Columns without a finite value on either side are left out, since one of them ends Evidently's whole report; values
    that are not finite count as missing.

    Parameters
    ----------
    rows
        At most so many rows a side, drawn without replacement.

    Returns
    -------
    html, left_out
        The page, complete in one file, and the columns that are not on it. The page is empty when none is left.
    """
    import warnings

    rng = np.random.default_rng(seed)
    sides = [_sample(frame, rows, rng) for frame in (reference, window)]
    shared = [name for name in sides[0].columns if name in sides[1].columns]
    shown = [name for name in shared if all(side[name].notna().any() for side in sides)]
    left_out = tuple(name for name in dict.fromkeys([*reference.columns, *window.columns]) if name not in shown)
    if not shown:
        return "", left_out
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what third parties deprecate is no news to the reader of a page
        from evidently import DataDefinition, Dataset, Report
        from evidently.presets import DataDriftPreset

        texts = [name for name in shown if sides[0][name].dtype == object]
        definition = DataDefinition(
            numerical_columns=[name for name in shown if name not in texts], categorical_columns=texts
        )
        old, new = (Dataset.from_pandas(side[shown], data_definition=definition) for side in sides)
        snapshot = Report([DataDriftPreset()]).run(reference_data=old, current_data=new)
        return snapshot.get_html_str(as_iframe=False), left_out


def _sample(frame: pd.DataFrame, rows: int, rng: np.random.Generator) -> pd.DataFrame:
    kept = np.sort(rng.choice(len(frame), size=min(rows, len(frame)), replace=False))
    drawn = frame.iloc[kept].reset_index(drop=True)
    numbers = drawn.select_dtypes(include=["number", "bool"]).columns
    drawn[numbers] = drawn[numbers].astype(float).replace([np.inf, -np.inf], np.nan)
    return drawn
