"""The use case as a whole: everything a folder under defs/ declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import Field

from ml_assets.spec.calendar import Calendar
from ml_assets.spec.contract import Source
from ml_assets.spec.declared import Declared, Fault
from ml_assets.spec.deliveries import Delivery, repeated_files
from ml_assets.spec.drop import DropKey
from ml_assets.spec.drop_rules import short_references
from ml_assets.spec.duration import Duration
from ml_assets.spec.experiments import Experiment, experiment_faults
from ml_assets.spec.features import FeatureSpec
from ml_assets.spec.feedback import feedback_faults
from ml_assets.spec.forecasts import forecast_faults
from ml_assets.spec.labeling import LabelingSpec
from ml_assets.spec.model import ModelSpec, TrainingRecipe
from ml_assets.spec.monitoring import MonitoringSpec, RetrainingSpec
from ml_assets.spec.names import Identifier, did_you_mean
from ml_assets.spec.objectives import SCORE, objective_faults
from ml_assets.spec.prior_correction import short_windows
from ml_assets.spec.reachable_bars import unreachable_bars
from ml_assets.spec.references import wrong_references
from ml_assets.spec.retention import Retention
from ml_assets.spec.review import ReviewSpec, review_faults
from ml_assets.spec.routes import Routes
from ml_assets.spec.sampling import Sampling
from ml_assets.spec.tasks import TaskName, task_faults

__all__ = ["Examples", "Labels", "SqlTable", "UseCaseSpec", "Worklist", "did_you_mean"]


class SqlTable(Declared):
    """A table that one DuckDB SELECT draws from the sources' rows of one drop."""

    sources: tuple[Identifier, ...] = Field(alias="from", min_length=1)
    sql: str = Field(description="the text of the SELECT; a declaration names its file")


class Examples(SqlTable):
    """The rows to predict: example_id, optionally prediction_at, and what is known of each by then.

    Without a `prediction_at` column, it is the moment of the batch.
    """


class Labels(SqlTable):
    """Outcomes as they became known: example_id, label (0 or 1, an amount, or a count, by the task), known_at.

    An example counts as matured once `prediction_at + matures_after` has passed; matured without a
    label is resolved without label, and is never a negative.
    """

    matures_after: Duration
    measures: tuple[Identifier, ...] = Field(
        default=(), description="further columns of the SELECT: amounts that objectives foretell; null is unknown"
    )


class Worklist(Declared):
    """How many examples of a day people can act on, and what they are shown of them.

    `rank_by` gives each of the score and the objectives a weight; the list holds the examples with the highest
    weighted sum. Changing it changes the next list, and no model.
    """

    capacity: int = Field(ge=1)
    rank_by: dict[str, float] = Field(default_factory=lambda: {SCORE: 1.0})
    columns: tuple[Identifier, ...] = ()
    routes: Routes | None = None


class UseCaseSpec(Declared):
    """One use case, validated once and passed to whoever needs it."""

    name: Identifier
    description: str = ""
    owners: tuple[str, ...] = ()
    clock: Literal["wall", "data"] = "wall"
    task: TaskName = Field(
        default="binary",
        description="what is predicted: `binary`, whether something happens; `regression`, an amount; `count`, how "
        "often something happens",
    )
    calendar: Calendar
    sources: tuple[Source, ...] = Field(min_length=1)
    examples: Examples
    labels: Labels
    labeling: LabelingSpec | None = None
    review: ReviewSpec | None = None
    sampling: Sampling | None = None
    features: FeatureSpec
    model: ModelSpec
    worklist: Worklist
    acted_on: Literal["worklist"] | None = None
    deliveries: tuple[Delivery, ...] = (Delivery(table="worklist"),)
    monitoring: MonitoringSpec = MonitoringSpec()
    retraining: RetrainingSpec = RetrainingSpec()
    retention: Retention = Retention()
    experiments: tuple[Experiment, ...] = ()

    def source(self, name: str) -> Source:
        """Find a source by its name."""
        for source in self.sources:
            if source.name == name:
                return source
        raise KeyError(name)

    def recipe(self) -> TrainingRecipe:
        """Give what decides the training."""
        return self.model.recipe(self.task, self.labels.matures_after)

    @property
    def trains_on_weak_labels(self) -> bool:
        """Whether training sets hold labels of labeling functions and gold ones."""
        return self.labeling is not None and self.labeling.train

    def matured_by(self, as_of: DropKey) -> datetime:
        """Give the latest `prediction_at` that is matured at the batch of `as_of`, in UTC."""
        return self.calendar.batch_at(as_of) - self.labels.matures_after

    def longest_lookback(self) -> timedelta | None:
        """Give the longest lookback of any view; None is without bound."""
        lookbacks = [view.lookback for view in self.features.views]
        if any(lookback is None for lookback in lookbacks):
            return None
        return max((lookback for lookback in lookbacks if lookback is not None), default=timedelta(0))

    @classmethod
    def faults(cls, declared: Mapping[str, Any]) -> Iterator[Fault]:
        """Find names that refer to nothing, and a calendar that the graph cannot run."""
        yield from task_faults(declared)
        yield from wrong_references(declared)
        yield from forecast_faults(declared)
        yield from feedback_faults(declared)
        yield from short_references(declared)
        yield from objective_faults(declared)
        yield from short_windows(declared)
        yield from repeated_files(declared)
        yield from unreachable_bars(declared)
        yield from experiment_faults(declared)
        yield from review_faults(declared)
