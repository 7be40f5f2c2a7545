"""The component that Dagster finds in a folder under defs/: a thin skin over the factory."""

import logging
from pathlib import Path

import dagster as dg
from pydantic import BaseModel, ConfigDict

from ml_assets.graph.factory import build_broken_use_case, build_use_case
from ml_assets.spec.declaration import DeclarationError, load_use_case


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
        folder = self.folder if self.folder.is_dir() else self.folder.parent
        try:
            return build_use_case(load_use_case(folder))
        except DeclarationError as error:
            logging.getLogger("ml_assets").error("%s is broken and was left out:\n%s", folder.name, error)
            return build_broken_use_case(folder.name, error)
