"""The component that Dagster finds in a folder under defs/: a thin skin over the factory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import BaseModel

from ml_assets.graph.definitions.discovery import build_folder
from ml_assets.spec.declared_attributes import COMPONENT_DESCRIPTION, DeclaredAttributes
from ml_assets.stores.first_declaration import write_first_declaration


class _FirstDeclaration(dg.Scaffolder):
    def scaffold(self, request: dg.ScaffoldRequest) -> None:
        write_first_declaration(Path(request.target_path))


@dg.scaffold_with(_FirstDeclaration)
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
        return dg.ComponentTypeSpec(description=COMPONENT_DESCRIPTION)

    @classmethod
    def get_code_references_for_yaml(
        cls, yaml_path: Path, source_position: Any, context: dg.ComponentLoadContext
    ) -> Sequence[Any]:
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
