"""A batch machine-learning system as a Dagster asset graph, declared in YAML and SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ml_assets.graph.definitions.component import UseCase
    from ml_assets.stores.reading import read

__all__ = ["UseCase", "read"]


def __getattr__(name: str) -> object:
    """Load what is asked for only then, so that lower rooms import without Dagster."""
    if name == "UseCase":
        from ml_assets.graph.definitions.component import UseCase

        return UseCase
    if name == "read":
        from ml_assets.stores.reading import read

        return read
    raise AttributeError(f"module 'ml_assets' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List what can be asked for, also what is loaded only then: `dg` looks for components by name."""
    return [*globals(), *__all__]
