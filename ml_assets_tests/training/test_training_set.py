from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

import ml_assets
from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.features import FeatureSpec, RowExpression
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.training.training_set import (
    DrawPlan,
    NotEnoughDataError,
    check_size,
    count_resolved_without_label,
    draw_training_set,
    first_drawable,
    plan_draw,
)

MOMENT = pa.timestamp("us", "UTC")
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def spec() -> UseCaseSpec:
    """Declare the flagship with one feature: labels mature after 2 days, 14 days are held out."""
    flagship = load_use_case(Path(ml_assets.__file__).parent / "defs" / "flight_delays")
    features = FeatureSpec(expressions=(RowExpression(name="hour", sql="hour"),))
    return flagship.model_copy(update={"features": features})


def draw(
    plan: DrawPlan,
    moments: dict[str, datetime],
    labels: Sequence[tuple[str, int, datetime]],
    landed: Sequence[date] = (),
) -> tuple[list[dict[str, Any]], int]:
    """Draw from examples by their `prediction_at`; give the rows, and how many are resolved without a label.

    `landed` are the drops of the labels; unless said, a label lands in the drop that was first to know it.
    """
    features = {
        "batch_date": [moment.date() for moment in moments.values()],
        "example_id": list(moments),
        "prediction_at": pa.array(moments.values(), MOMENT),
        "hour": list(range(len(moments))),
    }
    schema = pa.schema({"example_id": pa.string(), "label": pa.int32(), "known_at": MOMENT, "batch_date": pa.date32()})
    drops = landed or [known_at.date() for _, _, known_at in labels]
    rows = [dict(zip(schema.names, (*label, drop), strict=True)) for label, drop in zip(labels, drops, strict=True)]
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("features", pa.table(features))
        connection.register("labels", pa.Table.from_pylist(rows, schema))
        return draw_training_set(connection, plan).to_arrow_table().to_pylist(), count_resolved_without_label(
            connection, plan
        )


def batches(spec: UseCaseSpec, as_of: date, count: int) -> dict[str, datetime]:
    """Give an example a batch, at the batch, named by its drop: the `count` up to `as_of`."""
    drops = [as_of - DAY * back for back in reversed(range(count))]
    return {drop.isoformat(): spec.calendar.batch_at(drop) for drop in drops}


def labelled(moments: dict[str, datetime], value: int = 1) -> list[tuple[str, int, datetime]]:
    return [(name, value, moment + timedelta(hours=9)) for name, moment in moments.items()]


@pytest.mark.parametrize(
    ("as_of", "holdout"),
    [
        (date(2013, 2, 28), ["2013-02-13", "2013-02-26"]),
        (date(2013, 3, 20), ["2013-03-05", "2013-03-18"]),  # clocks went forward on March 10
        (date(2013, 3, 12), ["2013-02-25", "2013-03-10"]),
        (date(2013, 3, 11), ["2013-02-23", "2013-03-08"]),  # two days are 48 hours: the 9th matures an hour later
        (date(2013, 11, 12), ["2013-10-28", "2013-11-10"]),  # and back on November 3
    ],
)
def test_holdout_is_the_newest_14_whole_batches_that_matured(
    spec: UseCaseSpec, as_of: date, holdout: list[str]
) -> None:
    moments = batches(spec, as_of, 30)

    rows, _ = draw(plan_draw(spec, as_of), moments, labelled(moments))

    held_out = [row["example_id"] for row in rows if row["split"] == "holdout"]
    assert len(held_out) == 14
    assert [held_out[0], held_out[-1]] == holdout
    assert {row["split"] for row in rows if row["example_id"] < holdout[0]} == {"train"}
    assert max(row["example_id"] for row in rows) == holdout[1]


def test_example_is_drawn_from_the_moment_its_label_is_mature(spec: UseCaseSpec) -> None:
    as_of = date(2013, 2, 28)
    mature = spec.calendar.batch_at(as_of) - timedelta(days=2)
    moments = {"just mature": mature, "not yet": mature + timedelta(microseconds=1), "long ago": mature - 30 * DAY}

    rows, _ = draw(plan_draw(spec, as_of), moments, labelled(moments))

    assert [(row["example_id"], row["split"]) for row in rows] == [("long ago", "train"), ("just mature", "holdout")]


def test_example_without_a_label_is_counted_and_is_no_negative(spec: UseCaseSpec) -> None:
    as_of = date(2013, 2, 28)
    moments = batches(spec, as_of, 10)
    unknown = ["2013-02-20", "2013-02-21", "2013-02-28"]  # the last of them is not mature yet
    labels = labelled({name: moment for name, moment in moments.items() if name not in unknown}, value=0)

    rows, resolved_without_label = draw(plan_draw(spec, as_of), moments, labels)

    assert [row["example_id"] for row in rows] == [f"2013-02-{day}" for day in (19, 22, 23, 24, 25, 26)]
    assert resolved_without_label == 2


