"""Evidence and verdict on a candidate as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ml_assets.decisions.promotion import Verdict
from ml_assets.pipeline.evaluation.evidence import Row
from ml_assets.pipeline.evaluation.measures import LEVEL
from ml_assets.reports.markdown import Formatted, markdown_table, markdown_text
from ml_assets.stats.metric import Metric

_SHOWN, _ENTRIES = 12, 20


def measure_table(rows: Sequence[Row]) -> str:
    """List each measure with its interval, a column a model."""
    roles = list(dict.fromkeys(row["role"] for row in rows))
    found = {(row["measure"], row["role"]): row for row in rows}
    cells: list[list[str]] = []
    for measure in dict.fromkeys(row["measure"] for row in rows):
        of_roles = [found.get((measure, role)) for role in roles]
        intervals = ["" if row is None else _with_interval(row["estimate"], row["lower"], row["upper"])
                     for row in of_roles]  # fmt: skip
        cells.append([measure.replace("_", " "), *intervals])
    table = markdown_table(["measure", *roles], cells)
    return f"{table}\n\nin brackets the {LEVEL:.0%} interval of resampled days"


def _with_interval(estimate: float | None, lower: float | None, upper: float | None) -> str:
    if estimate is None or not np.isfinite(estimate):
        return "undefined"
    shown = f"{estimate:.3f}"
    return shown if lower is None or upper is None or not np.isfinite(lower) else f"{shown} ({lower:.3f}-{upper:.3f})"


def slice_table(loss: Metric, rows: Sequence[Row]) -> str:
    """List the declared slices, and those found to be weak."""
    declared = [
        [f"{row['column']} {row['value']}", row["n"],
         _with_interval(row[loss.name], row["loss_lower"], row["loss_upper"]),
         f"{row['gain']:+.1%} ({row['gain_lower']:+.1%} to {row['gain_upper']:+.1%})"]
        for row in rows if row["kind"] == "declared"
    ]  # fmt: skip
    table = markdown_table(["slice", "examples", str(loss), "gain over champion"], declared)
    found = [row for row in rows if row["kind"] == "discovered"][:_SHOWN]
    if not found:
        return f"{table}\n\nNo slice has a loss that is surely higher than its scores expect."
    lines = [
        f"- {markdown_text(row['column'])} {markdown_text(row['value'])}: {loss} {row[loss.name]:.4f} of {row['n']},"
        f" elsewhere {row[f'rest_{loss.name}']:.4f}; {row['surprise']:+.4f} above what its scores expect "
        f"(p {row['p_value']:.3g})"
        for row in found
    ]
    return "\n".join([table, "", "Slices with a loss that is surely higher than their scores expect:", *lines])


def behaviour_list(rows: Sequence[Row]) -> str:
    """List the behaviours that were tested, those not kept first.

    A list, because the UI squeezes the sentences of a table to a letter a line.
    """
    if not rows:
        return "no behaviour is declared"
    ordered = sorted(rows, key=lambda row: row["state"] == "kept")
    return "\n".join(
        f"- **{markdown_text(row['state'])}** {markdown_text(row['name'])} ({markdown_text(row['kind'])}): "
        f"{markdown_text(row['message'])}"
        for row in ordered
    )


def reason_table(verdict: Verdict) -> str:
    """List the rules of the gate, which were kept, and by how much."""
    rows = [
        [reason.message, "yes" if reason.passed else Formatted("**no**"), _short_number(reason.measured),
         _short_number(reason.threshold)]
        for reason in verdict.reasons
    ]  # fmt: skip
    return markdown_table(["rule", "kept", "measured", "threshold"], rows)


def _short_number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def record_list(record: Sequence[Mapping[str, Any]], serving: int | None) -> str:
    """List the newest entries of the record, and what serves the newest drops."""
    return "\n".join(
        f"- {row['sequence']}: **{markdown_text(row['verdict'])}** {markdown_text(row['model_version'])}, drops after "
        f"{row['serves_after']}, by {markdown_text(row['decided_by'])}"
        f"{': ' + markdown_text(row['note']) if row['note'] else ''}"
        f"{' (serves now)' if row['sequence'] == serving else ''}"
        for row in reversed(record[-_ENTRIES:])
    )
