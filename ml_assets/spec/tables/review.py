"""Tables of what people are asked to look at; of use cases that declare `review`."""

from __future__ import annotations

from ml_assets.spec.tables.ingestion import DROP
from ml_assets.spec.tables.table import Table, read_columns
from ml_assets.spec.use_case import UseCaseSpec

REVIEW_QUEUE = Table(
    "review_queue",
    asset="labels/review_queue",
    grain="drop x example x person who is asked",
    columns=DROP
    + read_columns("""
    example_id   | VARCHAR | the example
    example_drop | DATE    | the drop it was predicted in
    reviewer     | VARCHAR | who is asked
    place        | BIGINT  | place on the list of the person, from 1
    strategy     | VARCHAR | what chose it: a strategy of `review.shares`, or escalated
    reason       | VARCHAR | why, in words
    measure      | DOUBLE  | what the strategy measured; the highest is asked first | | chosen by chance, or escalated
    role         | VARCHAR | single, pair (one of two people), or final (decides between two)
    propensity   | DOUBLE  | probability that the random share of the drop draws it; 0: it could not be drawn | share
    score        | DOUBLE  | as predicted | | not predicted
"""),
)
LABEL_ERRORS = Table(
    "label_errors",
    asset="labels/label_errors",
    grain="label of the newest training set that is likely wrong",
    columns=read_columns("""
    as_of       | DATE    | the drop up to which everything was known
    example_id  | VARCHAR | the example
    batch_date  | DATE    | the drop it was predicted in
    place       | BIGINT  | from 1, the least probable label first
    label       | INTEGER | as it is
    suggested   | INTEGER | the most probable class
    probability | DOUBLE  | of the label, predicted by a model of earlier rows | share
    reason      | VARCHAR | why it is listed
"""),
    is_by_drop=False,
)
OF_LABELS = read_columns("""
    origin    | VARCHAR | natural, or review: what people answered
    given_by  | VARCHAR | who answered, and in which drops it was asked | | a natural label
    is_chosen | BOOLEAN | whether only a strategy led to it: there is no natural label, and chance did not draw it
""")
OF_TRAINING_SET = read_columns("""
    label_given_by | VARCHAR | people whose answers are the label, and in which drops they were asked | | nobody
    _is_chosen     | BOOLEAN | whether only a strategy of the review queue led to the label: it measures nothing
""")


def tables_of(spec: UseCaseSpec) -> tuple[Table, ...]:
    """Give the tables of the review that a use case declares."""
    if spec.review is None:
        return ()
    return (REVIEW_QUEUE, LABEL_ERRORS) if spec.review.looks_for_label_errors else (REVIEW_QUEUE,)