def test_label_that_became_known_after_as_of_is_not_used(spec: UseCaseSpec) -> None:
    as_of = date(2013, 2, 28)
    batch_at = spec.calendar.batch_at(as_of)
    moments = {"in time": batch_at - 3 * DAY, "too late": batch_at - 3 * DAY}
    labels = [("in time", 1, batch_at), ("too late", 1, batch_at + timedelta(microseconds=1))]

    rows, resolved_without_label = draw(plan_draw(spec, as_of), moments, labels)

    assert [row["example_id"] for row in rows] == ["in time"]
    assert resolved_without_label == 1


def test_label_that_came_late_in_a_later_drop_is_not_used_however_early_it_was_known(spec: UseCaseSpec) -> None:
    as_of = date(2013, 2, 20)
    moments = {"a": spec.calendar.batch_at(date(2013, 2, 10))}
    early, late = (spec.calendar.batch_at(date(2013, 2, day)) for day in (11, 12))
    labels = [("a", 1, early), ("a", 0, late), ("a", 1, late)]
    landed = [date(2013, 2, 11), as_of + DAY, as_of + 2 * DAY]

    found = [draw(plan_draw(spec, as_of + back * DAY), moments, labels, landed)[0] for back in range(3)]

    assert [[row["label"] for row in rows] for rows in found] == [[1], [0], [1]]


def test_of_corrected_labels_the_newest_known_by_as_of_counts(spec: UseCaseSpec) -> None:
    first, second = date(2013, 2, 20), date(2013, 2, 28)
    moments = {"a": spec.calendar.batch_at(date(2013, 2, 10))}
    corrections = [
        ("a", 1, spec.calendar.batch_at(date(2013, 2, 11))),
        ("a", 0, spec.calendar.batch_at(date(2013, 2, 25))),
        ("a", 1, spec.calendar.batch_at(date(2013, 2, 18))),
        ("a", 1, spec.calendar.batch_at(date(2013, 3, 5))),
    ]

    found = [draw(plan_draw(spec, as_of), moments, corrections)[0] for as_of in (first, second)]

    assert [[row["label"] for row in rows] for rows in found] == [[1], [0]]


def test_drawn_row_has_its_features_beside_label_and_split(spec: UseCaseSpec) -> None:
    moment = datetime(2013, 2, 20, 9, tzinfo=UTC)

    rows, _ = draw(plan_draw(spec, date(2013, 2, 28)), {"a": moment}, [("a", 1, moment + DAY)])

    assert rows == [
        {
            "example_id": "a",
            "batch_date": date(2013, 2, 20),
            "prediction_at": moment,
            "label": 1,
            "split": "holdout",
            "hour": 0,
            "outcome_arrival_delay_min": None,
        }
    ]


def test_plan_reads_back_from_plain_values(spec: UseCaseSpec) -> None:
    plan = plan_draw(spec, date(2013, 3, 11))

    assert plan == DrawPlan(
        as_of="2013-03-11",
        known_until="2013-03-11T08:00:00+00:00",
        matured_until="2013-03-09T08:00:00+00:00",
        holdout_after="2013-02-22T09:00:00+00:00",
        features=("hour",),
        measures=("arrival_delay_min",),
    )
    assert DrawPlan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize(
    ("counts", "named"), [({"holdout": 5}, "to train on;"), ({"train": 0}, "to train and to holdout on;")]
)
def test_empty_split_is_refused_by_name(spec: UseCaseSpec, counts: dict[str, int], named: str) -> None:
    with pytest.raises(NotEnoughDataError, match=f"as of 2013-01-10: no matured, labelled example {named}"):
        check_size(counts, plan_draw(spec, date(2013, 1, 10)), date(2013, 1, 20))

    assert check_size({"train": 1, "holdout": 1}, plan_draw(spec, date(2013, 1, 10)), date(2013, 1, 20)) is None


def test_the_first_drop_that_can_be_drawn_is_the_first_whose_plan_leaves_something_to_train_on(
    spec: UseCaseSpec,
) -> None:
    first = date(2013, 1, 5)
    found = first_drawable(spec, first)
    starts = [datetime.fromisoformat(plan_draw(spec, drop).holdout_after)
              for drop in (spec.calendar.previous_drop(found), found)]  # fmt: skip

    assert starts[0] <= spec.calendar.batch_at(first) < starts[1]
