"""Tables of a source and of the ledger."""

from __future__ import annotations

from ml_assets.spec.contract import SQL_TYPES, Source
from ml_assets.spec.tables.table import LakeColumn, Table, read_columns

_TYPES = {"TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ"}  # one name a type
DROP = read_columns("batch_date | DATE | the drop")
_PROVENANCE = read_columns("""
    _file     | VARCHAR | name of the landed file
    _sha256   | VARCHAR | of its bytes
    _line     | BIGINT  | first line of the row in it, from 1; the header is line 1
    _is_late  | BOOLEAN | whether it came in a file beside the drop's own
""")
_READING = read_columns("""
    _text       | VARCHAR   | the line as it landed | | it split into the columns
    _unreadable | VARCHAR[] | `column=text` of cells that do not read as their type | | every cell does
    _refused    | VARCHAR   | why the whole file was refused | | it was not
""")
_TIMES = read_columns("""
    event_at         | TIMESTAMPTZ | when it happened | | the contract names no such moment
    known_at         | TIMESTAMPTZ | when it became known: the later of the claim and the moment after the batch before
    claimed_known_at | TIMESTAMPTZ | when it became known, as its contract claims | | nothing is claimed
""")
DROPS = Table(
    "drops",
    asset="raw/drops",
    grain="drop x source",
    columns=DROP
    + read_columns("""
    source      | VARCHAR   | name of the source
    expected    | BOOLEAN   | whether it is due in this drop
    received    | BOOLEAN   | whether a file of its own landed
    state       | VARCHAR   | admitted, refused, missing, missing_accepted or not_expected; all but missing are final
    landed      | BIGINT    | rows as landed | rows
    validated   | BIGINT    | rows that keep the contract | rows
    quarantined | BIGINT    | rows that do not | rows
    late        | BIGINT    | of the landed rows, those of late or revised files | rows
    reasons     | VARCHAR[] | why it is refused, missing or partly in quarantine | | there is nothing to say
    notes       | VARCHAR[] | what rules about the drop measured; what is odd about a file | | there is nothing to say
"""),
)
ACCEPTED_GAPS = Table(
    "accepted_gaps",
    asset="raw/drops",
    grain="drop x source that a person goes on without",
    columns=DROP
    + read_columns("""
    source       | VARCHAR     | name of the source
    reason       | VARCHAR     | why it is right to go on without it
    _recorded_at | TIMESTAMPTZ | when that was said
"""),
    is_by_drop=False,
)


def contract_columns(source: Source) -> tuple[LakeColumn, ...]:
    """Give the columns that a contract declares."""
    return tuple(
        LakeColumn(name, _TYPES.get(kind := SQL_TYPES[column.type], kind), column.description, column.unit or "", "")
        for name, column in source.columns.items()
    )


def source_tables(source: Source) -> tuple[Table, ...]:
    """Give the tables of one source."""
    name, own = source.name, contract_columns(source)
    received = read_columns("""
    _file        | VARCHAR | name of the landed file
    sha256       | VARCHAR | of its bytes | | nothing landed
    size_bytes   | BIGINT  | of the file | bytes | nothing landed
    rows         | BIGINT  | rows in it, as split | rows
    refusal      | VARCHAR | why the whole file was refused | | it was not
    warning      | VARCHAR | what is odd about it; of a refused file, what was found | | nothing is
    _is_late     | BOOLEAN | whether it came beside the drop's own file
    _modified_ns | BIGINT  | when the file last changed | ns since 1970 | nothing landed
    """)
    results = read_columns("""
    reason      | VARCHAR | reason code of the rule
    severity    | VARCHAR | error or warning
    failed_rows | BIGINT  | rows that break it | rows
    observed    | VARCHAR | what was measured | | a rule about rows
    is_refused  | BOOLEAN | whether it refused the whole drop
    is_judged   | BOOLEAN | false where there was too little to judge by
    """)
    reasons = read_columns("""
    reason  | VARCHAR   | its cause: of its reason codes the one that the others follow from
    reasons | VARCHAR[] | every reason code
    """)
    quarantined = (*DROP, *reasons, *own, _TIMES[2], *_PROVENANCE, *_READING)
    first = read_columns("_first_known_at | TIMESTAMPTZ | when the key was first known | | in this version")
    return (
        Table(f"received_{name}", f"raw/{name}", "drop x received file", (*DROP, *received)),
        Table(f"raw_{name}", f"raw/{name}", "landed row", (*DROP, *own, *_PROVENANCE, *_READING)),
        Table(f"validated_{name}", f"validated/{name}", "accepted row", (*DROP, *own, *_TIMES, *_PROVENANCE, *first)),
        Table(f"quarantine_{name}", f"quarantine/{name}", "row in quarantine", quarantined),
        Table(f"contract_{name}", f"validated/{name}", "drop x rule that failed or could not judge", (*DROP, *results)),
    )


def source_table(source: Source, kind: str) -> Table:
    """Give one table of a source: received, raw, validated, quarantine or contract."""
    return next(table for table in source_tables(source) if table.name == f"{kind}_{source.name}")
