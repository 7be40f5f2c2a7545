"""The component that Dagster finds in a folder under defs/: a thin skin over the factory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.metadata.source_code import LocalFileCodeReference
from pydantic import BaseModel, ConfigDict, Field

from ml_assets.graph.definitions.discovery import build_folder

_DESCRIPTION = """A use case: the production system around one model, declared in YAML and SQL.

Sources with contracts, the rows to predict, labels, features, the model with its gate, the worklist, monitoring and
retraining become assets, checks, jobs, sensors and schedules. The attributes are checked by
`ml-assets validate`, which names every mistake with its line; `ml-assets new` writes a first declaration from files.
"""


class DeclaredAttributes(BaseModel):
    """The attributes of a use case, for people and editors: the parser in spec/ reads the file itself.

    Any value passes here, since the parser finds all mistakes, each with its line.
    """

    model_config = ConfigDict(extra="allow")

    name: Any = Field(default=None, description="Name of the use case, and the first part of its asset keys.")
    description: Any = Field(default=None, description="What is predicted, and what for.")
    owners: Any = Field(default=None, description="Teams or addresses: `team:operations`, `someone@example.org`.")
    clock: Any = Field(default=None, description="`wall` in production; `data` where history is the present.")
    calendar: Any = Field(default=None, description="When batches are: start, end, every (1d or 7d), at, timezone.")
    sources: Any = Field(default=None, description="The files that arrive: columns, key, times, rules, when missing.")
    examples: Any = Field(default=None, description="The SELECT that draws the rows to predict, and its sources.")
    labels: Any = Field(default=None, description="The SELECT that draws outcomes, and how long until they are final.")
    features: Any = Field(default=None, description="Views (windows, latest values) and expressions over the example.")
    model: Any = Field(default=None, description="The ladder of candidates, the holdout, the gate, behaviours.")
    worklist: Any = Field(default=None, description="How many examples a drop are acted upon, and their order.")
    deliveries: Any = Field(default=None, description="Which tables leave as files, in which format.")
    monitoring: Any = Field(default=None, description="Windows, budget of false alarms, slices, costs.")
    retraining: Any = Field(default=None, description="When to retrain: cooldown, staleness, schedule.")


class UseCase(dg.Component):
    """A use case declared in defs.yaml and SQL: sources, contracts, examples, labels, features, model."""

    folder: Path

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """Accept the attributes unread."""
        return DeclaredAttributes

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """Describe the component for the documentation that `dg docs` shows."""
        return dg.ComponentTypeSpec(description=_DESCRIPTION)

    @classmethod
    def get_code_references_for_yaml(
        cls, yaml_path: Path, source_position: Any, context: dg.ComponentLoadContext
    ) -> Sequence[LocalFileCodeReference]:
        """Add none to those that assets have: each names its own line, where Dagster would name the first."""
        return []

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> "UseCase":
        """Remember the folder; the declaration is read when definitions are built."""
        component = cls()
        component.folder = Path(context.path)
        return component

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Build the use case, or, when its declaration is broken, one asset that says why."""
        return build_folder(self.folder if self.folder.is_dir() else self.folder.parent)
