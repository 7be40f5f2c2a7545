"""Evidence and verdict on a candidate as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ml_assets.decisions.promotion import Verdict
from ml_assets.pipeline.evaluation.evidence import (
    Row,
)
from ml_assets.pipeline.evaluation.measures import LEVEL

_SHOWN, _ENTRIES = 12, 20


def measure_table(rows: Sequence[Row]) -> str:
    """List each measure with its interval, a column a model."""
    roles = list(dict.fromkeys(row["role"] for row in rows))
    lines = [f"| measure | {' | '.join(roles)} |", "|---" * (len(roles) + 1) + "|"]
    for measure in dict.fromkeys(row["measure"] for row in rows):
        cells = []
        for role in roles:
            row = next((each for each in rows if each["role"] == role and each["measure"] == measure), None)
            cells.append("" if row is None else _with_interval(row["estimate"], row["lower"], row["upper"]))
        lines.append(f"| {measure.replace('_', ' ')} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"in brackets the {LEVEL:.0%} interval of resampled days"])


def _with_interval(estimate: float | None, lower: float | None, upper: float | None) -> str:
    if estimate is None or not np.isfinite(estimate):
        return "undefined"
    said = f"{estimate:.3f}"
    return said if lower is None or upper is None or not np.isfinite(lower) else f"{said} ({lower:.3f}-{upper:.3f})"


def slice_table(rows: Sequence[Row]) -> str:
    """List the declared slices, and those found to be weak."""
    lines = ["| slice | examples | log loss | gain over champion |", "|---|---|---|---|"]
    declared = [row for row in rows if row["kind"] == "declared"]
    for row in declared:
        loss = _with_interval(row["log_loss"], row["loss_lower"], row["loss_upper"])
        gain = f"{row['gain']:+.1%} ({row['gain_lower']:+.1%} to {row['gain_upper']:+.1%})"
        lines.append(f"| {row['column']} {row['value']} | {row['n']} | {loss} | {gain} |")
    found = [row for row in rows if row["kind"] == "discovered"][:_SHOWN]
    said = ["", "Surely wrong, beyond what is hard to foretell:" if found else "No part was found to be surely wrong."]
    said += [
        f"- {row['column']} {row['value']}: log loss {row['log_loss']:.4f} of {row['n']}, elsewhere "
        f"{row['rest_log_loss']:.4f}; {row['surprise']:+.4f} above what its scores expect (p {row['p_value']:.3g})"
        for row in found
    ]
    return "\n".join([*lines, *said])


def behaviour_list(rows: Sequence[Row]) -> str:
    """List what was tried, what is not kept first; the UI squeezes the sentences of a table to a letter a line."""
    if not rows:
        return "no behaviour is declared"
    ordered = sorted(rows, key=lambda row: row["state"] == "kept")
    return "\n".join(f"- **{row['state']}** {row['name']} ({row['kind']}): {row['message']}" for row in ordered)


def reason_table(verdict: Verdict) -> str:
    """List the rules of the gate, which were kept, and by how much."""
    lines = ["| rule | kept | measured | threshold |", "|---|---|---|---|"]
    for reason in verdict.reasons:
        measured, threshold = (f"{v:.4g}" if v is not None else "" for v in (reason.measured, reason.threshold))
        lines.append(f"| {reason.message} | {'yes' if reason.passed else '**no**'} | {measured} | {threshold} |")
    return "\n".join(lines)


def record_list(record: Sequence[Mapping[str, Any]], serving: int | None) -> str:
    """List the newest entries of the record, and what serves the newest drops."""
    return "\n".join(
        f"- {row['sequence']}: **{row['verdict']}** {row['model_version']}, drops after {row['serves_after']}, by "
        f"{row['decided_by']}{': ' + row['note'] if row['note'] else ''}{' <- serves' * (row['sequence'] == serving)}"
        for row in reversed(record[-_ENTRIES:])
    )
