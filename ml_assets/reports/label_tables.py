"""Tables about labels: the label models and the vote, and each labeling function."""

from __future__ import annotations

from typing import Any

from ml_assets.pipeline.labeling.label_model import LabelModelResult
from ml_assets.reports.markdown import Formatted, markdown_table


def label_model_facts(found: LabelModelResult) -> dict[str, Any]:
    """Give what the UI shows of a label model: the choice with its reason, and tables in Markdown."""
    choice = found.choice
    models = [[each.name, f"{each.accuracy:.3f}", f"{each.low:.3f} to {each.high:.3f}"] for each in choice.measured]
    functions = [
        [each.voter, f"{each.coverage:.1%}", f"{each.conflict:.1%}", each.n_gold,
         "no gold" if each.accuracy is None else f"{each.accuracy:.3f} ({each.low:.3f} to {each.high:.3f})"]
        for each in found.functions
    ]  # fmt: skip
    pairs = [[each.first, each.second, f"{each.correlation:.2f}", each.common] for each in found.correlated]
    return {
        "as of": str(found.as_of),
        "chosen": choice.chosen,
        "reason": choice.reason,
        "gold labels": choice.n_gold,
        "label models": Formatted(markdown_table(["model", "accuracy", "90 % interval"], models)),
        "functions": Formatted(markdown_table(["function", "coverage", "conflict", "gold", "accuracy"], functions)),
        "correlated functions": Formatted(markdown_table(["first", "second", "correlation", "common"], pairs)),
    }
