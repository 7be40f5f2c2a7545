"""A batch machine-learning system as a Dagster asset graph, declared in YAML and SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ml_assets.graph.component import UseCase

__all__ = ["UseCase"]


def __getattr__(name: str) -> object:
    """Load the component only when asked for, so that lower rooms import without Dagster."""
    if name == "UseCase":
        from ml_assets.graph.component import UseCase

        return UseCase
    raise AttributeError(f"module 'ml_assets' has no attribute {name!r}")
