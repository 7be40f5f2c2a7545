"""One model a cutoff: what a retraining as of each drop would have trained, fitted once and kept.

A fit is named by all that decides it: the plan of its training set, the files this is drawn from, and the recipe. The
models are those of `ml-assets retrain --as-of`, but for two things that depend on what served before: a warm start is
not taken, and a history that would begin at a detected change is not cut.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_assets.pipeline.monitoring.feed_health import read_faults
from ml_assets.pipeline.monitoring.known_state import ChampionFacts, facts_of
from ml_assets.pipeline.policies.kept_arrays import ArraysInFiles
from ml_assets.pipeline.policies.policy_state import PolicyState
from ml_assets.pipeline.training.bundle import BundleFacts
from ml_assets.pipeline.training.candidate import AskedFit, fit_bundle
from ml_assets.pipeline.training.training_set import draw, inputs_of
from ml_assets.spec.drop import DropKey, read_key
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.arrow_files import read_arrow, write_arrow
from ml_assets.stores.landing import write_whole
from ml_assets.stores.model_store import ModelBundle, TamperedModelError, installed_libraries
from ml_assets.training.training_set import DrawPlan, plan_draw

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

Tell = Callable[[str], None]


@dataclass(frozen=True)
class FittedCutoff:
    """The model of one cutoff.

    Attributes
    ----------
    as_of
        The drop as of which it was trained.
    train_share, n_train
        Mean label and number of its training rows.
    fit_s
        Seconds that drawing and fitting took, when it was fitted.
    holdout
        The file of its holdout.
    trained_until, history_after, is_baseline
        What a decision asks of the model, so that it need not be read; of fits that kept none, empty.
    """

    as_of: DropKey
    model_version: str
    artifact_sha256: str
    candidate: str
    train_share: float
    n_train: int
    fit_s: float
    holdout: Path
    trained_until: str = ""
    history_after: str | None = None
    is_baseline: bool = False

    def load(self, state: PolicyState) -> ModelBundle:
        """Read the model."""
        return state.models.load(self.model_version, self.artifact_sha256)

    def facts(self, state: PolicyState) -> ChampionFacts:
        """Give what a decision asks of the model."""
        if not self.trained_until:
            return facts_of(self.load(state))
        after = None if self.history_after is None else datetime.fromisoformat(self.history_after)
        return ChampionFacts(datetime.fromisoformat(self.trained_until), after, self.is_baseline)

    def holdout_rows(self) -> pd.DataFrame:
        """Read the holdout of its training set, in order of drop and example."""
        found = read_arrow(self.holdout)
        if found is None:
            raise FileNotFoundError(f"{self.holdout} is gone; run the command again, which fits this cutoff anew")
        return found.to_pandas(date_as_object=False)


def fit_cutoffs(
    spec: UseCaseSpec, state: PolicyState, cutoffs: Sequence[DropKey], candidate: str, tell: Tell
) -> list[FittedCutoff]:
    """Fit the model of each cutoff, or read it where it was fitted before; those without rows enough are left out.

    Parameters
    ----------
    candidate
        The model candidate to fit; empty fits all of them and takes the best, as a retraining does.
    """
    found: list[FittedCutoff] = []
    with state.connect() as connection:
        for number, as_of in enumerate(cutoffs, start=1):
            said = f"{number} of {len(cutoffs)}: as of {as_of}"
            fitted = _fitted(connection, spec, state, as_of, candidate)
            found += [fitted] if fitted is not None else []
            tell(f"{said}, {'too few matured rows' if fitted is None else f'{fitted.n_train:,} rows'}")
    return found


def _fitted(
    connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, state: PolicyState, as_of: DropKey, candidate: str
) -> FittedCutoff | None:
    plan = plan_draw(spec, as_of, read_faults(connection, spec, state.lake, as_of).broken_drops(as_of))
    name = _name_of(spec, state, plan, candidate)
    file, holdout = (state.folder / "cutoffs" / f"{name}.{kind}" for kind in ("json", "arrow"))
    try:
        kept = json.loads(file.read_bytes())
        fitted = FittedCutoff(**{**kept, "as_of": as_of, "holdout": holdout})
        state.models.verify(fitted.model_version, fitted.artifact_sha256)
        if holdout.exists():
            return fitted
    except (OSError, ValueError, TypeError, TamperedModelError):
        pass  # never fitted, or removed since: it is fitted now
    fitted = _fit(connection, spec, state, plan, candidate, holdout)
    if fitted is not None:
        kept = {name: value for name, value in asdict(fitted).items() if name not in ("as_of", "holdout")}
        write_whole(file, json.dumps(kept, indent=1).encode())
    return fitted


def _name_of(spec: UseCaseSpec, state: PolicyState, plan: DrawPlan, candidate: str) -> str:
    """Name a fit by all that decides it."""
    as_of = read_key(plan.as_of)
    files = [
        file.rpartition("/")[2]
        for table in inputs_of(plan)
        for file in state.lake.files(table, drops=(spec.calendar.first_drop, as_of)).files
    ]
    made_of: list[Any] = [
        spec.name, plan.to_json(), spec.recipe().recorded(), spec.model.min_relative_gain, candidate,
        str(spec.model.history), [each.model_dump(mode="json") for each in spec.model.behaviours],
        spec.worklist.rank_by, [each.measure for each in spec.model.gate.guardrails],
        installed_libraries(), files,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(made_of, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _fit(
    connection: duckdb.DuckDBPyConnection,
    spec: UseCaseSpec,
    state: PolicyState,
    plan: DrawPlan,
    candidate: str,
    holdout: Path,
) -> FittedCutoff | None:
    begun = time.perf_counter()
    versions = {table: state.lake.version(table) or 0 for table in inputs_of(plan)}
    for view in versions:
        connection.execute(f'DROP VIEW IF EXISTS "{view}"')
    drawn = draw(connection, state.lake, plan, versions)
    rows = connection.from_arrow(drawn.rows).order("batch_date, example_id").df()
    if rows["split"].nunique() < 2:
        return None
    facts = BundleFacts(plan.as_of, plan.holdout_after, plan.matured_until, drawn.content_hash, plan.features)
    asked = AskedFit(facts, candidate, kept_ahead=ArraysInFiles(state.folder / "ahead"))
    _, bundle, used = fit_bundle(_without_unused_amounts(spec), state, rows, asked, lambda _: None)
    stored = state.models.save(bundle)
    is_train = (used["split"] == "train").to_numpy()
    import pyarrow as pa

    write_arrow(holdout, pa.Table.from_pandas(used.loc[~is_train], preserve_index=False))
    labels, known = used.loc[is_train, "label"], facts_of(bundle)
    return FittedCutoff(
        read_key(plan.as_of), stored.model_version, stored.artifact_sha256, bundle.candidate,
        float(labels.mean()), len(labels), time.perf_counter() - begun, holdout, known.trained_until.isoformat(),
        None if known.history_after is None else known.history_after.isoformat(), known.is_baseline,
    )  # fmt: skip


def _without_unused_amounts(spec: UseCaseSpec) -> UseCaseSpec:
    """Leave out the auxiliary targets that neither the order of the list nor a guardrail of the gate looks at."""
    guarded = {each.measure for each in spec.model.gate.guardrails}
    used = tuple(
        each
        for each in spec.model.objectives
        if each.name in spec.worklist.rank_by or guarded & {f"{each.name}_mae", f"{each.measure}_on_list"}
    )
    return spec.model_copy(update={"model": spec.model.model_copy(update={"objectives": used})})
