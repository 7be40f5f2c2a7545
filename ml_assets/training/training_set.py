"""Matured examples as of a drop, with the features they were predicted from, split by time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ml_assets.spec.drop import DropKey, key_sql, keys_sql
from ml_assets.spec.objectives import OUTCOME
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.training.time_folds import CHOSEN

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class DrawPlan:
    """All that decides the rows of a training set, besides its input tables. Moments in UTC.

    Examples with `prediction_at` in (holdout_after, matured_until] are held out; earlier ones are
    trained on. Labels count when known by `known_until`, the batch of `as_of`, and landed by then: what
    came late in a file of a later drop was not there, whenever it was known. Examples of the `excluded`
    drops are left out: a feed was broken in them, which must not be learned. `measures` are amounts that
    objectives foretell, columns `outcome_<measure>` of the training set. With `has_weak_labels`, examples
    without a gold label are trained on by what `training_labels` says, and weigh together at most `weak_weight` times
    as much as the gold labels trained on; the holdout has gold labels alone. With `has_review`, the holdout lacks
    examples that have a label only because a strategy of the review queue chose them. `sampling` draws among the rows
    to train on, by hashes with `seed`.
    """

    as_of: str
    known_until: str
    matured_until: str
    holdout_after: str
    features: tuple[str, ...]
    excluded: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    has_weak_labels: bool = False
    weak_weight: float = 1.0
    has_review: bool = False
    sampling: dict[str, Any] | None = None
    seed: int = 0

    @property
    def is_known(self) -> str:
        """The condition in SQL that a row of labels could be used as of the drop."""
        return f"known_at <= TIMESTAMPTZ '{self.known_until}' AND batch_date <= {key_sql(self.as_of)}"

    def to_json(self) -> dict[str, Any]:
        """Give the plan as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> DrawPlan:
        """Read a plan from plain values."""
        lists = {name: tuple(values.get(name, ())) for name in ("features", "excluded", "measures")}
        return cls(**{**values, **lists})


class NotEnoughDataError(ValueError):
    """Too few matured examples to train or to hold out."""


def plan_draw(spec: UseCaseSpec, as_of: DropKey, excluded: Sequence[DropKey] = ()) -> DrawPlan:
    """Plan the training set of `as_of`: what matured by its batch, the newest part held out.

    The holdout is the declared length of days up to the newest `prediction_at` that is matured.
    """
    matured_until = spec.matured_by(as_of)
    return DrawPlan(
        as_of=str(as_of),
        known_until=spec.calendar.batch_at(as_of).isoformat(),
        matured_until=matured_until.isoformat(),
        holdout_after=_holdout_start(spec, as_of, matured_until).isoformat(),
        features=spec.features.feature_names(),
        excluded=tuple(str(drop) for drop in sorted(excluded) if drop <= as_of),
        measures=tuple(dict.fromkeys(each.measure for each in spec.model.objectives)),
        has_weak_labels=spec.trains_on_weak_labels,
        weak_weight=spec.labeling.weak_weight if spec.labeling else 1.0,
        has_review=spec.review is not None,
        sampling=spec.sampling.model_dump(mode="json") if spec.sampling else None,
        seed=spec.model.seed if spec.sampling else 0,
    )


def _holdout_start(spec: UseCaseSpec, as_of: DropKey, matured_until: datetime) -> datetime:
    """Count the holdout back in whole batches, so that a clock change costs it no day."""
    newest = as_of
    while spec.calendar.batch_at(newest) > matured_until:
        newest = spec.calendar.previous_drop(newest)
    return spec.calendar.drop(spec.calendar.window_start(newest, spec.model.holdout)).start.astimezone(UTC)


