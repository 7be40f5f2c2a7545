"""The component that Dagster finds in a folder under defs/: a thin skin over the factory."""

from pathlib import Path

import dagster as dg
from pydantic import BaseModel, ConfigDict

from ml_assets.graph.definitions.discovery import build_folder


class DeclaredAttributes(BaseModel):
    """Lets any attributes pass: the one parser in spec/ reads the file itself, and finds all mistakes."""

    model_config = ConfigDict(extra="allow")


class UseCase(dg.Component):
    """A use case declared in defs.yaml and SQL: sources, contracts, examples, labels, features, model."""

    folder: Path

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """Accept the attributes unread."""
        return DeclaredAttributes

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> "UseCase":
        """Remember the folder; the declaration is read when definitions are built."""
        component = cls()
        component.folder = Path(context.path)
        return component

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Build the use case, or, when its declaration is broken, one asset that says why."""
        return build_folder(self.folder if self.folder.is_dir() else self.folder.parent)
