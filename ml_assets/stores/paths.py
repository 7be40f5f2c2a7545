"""Where state lives: one folder, named by the environment or by the project."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ml_assets.spec.deliveries import FOLDERS_VARIABLE, DeliveryRoots
from ml_assets.stores.project import find_project

DATA_VARIABLE = "ML_ASSETS_DATA"


@dataclass(frozen=True)
class StatePaths:
    """The folders of all state, under one root; none is made by naming it."""

    root: Path

    @property
    def landing(self) -> Path:
        """Hold landed files: <use case>/<drop>/<source>.csv."""
        return self.root / "landing"

    @property
    def received(self) -> Path:
        """Hold copies of landed files, named by their content."""
        return self.root / "received"

    @property
    def extracted(self) -> Path:
        """Hold what was read from databases, before it landed: <use case>/<source>/<drop>.parquet and .json."""
        return self.root / "extracted"

    @property
    def lake(self) -> Path:
        """Hold one Delta table an asset: <use case>/<table>."""
        return self.root / "lake"

    @property
    def models(self) -> Path:
        """Hold fitted models: <use case>/<model version>/."""
        return self.root / "models"

    @property
    def mlflow(self) -> Path:
        """Hold the MLflow store and its artifacts."""
        return self.root / "mlflow"

    @property
    def delivered(self) -> Path:
        """Hold files for people: <use case>/worklist/<drop>.csv."""
        return self.root / "delivered"

    @property
    def reports(self) -> Path:
        """Hold pages about what was run: <use case>/replay_<first>_<last>.html."""
        return self.root / "reports"

    def source_page(self, use_case: str, source: str) -> Path:
        """Name the page of a source, whether or not it was drawn."""
        return self.reports / use_case / "sources" / f"{source}.html"

    def label_page(self, use_case: str) -> Path:
        """Name the page of the labels of a use case, whether or not it was drawn."""
        return self.reports / use_case / "labels.html"

    def learning_curve_page(self, use_case: str) -> Path:
        """Name the page of what asking people would have been worth, whether or not it was drawn."""
        return self.reports / use_case / "learning_curve.html"

    def routes_page(self, use_case: str) -> Path:
        """Name the page of what the machine decides, whether or not it was drawn."""
        return self.reports / use_case / "routes.html"

    def model_cards(self, use_case: str) -> Path:
        """Hold the cards of models: <model version>.html and .md."""
        return self.reports / use_case / "models"

    def experiment_page(self, use_case: str, experiment: str) -> Path:
        """Name the page of an experiment, whether or not it was drawn."""
        return self.reports / use_case / "experiments" / f"{experiment}.html"

    @property
    def alerts(self) -> Path:
        """Hold incidents and the messages about them: alerts.sqlite."""
        return self.root / "alerts"

    def kept(self, use_case: str) -> Path:
        """Hold results that were worked out once: they can be worked out again, and may be removed at any time."""
        return self.root / "kept" / use_case

    @property
    def locks(self) -> Path:
        """Hold lock files."""
        return self.root / "locks"

    @property
    def dagster_home(self) -> Path:
        """Hold Dagster's instance."""
        return self.root / "dagster_home"


def state_paths() -> StatePaths:
    """Give the state of this machine: $ML_ASSETS_DATA, or that of the project; raises ProjectError without either."""
    named = os.environ.get(DATA_VARIABLE)
    return StatePaths(Path(named).expanduser().resolve() if named else find_project().state)


def delivery_roots(paths: StatePaths | None = None) -> DeliveryRoots:
    """Give where files may be delivered: in the state, and below the folders of $ML_ASSETS_DELIVERY_FOLDERS.

    They are separated as in $PATH; what is no absolute path allows nothing.
    """
    named = os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep)
    allowed = [Path(each).expanduser() for each in named if each.strip()]
    return DeliveryRoots((paths or state_paths()).root, tuple(each for each in allowed if each.is_absolute()))