def draw_training_set(connection: duckdb.DuckDBPyConnection, plan: DrawPlan) -> duckdb.DuckDBPyRelation:
    """Draw the training set from views `features`, `labels` and, with weak labels, `training_labels` of `connection`.

    Returns
    -------
    relation
        Grain: a matured, labelled example. `example_id`, `batch_date`, `prediction_at`, `label`,
        `split` (train or holdout), then the features, then `outcome_<measure>` for the objectives.
        An example matured without a label is not in
        it: unknown is not negative. Of several labels of one example the newest known counts. With weak labels, after
        `split`: `label_origin` (gold or weak), `label_weight`, `label_reason`.
    """
    features = ", ".join(f'f."{name}"' for name in plan.features)
    held = connection.view("labels").columns  # labels of before a measure was declared do not have it
    amounts = "".join(
        f', arg_max_null("{name}", (known_at, batch_date)) AS "{OUTCOME}{name}"'
        if name in held
        else f', NULL::DOUBLE AS "{OUTCOME}{name}"'
        for name in plan.measures
    )
    outcomes = "".join(f', known."{OUTCOME}{name}"' for name in plan.measures)
    if plan.has_review:
        amounts += _of_review(held)
        features = f"known.label_given_by, coalesce(known.is_chosen, false) AS {CHOSEN}, {features}"
    listed = keys_sql(plan.excluded)
    left_out = f" AND f.batch_date NOT IN ({listed})" if listed else ""
    label, joined, kept = "known.label", "JOIN known USING (example_id)", ""
    if plan.has_weak_labels:
        label = "coalesce(known.label, w.label) AS label"
        features = f"{_label_columns(plan)}, {features}"
        joined = f"LEFT JOIN known USING (example_id) {_weak_labels(plan)}"
        kept = " AND (known.label IS NOT NULL OR w.label IS NOT NULL)"
    if plan.has_review:
        kept += f" AND NOT (coalesce(known.is_chosen, false) AND f.prediction_at > TIMESTAMPTZ '{plan.holdout_after}')"
    return connection.sql(
        f"""
        WITH known AS (
            SELECT example_id, arg_max(label, (known_at, batch_date)) AS label{amounts}
            FROM labels WHERE {plan.is_known} GROUP BY example_id
        )
        SELECT f.example_id, f.batch_date, f.prediction_at, {label},
            CASE WHEN f.prediction_at > TIMESTAMPTZ '{plan.holdout_after}' THEN 'holdout' ELSE 'train' END AS split,
            {features}{outcomes}
        FROM features AS f {joined}
        WHERE f.prediction_at <= TIMESTAMPTZ '{plan.matured_until}'{left_out}{kept}
        ORDER BY f.batch_date, f.example_id
        """
    )


def _of_review(held: Sequence[str]) -> str:
    """Give who the newest label of an example is by, and whether only a strategy led to it."""
    if "given_by" not in held:  # labels of before a review was declared
        return ", NULL::VARCHAR AS label_given_by, false AS is_chosen"
    newest = "(known_at, batch_date)"
    return f", arg_max_null(given_by, {newest}) AS label_given_by, arg_max(is_chosen, {newest}) AS is_chosen"


def _label_columns(plan: DrawPlan) -> str:
    """Give where a label is from, how much its row counts, and what it rests on.

    Many weak labels would outweigh the few gold ones that correct them: their sum is bounded by that of the gold ones.
    """
    is_train = f"f.prediction_at <= TIMESTAMPTZ '{plan.holdout_after}'"
    gold = f"nullif(count(known.label) FILTER (WHERE {is_train}) OVER (), 0)"
    weak = "sum(w.weight) FILTER (WHERE known.label IS NULL) OVER ()"
    scale = f"coalesce(least(1.0, {plan.weak_weight} * {gold} / {weak}), 1.0)"
    return (
        "CASE WHEN known.label IS NULL THEN 'weak' ELSE 'gold' END AS label_origin, "
        f"CASE WHEN known.label IS NULL THEN w.weight * {scale} ELSE 1.0 END AS label_weight, "
        "CASE WHEN known.label IS NULL THEN w.reason ELSE 'gold' END AS label_reason"
    )


def _weak_labels(plan: DrawPlan) -> str:
    """Join the weak labels that were known by the drop, of examples before the holdout."""
    return (
        "LEFT JOIN (SELECT example_id, batch_date, label, weight, reason FROM training_labels WHERE origin = 'weak' "
        f"AND {plan.is_known}) AS w ON w.example_id = f.example_id AND w.batch_date = f.batch_date AND "
        f"f.prediction_at <= TIMESTAMPTZ '{plan.holdout_after}'"
    )


def count_resolved_without_label(connection: duckdb.DuckDBPyConnection, plan: DrawPlan) -> int:
    """Count the matured examples whose outcome was never a label."""
    return connection.sql(
        f"SELECT count(*) FROM features WHERE prediction_at <= TIMESTAMPTZ '{plan.matured_until}' "
        f"AND example_id NOT IN (SELECT example_id FROM labels WHERE {plan.is_known})"
    ).fetchall()[0][0]


def first_drawable(spec: UseCaseSpec, first: DropKey) -> DropKey:
    """Give the first drop as of which both splits can have rows, where `first` is the first drop with features."""
    drop = first
    while _holdout_start(spec, drop, spec.matured_by(drop)) <= spec.calendar.batch_at(first):
        drop = spec.calendar.next_drop(drop)
    return drop


def check_size(counts: dict[str, int], plan: DrawPlan, enough_from: DropKey) -> None:
    """Refuse a training set in which a split is empty; `enough_from` is the drop as of which neither need be.

    Raises
    ------
    NotEnoughDataError
        Naming the split and the moments that bound it.
    """
    empty = [split for split in ("train", "holdout") if not counts.get(split)]
    if empty:
        raise NotEnoughDataError(
            f"as of {plan.as_of}: no matured, labelled example to {' and to '.join(empty)} on; train is up to "
            f"{plan.holdout_after}, holdout from there to {plan.matured_until}. With the drops that were run, both can "
            f"have some as of {enough_from}, and enough to compare models only later; or land and run earlier drops."
        )
