"""Shadow predictions of drops: what models that do not serve would have said."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ml_assets.pipeline.champion.record import read_record
from ml_assets.pipeline.features.closed_drops import require_features
from ml_assets.pipeline.results import CheckOutcome, DropResult
from ml_assets.pipeline.scoring.prior_correction import PriorCorrector, drops_read
from ml_assets.pipeline.scoring.scoring_model import scoring_model_of
from ml_assets.serving.scoring import score_drop
from ml_assets.serving.shadows import PastVerdict, Shadow, shadows_of
from ml_assets.spec.drop import DropKey
from ml_assets.spec.tables import with_keys
from ml_assets.spec.tables.models import SHADOW_PREDICTIONS
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.model_store import ModelBundle, ModelStore, TamperedModelError
from ml_assets.stores.sandbox import show_tables
from ml_assets.stores.table_rows import arrow_schema
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import pyarrow as pa

SHADOWS = SHADOW_PREDICTIONS.name


def score_shadows(spec: UseCaseSpec, state: UseCaseState, drops: Sequence[DropKey]) -> DropResult:
    """Score `drops` by their shadows and store the scores. Grain: example x role.

    A shadow that cannot be loaded, or lacks a feature, is left out; the check `shadows_scored` names it and says why.
    """
    require_features(state, drops)
    lake = state.lake
    with state.connect() as connection:
        verdicts = read_verdicts(connection, lake)
        reach = drops_read(spec, drops)
        features = lake.files("features", drops=reach)
        show_tables(connection, {"features": features, "labels": lake.files("labels", drops=reach)})
        # read once: a query a drop would open every file of the range each time
        name = f"features_{features.version}"
        connection.execute(f"CREATE TEMP TABLE {name} AS SELECT * FROM features")
        scorer = _ShadowScorer(
            PriorCorrector(connection, spec, state.kept_scores, {features.version: features}),
            state.models,
            features.version,
        )
        scored = [frame for drop in drops for frame in scorer.score(drop, shadows_of(drop, verdicts))]
    rows = _shadow_table(scored, features.version, drops[0])
    lake.replace_drops(SHADOWS, rows, drops)
    outcome = _check_shadows(scorer.left_out, len(drops))
    return DropResult(Counter(rows["batch_date"].to_pylist()), scorer.notes, checks=(outcome,))


def read_verdicts(connection: duckdb.DuckDBPyConnection, lake: Lake) -> list[PastVerdict]:
    """Read every verdict ever recorded; none when none was given yet."""
    names = ("as_of", "sequence", "verdict", "model_version", "artifact_sha256", "serves_after", "serves")
    return [PastVerdict(*(row[name] for name in names)) for row in read_record(connection, lake)]


class _ShadowScorer:
    """Scores drops by their shadows, each model read once; one that cannot be used is left out, and why is kept.

    Attributes
    ----------
    notes
        By drop: what scored it, and what could not.
    left_out
        By model version: why it could not score, and the drops it is missing in.
    """

    def __init__(self, corrector: PriorCorrector, models: ModelStore, features: int) -> None:
        self._corrector = corrector
        self._features = features
        self._models = models
        self._bundles: dict[str, ModelBundle | TamperedModelError] = {}
        self.notes: dict[DropKey, dict[str, object]] = defaultdict(dict)
        self.left_out: dict[str, tuple[str, list[DropKey]]] = {}

    def score(self, drop: DropKey, shadows: Sequence[Shadow]) -> list[pd.DataFrame]:
        """Score one drop, in the order of its shadows."""
        if not shadows:
            self.notes[drop] = {"shadows": "none yet: no verdict was given as of an earlier drop"}
            return []
        rows = self._rows(drop)
        scored = [(shadow, self._score(rows, drop, shadow)) for shadow in shadows]
        return [frame.assign(role=shadow.role) for shadow, frame in scored if frame is not None]

    def _rows(self, drop: DropKey) -> pd.DataFrame:
        table = f"features_{self._features}"
        return self._corrector.connection.execute(f"SELECT * FROM {table} WHERE batch_date = ?", [drop]).df()

    def _score(self, rows: pd.DataFrame, drop: DropKey, shadow: Shadow) -> pd.DataFrame | None:
        try:
            bundle = self._load(shadow)
            # an old model may ask for a feature that is no longer declared: a ValueError that names it
            scored = None if rows.empty else score_drop(
                rows, drop, scoring_model_of(bundle, shadow.model_version),
                self._corrector.shift_of(drop, shadow.model_version, bundle, self._features).shift,
            )  # fmt: skip
        except (TamperedModelError, ValueError) as error:
            self.notes[drop][shadow.role] = f"left out: {shadow.model_version}: {error}"
            self.left_out.setdefault(shadow.model_version, (str(error), []))[1].append(drop)
            return None
        self.notes[drop][shadow.role] = shadow.model_version
        return scored

    def _load(self, shadow: Shadow) -> ModelBundle:
        version = shadow.model_version
        if version not in self._bundles:
            try:
                self._bundles[version] = self._models.load(version, shadow.artifact_sha256)
            except TamperedModelError as error:
                self._bundles[version] = error
        found = self._bundles[version]
        if isinstance(found, TamperedModelError):
            raise found
        return found


def _shadow_table(scored: Sequence[pd.DataFrame], features_version: int, drop: DropKey) -> pa.Table:
    import pyarrow as pa

    schema = arrow_schema(with_keys(SHADOW_PREDICTIONS, drop))
    parts = [
        pa.Table.from_pandas(frame.assign(_features_version=features_version), schema, preserve_index=False)
        for frame in scored
    ]
    return pa.concat_tables(parts) if parts else schema.empty_table()


def _check_shadows(left_out: Mapping[str, tuple[str, Sequence[DropKey]]], n_drops: int) -> CheckOutcome:
    missing = {drop for _, drops in left_out.values() for drop in drops}
    why = "; ".join(f"{version}: {error}" for version, (error, _) in left_out.items())
    return CheckOutcome(
        "shadows_scored",
        passed=not left_out,
        description=f"{len(missing)} of {n_drops} drops lack a shadow" + (f". {why}" if why else ""),
        measured={"drops": n_drops, "drops without a shadow": len(missing), "models left out": sorted(left_out)},
    )
