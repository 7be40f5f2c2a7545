"""Which definitions the features of each drop were computed by: numbered sets, of which the newest is declared now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ml_assets.spec.drop import DropKey
from ml_assets.spec.feature_versions import changed_features, feature_definitions
from ml_assets.spec.tables import of_use_case
from ml_assets.spec.tables.features import CLOSED_DROPS, FEATURE_VERSIONS
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.table_rows import arrow_rows
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TABLE = FEATURE_VERSIONS.name


class MixedFeaturesError(RuntimeError):
    """Features of some drops were computed by other definitions than those declared now."""


def read_sets(connection: DuckDBPyConnection, lake: Lake) -> dict[int, dict[str, str]]:
    """Read the definitions of each set, by its number."""
    found: dict[int, dict[str, str]] = {}
    if lake.has(TABLE):
        columns = "feature_set, feature, definition"
        for number, feature, definition in lake.relation(connection, TABLE).project(columns).fetchall():
            found.setdefault(number, {})[feature] = definition
    return found


def declared_set(connection: DuckDBPyConnection, lake: Lake, spec: UseCaseSpec) -> int:
    """Give the number of the set that is declared now, recording it when it is new.

    A feature whose definition changed gets its next version; one that is as it was keeps its own. Grain of the record:
    set x feature.
    """
    now, sets = feature_definitions(spec), read_sets(connection, lake)
    for number, definitions in sets.items():
        if definitions == now:
            return number
    known: dict[str, list[tuple[str, int]]] = {}
    if sets:
        columns = "feature, definition, version"
        for feature, definition, version in lake.relation(connection, TABLE).project(columns).fetchall():
            known.setdefault(feature, []).append((definition, version))
    number = max(sets, default=0) + 1
    rows = [
        {"feature_set": number, "feature": name, "definition": definition,
         "version": dict(known.get(name, [])).get(definition, max((v for _, v in known.get(name, [])), default=0) + 1)}
        for name, definition in now.items()
    ]  # fmt: skip
    lake.append(TABLE, arrow_rows(of_use_case(FEATURE_VERSIONS, spec), rows))
    return number


def sets_of_drops(connection: DuckDBPyConnection, lake: Lake) -> dict[DropKey, int]:
    """Give the set by which the features of each drop were computed."""
    if not lake.has(CLOSED_DROPS.name):
        return {}
    rows = lake.relation(connection, CLOSED_DROPS.name)
    if "_feature_set" not in rows.columns:  # written before sets were recorded: nobody knows
        return {}
    return dict(rows.filter("_feature_set IS NOT NULL").project("batch_date, _feature_set").fetchall())


def status_of_features(spec: UseCaseSpec, state: UseCaseState) -> dict[str, tuple[int | None, DropKey | None]]:
    """Give the version of each feature as declared now, and the first drop that holds it; None where none does."""
    with state.connect() as connection:
        return _status_of_features(connection, state.lake, spec)


def _status_of_features(
    connection: DuckDBPyConnection, lake: Lake, spec: UseCaseSpec
) -> dict[str, tuple[int | None, DropKey | None]]:
    now, sets = feature_definitions(spec), read_sets(connection, lake)
    recorded: dict[tuple[str, str], int] = {}
    if sets:
        columns = "feature, definition, version"
        rows = lake.relation(connection, TABLE).project(columns).fetchall()
        recorded = {(feature, definition): version for feature, definition, version in rows}
    first: dict[int, DropKey] = {}
    for drop, number in sorted(sets_of_drops(connection, lake).items()):
        first.setdefault(number, drop)
    found: dict[str, tuple[int | None, DropKey | None]] = {}
    for name, definition in now.items():
        since = [first[number] for number, known in sets.items() if known.get(name) == definition and number in first]
        found[name] = (recorded.get((name, definition)), min(since, default=None))
    return found


def stale_drops(connection: DuckDBPyConnection, lake: Lake, spec: UseCaseSpec) -> dict[DropKey, list[str]]:
    """Give the drops whose features are not those declared now, with the features that differ."""
    now, sets = feature_definitions(spec), read_sets(connection, lake)
    changed = {number: changed_features(definitions, now) for number, definitions in sets.items()}
    by_drop = sets_of_drops(connection, lake)
    return {drop: changed[number] for drop, number in sorted(by_drop.items()) if changed.get(number)}


def drops_to_compute(
    connection: DuckDBPyConnection, lake: Lake, spec: UseCaseSpec, drops: Iterable[DropKey], *, is_backfill: bool
) -> tuple[list[DropKey], dict[DropKey, dict[str, object]]]:
    """Give the drops whose examples and features a run computes, and a note on each that it leaves as it is.

    A closed drop of other definitions holds them until a backfill: a drop that is run again for another reason would
    else change its features unasked.
    """
    stale = {} if is_backfill else stale_drops(connection, lake, spec)
    kept = f"computed by other definitions than declared now; `ml-assets backfill {spec.name} --features` renews them"
    drops = list(drops)
    return [drop for drop in drops if drop not in stale], {drop: {"kept": kept} for drop in drops if drop in stale}


def require_one_set(stale: dict[DropKey, list[str]], drops: Iterable[DropKey], spec: UseCaseSpec) -> None:
    """Refuse to train on drops of other definitions.

    Raises
    ------
    MixedFeaturesError
        Naming the drops and features, and what to do.
    """
    old = [drop for drop in drops if drop in stale]
    if not old:
        return
    features = sorted({feature for drop in old for feature in stale[drop]})
    shown = ", ".join(features[:5]) + (f" and {len(features) - 5} more" if len(features) > 5 else "")
    raise MixedFeaturesError(
        f"{len(old)} drops, {old[0]} to {old[-1]}, hold other versions of {shown} than are declared now; run "
        f"`ml-assets backfill {spec.name} --features`, or train on a mixture with `--mix-features`"
    )


class OtherFeaturesError(RuntimeError):
    """A drop holds other versions of features than its champion was trained on."""


class FeaturesNotStoredError(LookupError):
    """Features that are asked for and that the table of features does not hold: added, renamed or gone since."""


def require_stored_features(spec: UseCaseSpec, lake: Lake) -> None:
    """Refuse to read features that are declared and were computed in no drop yet.

    Raises
    ------
    FeaturesNotStoredError
        Naming them, those that are stored and no longer declared, and what to do.
    """
    declared = spec.features.feature_names()
    types = lake.column_types("features")
    new = [name for name in declared if name not in types]
    if not new:
        return
    known = {*declared, "example_id", "batch_date", "prediction_at"}
    gone = [name for name in types if name not in known and not name.startswith("_")]
    are = "is" if len(new) == 1 else "are"
    instead = f" (stored, and declared no more: {', '.join(gone[:5])})" if gone else ""
    raise FeaturesNotStoredError(
        f"{', '.join(new[:5])} {are} declared and computed in no drop yet{instead}. Run `ml-assets backfill "
        f"{spec.name} --features`, or put the declaration back"
    )


def require_declared_features(spec: UseCaseSpec, model_version: str, features: Iterable[str]) -> None:
    """Refuse to score with a model whose features are no longer declared.

    Raises
    ------
    FeaturesNotStoredError
        Naming the features, and what to do.
    """
    declared = set(spec.features.feature_names())
    gone = [name for name in features if name not in declared]
    if gone:
        raise FeaturesNotStoredError(
            f"{model_version} was trained on {', '.join(gone[:5])}, no longer declared: it can score nothing until the "
            f"declaration is put back. `ml-assets retrain {spec.name}` trains one on what is declared now"
        )


def trained_definitions(connection: DuckDBPyConnection, lake: Lake) -> dict[str, dict[str, str]]:
    """Give the definitions that each model of the record was trained on; empty where that was not recorded."""
    if not lake.has("champion"):
        return {}
    columns = "model_version, max(_training_set_version)"
    rows = lake.relation(connection, "champion").aggregate(columns, "model_version").fetchall()
    return {
        model: {} if version is None else lake.metadata("training_set", version).get("definitions", {})
        for model, version in rows
    }


def definitions_of(lake: Lake, version: int) -> dict[str, str]:
    """Give the definitions of the features of a training set; of one that recorded none, nothing but their names."""
    recorded = lake.metadata("training_set", version)
    return recorded.get("definitions") or dict.fromkeys(recorded["plan"]["features"], "")


def lost_features(
    connection: DuckDBPyConnection, lake: Lake, model_version: str, offered: Iterable[str], now: Mapping[str, str]
) -> tuple[str, ...]:
    """Give those of the features `offered` to a model that mean something else in `now`, or are not in it.

    A model that lost one can score nothing: what it would be given is not what it was trained on. Of a model whose
    definitions were not recorded, only what is not there any more is known.
    """
    before = trained_definitions(connection, lake).get(model_version, {})
    return tuple(
        name for name in offered if name not in now or (now[name] and before.get(name, now[name]) != now[name])
    )


def require_trained_features(
    connection: DuckDBPyConnection, lake: Lake, spec: UseCaseSpec, champions: Mapping[str, Iterable[DropKey]]
) -> None:
    """Refuse to score drops whose features mean something else than those a champion was trained on.

    `champions` gives the drops by model version. Where it was not recorded what a model or a drop holds, nothing is
    refused.

    Raises
    ------
    OtherFeaturesError
        Naming the features, and what to do.
    """
    if not champions:
        return
    sets, by_drop = read_sets(connection, lake), sets_of_drops(connection, lake)
    trained = trained_definitions(connection, lake)
    for model, drops in champions.items():
        definitions = trained.get(model, {})
        for drop in drops:
            changed = changed_features(sets.get(by_drop.get(drop, -1), definitions), definitions)
            if changed:
                raise OtherFeaturesError(
                    f"{model} was trained on other versions of {', '.join(changed[:5])} than drop {drop} holds; run "
                    f"`ml-assets backfill {spec.name} --features` and `ml-assets retrain {spec.name} --as-of "
                    f"{spec.calendar.previous_drop(drop)}`, or put the declaration back"
                )
