"""Predictions of drops by the champion of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ml_assets.pipeline.champion.record import read_promotions
from ml_assets.pipeline.experiments.exposures import EXPOSURE, expose
from ml_assets.pipeline.features.closed_drops import require_features
from ml_assets.pipeline.features.versions import require_trained_features
from ml_assets.pipeline.results import CheckOutcome, DropResult
from ml_assets.pipeline.scoring.deliveries import deliver_drop
from ml_assets.pipeline.scoring.intervals import IntervalMargins, describe_margin
from ml_assets.pipeline.scoring.prior_correction import PriorCorrector, describe_shift, drops_read
from ml_assets.pipeline.scoring.scoring_model import scoring_model_of
from ml_assets.serving.routing import Promotion, champion_of
from ml_assets.serving.scoring import score_drop
from ml_assets.spec.drop import DropKey
from ml_assets.spec.tables import declared_lake_tables
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.model_store import ModelBundle
from ml_assets.stores.sandbox import hold_small_tables, show_tables
from ml_assets.stores.table_rows import arrow_schema
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import pyarrow as pa


_NO_RANGE = "cannot abstain"  # the model of a drop that knows no range of its inputs, though `abstain` is declared


@dataclass(frozen=True)
class ScoredDrops:
    """The predictions of drops. Grain of `rows`: an example, as stored."""

    result: DropResult
    rows: pa.Table


def score_drops(spec: UseCaseSpec, state: UseCaseState, drops: Sequence[DropKey]) -> ScoredDrops:
    """Score every example of `drops` by the champion of its drop, store the predictions and deliver them.

    A drop before the first champion has no predictions. What fails the check `trained_before` is not delivered.

    Raises
    ------
    OtherFeaturesError
        Where a drop holds other versions of features than its champion was trained on.
    TamperedModelError
        Where a champion's files are not those that the gate saw.
    """
    require_features(state, drops)
    lake, bounds = state.lake, (drops[0], drops[-1])
    with state.connect() as connection:
        promotions = read_promotions(connection, lake)
        champions = {drop: champion_of(drop, promotions) for drop in drops}
        read = _features_to_read(connection, lake, champions)
        newest = lake.version("features")
        by_model: dict[str, list[DropKey]] = {}
        for drop, champion in champions.items():
            if champion is not None and read[drop] == newest:
                by_model.setdefault(champion.model_version, []).append(drop)
        require_trained_features(connection, lake, spec, by_model)
        reach = drops_read(spec, drops)
        files = {version: lake.files("features", version, reach) for version in set(read.values())}
        tables = {f"features_{version}": each for version, each in files.items()}
        tables |= {"labels": lake.files("labels", drops=reach)}
        show_tables(connection, tables)
        if promotions:
            hold_small_tables(connection, tables)
        corrector = PriorCorrector(connection, spec, state.kept_scores, files)
        table, notes = _score_drops(corrector, state, champions, read)
        table = expose(connection, spec, lake, table, bounds)
    lake.replace_drops("predictions", table, drops)
    with state.connect() as connection:
        names = ["predictions", "examples", *(["champion"] if promotions else [])]
        stored = {name: lake.files(name, drops=None if name == "champion" else bounds) for name in names}
        show_tables(connection, stored)
        checks = (*_check_stored(connection, champions), _check_range(notes))
    if all(check.passed for check in checks if check.is_error):
        for drop in drops:
            notes[drop] |= deliver_drop(spec, state, "predictions", drop, table)
    return ScoredDrops(DropResult(Counter(table["batch_date"].to_pylist()), notes, checks=checks), table)


def _features_to_read(
    connection: duckdb.DuckDBPyConnection, lake: Lake, champions: Mapping[DropKey, Promotion | None]
) -> dict[DropKey, int]:
    """Give the lake version of the features of each drop: for what its champion scored before, the one it read then.

    So a drop that was served stays as it was served, also after its features were computed again: as long as that
    version is kept. After that it is scored from the features that the drop has now.
    """
    newest = lake.version("features") or 0
    read = dict.fromkeys(champions, newest)
    if not lake.has("predictions"):
        return read
    scored = lake.relation(connection, "predictions", (min(champions), max(champions)))
    for drop, model, version in scored.project("batch_date, model_version, _features_version").distinct().fetchall():
        champion = champions.get(drop)
        if champion is not None and champion.model_version == model and version is not None:
            read[drop] = version
    if set(read.values()) != {newest}:
        kept = lake.kept_versions("features")
        read = {drop: version if version in kept else newest for drop, version in read.items()}
    return read


def _score_drops(
    corrector: PriorCorrector,
    state: UseCaseState,
    champions: Mapping[DropKey, Promotion | None],
    read: Mapping[DropKey, int],
) -> tuple[pa.Table, dict[DropKey, dict[str, object]]]:
    """Score each drop by its champion; each model is read once, and a drop without one has no rows.

    `read` gives the version of the features of each drop, a view `features_<version>` of the connection.
    """
    bundles: dict[str, ModelBundle] = {}
    margins = IntervalMargins(corrector.connection, corrector.spec)
    scored: list[pd.DataFrame] = []
    notes: dict[DropKey, dict[str, object]] = {}
    for drop, champion in champions.items():
        if champion is None:
            notes[drop] = {"champion": "none yet: no model was promoted as of an earlier drop"}
            continue
        version = champion.model_version
        if version not in bundles:
            bundles[version] = state.models.load(version, champion.artifact_sha256)
        rows = corrector.connection.execute(f"SELECT * FROM features_{read[drop]} WHERE batch_date = ?", [drop]).df()
        notes[drop] = {"champion": version}
        if len(rows):
            bundle = bundles[version]
            prior = corrector.shift_of(drop, version, bundle, read[drop])
            frame = score_drop(rows, drop, scoring_model_of(bundle, version, champion.serves), prior.shift)
            frame, margin = margins.bounded(frame, rows, drop, bundle, version, read[drop])
            scored.append(frame.assign(_features_version=read[drop]))
            notes[drop] |= {
                "mean score": float(frame["score"].mean()),
                **describe_shift(prior),
                **describe_margin(margin),
            }
            notes[drop]["abstained"] = int(frame["abstained"].notna().sum())
            if corrector.spec.model.abstain is not None and bundle.envelope is None:
                notes[drop][_NO_RANGE] = version
            if champion.serves == "baseline":
                notes[drop]["fallback"] = "the baseline serves: the champion has failed"
    return _prediction_table(corrector.spec, scored), notes


def _prediction_table(spec: UseCaseSpec, scored: Sequence[pd.DataFrame]) -> pa.Table:
    import pyarrow as pa

    schema = arrow_schema(declared_lake_tables(spec)["predictions"])
    # null where a champion does not predict an amount or has no bounds yet, and until `expose` says who is in which arm
    names = [*(objective.name for objective in spec.model.objectives), *EXPOSURE]
    parts = [
        pa.Table.from_pandas(
            frame.reindex(columns=[*frame.columns, *(n for n in names if n not in frame)]), schema, preserve_index=False
        )
        for frame in scored
    ]
    return pa.concat_tables(parts) if parts else schema.empty_table()


def _check_stored(
    connection: duckdb.DuckDBPyConnection, champions: Mapping[DropKey, Promotion | None]
) -> Iterator[CheckOutcome]:
    """Judge the predictions by what is stored, not by how they were made."""
    late = 0
    if any(champions.values()):
        late = connection.sql(
            "SELECT count(*) FROM predictions AS p LEFT JOIN (SELECT model_version, max(as_of) AS as_of FROM champion "
            "WHERE verdict = 'promoted' GROUP BY model_version) AS c USING (model_version) "
            "WHERE c.as_of IS NULL OR c.as_of >= p.batch_date"
        ).fetchall()[0][0]
    counts = "SELECT batch_date, count(*) FROM {} GROUP BY batch_date"
    scored = dict(connection.sql(counts.format("predictions")).fetchall())
    expected = dict(connection.sql(counts.format("examples")).fetchall())
    yield CheckOutcome(
        "trained_before",
        passed=late == 0,
        is_error=True,
        measured={"predictions": sum(scored.values()), "by a model not promoted as of an earlier drop": late},
    )
    bare = [drop for drop, champion in champions.items() if champion is None and expected.get(drop, 0)]
    partial = [drop for drop in champions if drop not in bare and scored.get(drop, 0) != expected.get(drop, 0)]
    yield CheckOutcome(
        "complete",
        passed=not partial,
        description=f"{len(partial)} of {len(champions)} drops are scored in part; {len(bare)} before any champion",
        measured={"without champion": len(bare), "scored in part": len(partial), "scored": sum(scored.values())},
    )


def _check_range(notes: Mapping[DropKey, Mapping[str, object]]) -> CheckOutcome:
    """Find drops whose champion was fitted before `abstain` was declared: it scores whatever it is given."""
    without = {drop: note[_NO_RANGE] for drop, note in notes.items() if _NO_RANGE in note}
    models = ", ".join(sorted({str(model) for model in without.values()}))
    description = (
        f"{models} cannot abstain: it was fitted without `abstain` and scores inputs far outside its training rows, "
        f"in {len(without)} of {len(notes)} drops; the next model that is promoted can"
    )
    return CheckOutcome(
        "can_abstain",
        passed=not without,
        description=description if without else "every champion abstains as declared",
        measured={"drops of a champion that cannot": len(without)},
    )
