"""The asset of the model card: what there is to know of the newest candidate, as a page and as Markdown."""

from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster_duckdb import DuckDBResource

from ml_assets.graph.comparison import compare
from ml_assets.graph.evidence_assets import BEHAVIOURS, MEASURES, SLICES, require_evidence_of
from ml_assets.graph.layout import asset_key, described
from ml_assets.graph.model_card import Card, CardFacts, build_card
from ml_assets.graph.resources import StateResource
from ml_assets.graph.training_set_asset import TABLE as TRAINING_SET
from ml_assets.graph.verdicts import read_record
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.landing import write_whole
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.training.estimators import feature_importance

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


def build_model_card(spec: UseCaseSpec) -> dg.AssetsDefinition:
    """Build model_card."""

    @dg.asset(
        key=asset_key(spec, "models", "model_card"),
        deps=[asset_key(spec, "models", name) for name in ("champion", MEASURES, SLICES, BEHAVIOURS)],
        description="The newest candidate for people: what data, how good, for whom bad, how it behaves, what changed "
        "since the champion before it, where it came from, and who or what let it serve. Also an HTML page.",
        **described(spec, "models", "markdown"),
    )
    def model_card(store: StateResource, duckdb: DuckDBResource) -> dg.MaterializeResult:
        state = store.of(spec.name)
        with duckdb.get_connection() as connection:
            connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
            facts = gather_facts(connection, spec, state, duckdb)
        card = build_card(spec, facts)
        folder = state.paths.model_cards(spec.name)
        version = facts.comparison.row.model_version
        write_whole(folder / f"{version}.html", card.to_html().encode())
        write_whole(folder / f"{version}.md", card.to_markdown().encode())
        state.lake.replace("model_card", _card_table(version, facts, card))
        return dg.MaterializeResult(
            metadata={
                "model version": version,
                "page": dg.MetadataValue.path(str(folder / f"{version}.html")),
                "card": dg.MetadataValue.md(card.to_markdown(pictures=False)),
            }
        )

    return model_card


def gather_facts(
    connection: "duckdb.DuckDBPyConnection", spec: UseCaseSpec, state: UseCaseState, duckdb: DuckDBResource
) -> CardFacts:
    """Read all that the card says from the tables, the models and the record."""
    lake = state.lake
    found = compare(state, duckdb)
    for table in (MEASURES, SLICES, BEHAVIOURS):
        require_evidence_of(lake, table, found)
    record = read_record(connection, lake)
    drawn = lake.relation(connection, TRAINING_SET, version=found.row.training_set_version)
    splits = drawn.aggregate(
        "split, count(*) AS n, avg(label) AS share, min(batch_date) AS first, max(batch_date) AS last", "split"
    )
    return CardFacts(
        comparison=found,
        splits={row["split"]: row for row in splits.to_arrow_table().to_pylist()},
        drawn=lake.metadata(TRAINING_SET, found.row.training_set_version),
        measures=_rows(connection, lake, MEASURES),
        slices=_rows(connection, lake, SLICES),
        behaviours=_rows(connection, lake, BEHAVIOURS),
        rungs=_rows(connection, lake, "candidate_model"),
        entries=[row for row in record if row["model_version"] == found.row.model_version],
        importance=feature_importance(found.candidate.model),
        champion_importance=feature_importance(found.champion.model) if found.champion else {},
    )


def _rows(connection: "duckdb.DuckDBPyConnection", lake: Lake, table: str) -> list[dict[str, Any]]:
    return lake.relation(connection, table).to_arrow_table().to_pylist()


def _card_table(version: str, facts: CardFacts, card: Card) -> "pa.Table":
    import pyarrow as pa

    schema = pa.schema({"as_of": pa.date32(), "model_version": pa.string(), "markdown": pa.string()})
    row = {"as_of": facts.comparison.row.as_of, "model_version": version, "markdown": card.to_markdown(pictures=False)}
    return pa.Table.from_pylist([row], schema)
