"""Answers of people about examples of the review queue, as they landed by a drop."""

from __future__ import annotations

from ml_assets.labeling.resolution import ReviewAnswer
from ml_assets.spec.drop import DropKey
from ml_assets.spec.review import ReviewSpec
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.use_case_state import UseCaseState


class NoReviewError(LookupError):
    """A use case that declares no review was asked for one."""


def review_of(spec: UseCaseSpec) -> ReviewSpec:
    """Give the declared review; raises NoReviewError where a use case declares none."""
    if spec.review is None:
        raise NoReviewError(
            f"{spec.name} declares no review; add `review` and a source of answers to its defs.yaml: "
            f"`ml-assets review {spec.name} --declare` prints both"
        )
    return spec.review


def read_answers(spec: UseCaseSpec, state: UseCaseState, last: DropKey) -> list[ReviewAnswer]:
    """Read every answer that landed in a drop up to `last`, corrections among them; none before the first landed."""
    table = f"validated_{review_of(spec).answers}"
    if not state.lake.has(table):
        return []
    with state.connect() as connection:
        rows = state.lake.relation(connection, table, (spec.calendar.first_drop, last)).to_arrow_table()
    if not rows.num_rows:
        return []
    return sorted(
        ReviewAnswer(
            row["batch_date"], row["known_at"], row["example_id"], row["reviewer"], row["label"],
            row["role"] or "single", row["strategy"] or "", row["queued_in"],
        )
        for row in rows.select([
            "batch_date", "known_at", "example_id", "reviewer", "label", "role", "strategy", "queued_in"
        ]).to_pylist()
    )  # fmt: skip
