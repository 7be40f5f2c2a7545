"""Assets of training: the training set and the candidate fitted on it."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import dagster as dg
from pydantic import Field

from ml_assets.graph.assets.columns import describe_columns
from ml_assets.graph.assets.layout import asset_key, described, pool_of
from ml_assets.graph.assets.metadata import check_results, laid_out, markdown
from ml_assets.graph.assets.tables import table_metadata
from ml_assets.graph.definitions.resources import StateResource
from ml_assets.spec.drop import EARLIEST
from ml_assets.spec.use_case import UseCaseSpec

BY_MARGIN, NEWEST = "by_margin", "newest"


def _draw_config(spec: UseCaseSpec) -> type[dg.Config]:
    """Build the configuration of a training set.

    Where drops are dates and end, the launchpad offers them, and nothing else begins; else the step refuses others.
    """
    end = spec.calendar.last_drop
    drops = [] if end is None or not spec.calendar.has_dates else spec.calendar.drops_between(EARLIEST, end)
    # what a refusal shows; of two use cases each needs its own
    named = f"{spec.name}_{NEWEST}_or_drop_from_{spec.calendar.first_drop}_to_{end}".replace("-", "_")
    choice: Any = StrEnum(named, {name: name for name in (NEWEST, *map(str, drops))}) if drops else str
    newest: Any = choice(NEWEST)

    class DrawConfig(dg.Config):
        """What a training set is drawn from."""

        as_of: choice = Field(  # pyright: ignore[reportInvalidTypeForm] - made of the declaration
            default=newest,
            description=f"A drop that was run, as it is named: all that was admitted up to it. Or {NEWEST}.",
        )
        mix_features: bool = Field(
            default=False, description="Take also drops that hold older versions of features than are declared now."
        )

    return DrawConfig


def _candidate_config(spec: UseCaseSpec) -> type[dg.Config]:
    """Build the configuration of a candidate: its candidates are the choices that the launchpad offers."""
    names = [candidate.name for candidate in spec.model.candidates]
    choice = StrEnum(f"{spec.name}_candidate", {name: name for name in (BY_MARGIN, *names)})

    class CandidateConfig(dg.Config):
        """How a candidate is chosen."""

        candidate: choice = Field(  # pyright: ignore[reportInvalidTypeForm] - made of the declaration
            default=choice[BY_MARGIN],  # pyright: ignore[reportArgumentType, reportCallIssue]
            description=f"{BY_MARGIN}: the simplest that no other beats by the margin; or {', '.join(names)}.",
        )
        tune: bool = Field(default=False, description="Search for parameters first, where candidates declare it.")

    return CandidateConfig


def build_training_assets(spec: UseCaseSpec) -> list[dg.AssetsDefinition]:
    """Build training_set and candidate_model."""
    return [_training_set(spec), _candidate_model(spec)]


def _training_set(spec: UseCaseSpec) -> dg.AssetsDefinition:
    key = asset_key(spec, "training", "training_set")
    read = [("features", "features"), ("training", "labels"), ("raw", "drops"), ("monitoring", "feed_health")]
    read += [("labels", "training_labels")] if spec.trains_on_weak_labels else []

    config_type = _draw_config(spec)

    @dg.asset(
        key=key,
        deps=[asset_key(spec, *each) for each in read],
        description="Matured, labelled examples as of a drop with the features they were predicted from, split by "
        "time. Each version records its plan and the lake version of every input, and can be rebuilt.",
        check_specs=[
            dg.AssetCheckSpec("known_in_time", asset=key, blocking=True, description="Every example is matured and its "
                              "label was known as of the drop; no training example reaches into the holdout."),
            dg.AssetCheckSpec("leakage", asset=key, blocking=True, description="A sample of the drops since the "
                              "training set before, recomputed from what was known at each moment, is what is stored; "
                              "no column says the outcome by itself, by its absence, or only afterwards."),
            dg.AssetCheckSpec("served_as_trained", asset=key, description="Of every example that was predicted, the "
                              "training set takes the values that the prediction read, or it is said which differ and "
                              "why."),
        ],
        metadata=table_metadata(spec, "training/training_set", has_own_schema=False),
        pool=pool_of(spec),
        **described(spec, "training", "delta", "duckdb"),
    )  # fmt: skip
    def training_set(
        context: dg.AssetExecutionContext,
        config: config_type,  # pyright: ignore[reportInvalidTypeForm] - made of the declaration
        store: StateResource,
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        from ml_assets.pipeline.audit.skew import compare_with_served, skew_outcome
        from ml_assets.pipeline.audit.training_set_audit import audit_training_set, check_known_in_time, store_audit
        from ml_assets.pipeline.training.training_set import store_training_set
        from ml_assets.reports.audit_tables import audit_facts, skew_table
        from ml_assets.reports.retraining_facts import drawn_facts

        state = store.of(spec.name)
        drawn = store_training_set(spec, state, _asked(config.as_of), mix_features=config.mix_features)
        context.log.info(f"training set as of {drawn.plan.as_of}: version {drawn.version}, {drawn.size} examples")
        columns = describe_columns(spec, "training", "training_set", drawn.columns)
        shown = {**drawn_facts(drawn), "dagster/row_count": drawn.size, **columns}
        yield dg.MaterializeResult(metadata=shown, data_version=dg.DataVersion(drawn.content_hash))
        yield from check_results([check_known_in_time(state, drawn.plan, drawn.version)])
        audit = audit_training_set(spec, state, drawn.as_of, drawn.before)
        store_audit(state, audit, drawn.version)
        yield from check_results([audit.outcome], more=laid_out(audit_facts(audit)))
        compared = compare_with_served(spec, state)
        yield from check_results([skew_outcome(compared)], more={"differences": markdown(skew_table(compared))})

    return training_set


def _asked(as_of: str) -> str:
    return "" if as_of == NEWEST else str(as_of)


def _candidate_model(spec: UseCaseSpec) -> dg.AssetsDefinition:
    config_type = _candidate_config(spec)

    @dg.asset(
        key=asset_key(spec, "models", "candidate_model"),
        deps=[asset_key(spec, "training", "training_set")],
        description="The candidate that was taken: each is fitted on the training rows and measured on windows "
        "ahead of them, and a more complex one is taken only when it gains the declared margin. Nothing is refitted, "
        "and nothing is chosen on the holdout. A warm start reads the record of the champion, which is made from this "
        "asset: an arrow would turn in a circle.",
        metadata=table_metadata(spec, "models/candidate_model"),
        pool=pool_of(spec),
        **described(spec, "models", "xgboost", "scikitlearn", "mlflow"),
    )
    def candidate_model(
        context: dg.AssetExecutionContext,
        config: config_type,  # pyright: ignore[reportInvalidTypeForm] - made of the declaration
        store: StateResource,
    ) -> dg.MaterializeResult:
        from ml_assets.pipeline.champion.abandoned import mark_abandoned
        from ml_assets.pipeline.training.candidate import fit_candidate, record_candidate
        from ml_assets.reports.candidate_tables import holdout_plots
        from ml_assets.reports.retraining_facts import fitted_facts

        state = store.of(spec.name)
        for version in mark_abandoned(state):
            context.log.warning(f"{spec.name}: {version} was left without a recorded verdict; it is marked abandoned")
        fitted = fit_candidate(spec, state, candidate=_fixed(config.candidate), tune=config.tune, tell=context.log.info)
        plots = holdout_plots(spec.task, fitted.rows, fitted.fitted_candidates.candidates)
        run_id = record_candidate(state, fitted, plots, context.run.run_id)
        return dg.MaterializeResult(metadata=laid_out(fitted_facts(fitted, plots)) | {"mlflow run": run_id})

    return candidate_model


def _fixed(candidate: str) -> str:
    return "" if candidate == BY_MARGIN else str(candidate)
