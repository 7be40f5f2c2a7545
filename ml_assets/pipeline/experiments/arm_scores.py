"""What the models of an experiment say of the examples of a drop, and which of them serves each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.experiments.assignment import assign, hash_units
from ml_assets.pipeline.experiments.record import CHALLENGER, CHAMPION_ARM, RunningExperiment
from ml_assets.pipeline.scoring.prior_correction import PriorCorrector
from ml_assets.pipeline.scoring.scoring_model import scoring_model_of
from ml_assets.serving.scoring import score_drop
from ml_assets.spec.drop import DropKey
from ml_assets.spec.experiments import BY_DROP, BY_EXAMPLE
from ml_assets.stores.model_store import ModelBundle, ModelStore

if TYPE_CHECKING:
    import pandas as pd

_KEPT = ("batch_date", "example_id", "prediction_at", "model_version", "score", "abstained")


@dataclass
class ArmScorer:
    """Scores drops by both models of experiments; each model is read once.

    `corrector` has views `features_<features>` and `labels`; `artifacts` the sha256 of each model version.
    """

    corrector: PriorCorrector
    models: ModelStore
    features: int
    artifacts: Mapping[str, str]
    _bundles: dict[str, ModelBundle] = field(default_factory=dict[str, ModelBundle], init=False)

    def score(self, experiment: RunningExperiment, drop: DropKey) -> pd.DataFrame:
        """Score every example of a drop by both models. Grain: example x arm, as in `arm_predictions`.

        Raises
        ------
        TamperedModelError
            Where files of a model are not those that were recorded.
        ValueError
            Where a model asks for a feature that is not declared any more.
        """
        import pandas as pd

        rows = self.corrector.connection.execute(
            f"SELECT * FROM features_{self.features} WHERE batch_date = ?", [drop]
        ).df()
        scored: list[pd.DataFrame] = []
        for arm, version in ((CHALLENGER, experiment.challenger), (CHAMPION_ARM, experiment.champion)):
            bundle = self._load(version)
            shift = self.corrector.shift_of(drop, version, bundle, self.features).shift
            frame = score_drop(rows, drop, scoring_model_of(bundle, version), shift)[list(_KEPT)]
            named = {"experiment": experiment.name, "arm": arm, "_features_version": self.features}
            scored.append(frame.assign(**named))
        return pd.concat(scored, ignore_index=True)

    def _load(self, version: str) -> ModelBundle:
        if version not in self._bundles:
            self._bundles[version] = self.models.load(version, self.artifacts[version])
        return self._bundles[version]


def assign_examples(experiment: RunningExperiment, examples: pd.DataFrame) -> pd.DataFrame:
    """Give each example of one drop its arm. Grain: an example, as in `assignments`.

    Examples without a value of the unit are assigned by themselves: they are told apart by nothing else.
    """
    unit = experiment.design["unit"]
    names = examples["example_id"].astype(str)
    if unit == BY_DROP:
        names = examples["batch_date"].astype(str)
    elif unit != BY_EXAMPLE:
        names = examples[unit].astype("string").fillna(names).astype(str)
    units = names.to_numpy(dtype=object)
    distinct, place = np.unique(units.astype(np.str_), return_inverse=True)
    assigned = assign(hash_units(distinct.tolist()), experiment.allocation)
    return examples[["batch_date", "example_id"]].assign(
        experiment=experiment.name,
        unit=units,
        arm=assigned.arms[place],
        propensity=assigned.propensities[place],
        policy_version=experiment.policy_version,
    )
