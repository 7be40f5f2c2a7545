"""Tables of weak labels, the label model and training labels; of use cases that declare `labeling`."""

from __future__ import annotations

from ml_assets.spec.tables.ingestion import DROP
from ml_assets.spec.tables.table import Table, read_columns

WEAK_LABELS = Table(
    "weak_labels",
    asset="labels/weak_labels",
    grain="example x labeling function",
    columns=DROP
    + read_columns("""
    example_id | VARCHAR     | the example
    function   | VARCHAR     | the labeling function
    label      | INTEGER     | the class it votes for | | it abstains, or gave what is no class
    refused    | VARCHAR     | what it gave that is no class | | it gave a class or abstained
    version    | BIGINT      | declared version of the function
    definition | VARCHAR     | hash of the version and the SQL that gave the vote
    known_at   | TIMESTAMPTZ | the batch of the example: a function sees what was known by then
"""),
)
LABEL_MODEL = Table(
    "label_model",
    asset="labels/label_model",
    grain="label model that was considered",
    columns=read_columns("""
    as_of      | DATE    | the drop it was fitted and judged as of
    model      | VARCHAR | majority_vote, dawid_skene, abstaining_em
    is_chosen  | BOOLEAN | whether training labels are made by it
    accuracy   | DOUBLE  | accuracy on held-out gold labels; ties count in part | share | too few gold labels
    low        | DOUBLE  | lower end of Wilson's 90 % interval | share | too few gold labels
    high       | DOUBLE  | upper end | share | too few gold labels
    examples   | BIGINT  | examples with votes of functions as declared now
    covered    | DOUBLE  | share of the examples that a function votes on | share | no examples
    gold       | BIGINT  | matured gold labels among them
    held_out   | BIGINT  | the newer half, which judges
    gain       | DOUBLE  | accuracy of the judged model less that of the vote | share | too few gold labels
    gain_low   | DOUBLE  | lower end of its 90 % interval | share | too few gold labels
    gain_high  | DOUBLE  | upper end | share | too few gold labels
    chosen     | VARCHAR | what is used: a label model, or gold_alone
    reason     | VARCHAR | why
"""),
    is_by_drop=False,
)
LABEL_MODEL_PARAMETERS = Table(
    "label_model_parameters",
    asset="labels/label_model",
    grain="labeling function x class x vote, of the chosen model; empty for a vote",
    columns=read_columns("""
    function    | VARCHAR | the labeling function | | share of the class among all examples
    class       | INTEGER | the true class
    vote        | INTEGER | what the function says | | an abstention, or no function
    probability | DOUBLE  | probability of the vote given the class
    weight      | DOUBLE  | how much the function counts: 1, less where it repeats others
"""),
    is_by_drop=False,
)
LABELING_FUNCTIONS = Table(
    "labeling_functions",
    asset="labels/label_model",
    grain="labeling function",
    columns=read_columns("""
    function     | VARCHAR   | name of the function
    version      | BIGINT    | declared version
    definition   | VARCHAR   | hash of version and SQL
    owner        | VARCHAR   | who is responsible for it | | no owner is declared
    description  | VARCHAR   | what it looks for
    classes      | VARCHAR[] | classes it votes for
    coverage     | DOUBLE    | examples it votes on | share
    overlap      | DOUBLE    | examples another votes on too | share
    conflict     | DOUBLE    | examples another votes on otherwise | share
    gold         | BIGINT    | gold labels it votes on
    accuracy     | DOUBLE    | share of them on which it is right | share | none
    low          | DOUBLE    | lower end of Wilson's 90 % interval | share
    high         | DOUBLE    | upper end | share
    stale_drops  | BIGINT    | drops whose votes are by another definition and were left out
"""),
    is_by_drop=False,
)
CORRELATED_FUNCTIONS = Table(
    "correlated_functions",
    asset="labels/label_model",
    grain="pair of labeling functions that repeat each other",
    columns=read_columns("""
    first       | VARCHAR | a function
    second      | VARCHAR | another
    correlation | DOUBLE  | of what they say beyond what the class explains; 1 is a copy
    common      | BIGINT  | examples that both vote on
"""),
    is_by_drop=False,
)
TRAINING_LABELS = Table(
    "training_labels",
    asset="labels/training_labels",
    grain="example with a label, gold or weak",
    columns=read_columns("""
    example_id  | VARCHAR     | the example
    batch_date  | DATE        | the drop it was predicted in
    label       | INTEGER     | the class
    probability | DOUBLE      | of the class by the label model; 1 for gold | share
    weight      | DOUBLE      | how much a training row counts: 1 for gold; of a weak label 0 at chance, 1 when certain
    origin      | VARCHAR     | gold, or weak
    reason      | VARCHAR     | what the label rests on
    known_at    | TIMESTAMPTZ | when it became known
"""),
    is_by_drop=False,
)
TABLES = (
    WEAK_LABELS, LABEL_MODEL, LABEL_MODEL_PARAMETERS, LABELING_FUNCTIONS, CORRELATED_FUNCTIONS, TRAINING_LABELS,
)  # fmt: skip
OF_TRAINING_SET = read_columns("""
    label_origin | VARCHAR | gold, or weak
    label_weight | DOUBLE  | how much the row counts
    label_reason | VARCHAR | what the label rests on
""")
