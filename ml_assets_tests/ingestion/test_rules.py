"""Rules over the rows of a drop, and over what other sources had said by then."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from ml_assets.ingestion.acceptance import Acceptance, accept_rows
from ml_assets_tests.ingestion.conftest import CALENDAR, DROPS, Ingest, declare, reasons_by_id

JUMP = {"breaks": "abs(n - lag(n) OVER (ORDER BY seen_at)) > 30", "reason": "jump"}
UNKNOWN = {"breaks": "id NOT IN (SELECT stop FROM register)", "reads": ["register"], "reason": "not_registered"}
CALM = "id,n,seen_at\na,50,2013-01-01T01:00:00Z\nb,51,2013-01-01T02:00:00Z\n"
WILD = "id,n,seen_at\nc,52,2013-01-01T05:00:00Z\nd,13,2013-01-01T06:00:00Z\n"


def judge(ingest: Ingest, rule: Mapping[str, object], *contents: str) -> Acceptance:
    source = declare(rules=[rule])
    _, receipts = ingest.read(source, *contents)
    ingest.connection.execute(
        "CREATE OR REPLACE TEMP TABLE read_register AS SELECT * FROM (VALUES "
        f"(DATE '{DROPS[0]}', 'a', TIMESTAMPTZ '2013-01-01 00:00:00Z'), "
        f"(DATE '{DROPS[0]}', 'b', TIMESTAMPTZ '2013-01-01 00:00:00Z'), "
        f"(DATE '{DROPS[1]}', 'c', TIMESTAMPTZ '2013-01-02 00:00:00Z')) AS t (batch_date, stop, known_at)"
    )
    landed = [receipt.drop for receipt in receipts]
    return accept_rows(ingest.connection, source, CALENDAR, landed, {"register": ["stop"]})


def found(acceptance: Acceptance) -> list[tuple[object, str, str, int, bool]]:
    return [(r.drop, r.reason, r.severity, r.failed_rows, r.is_refused) for r in acceptance.results]


def test_row_is_judged_beside_the_other_rows_of_its_drop_and_no_others(ingest: Ingest) -> None:
    accepted = judge(ingest, JUMP, CALM, WILD)

    assert reasons_by_id(accepted) == {"d": ["jump"]}
    assert found(accepted) == [(DROPS[1], "jump", "error", 1, False)]
    assert accepted.validated.aggregate("count(*)").fetchall() == [(3,)]


def test_warning_is_counted_and_lets_the_row_pass(ingest: Ingest) -> None:
    accepted = judge(ingest, {**JUMP, "severity": "warning"}, WILD)

    assert reasons_by_id(accepted) == {}
    assert found(accepted) == [(DROPS[0], "jump", "warning", 1, False)]


def test_other_source_is_read_as_it_was_known_by_the_drop(ingest: Ingest) -> None:
    stop = "id,n,seen_at\nc,1,2013-01-01T01:00:00Z\n"

    accepted = judge(ingest, UNKNOWN, CALM + "c,1,2013-01-01T01:00:00Z\n", stop)

    assert found(accepted) == [(DROPS[0], "not_registered", "error", 1, False)]  # registered in the second drop


def test_rule_that_cannot_be_evaluated_refuses_the_drop_and_says_why(ingest: Ingest) -> None:
    accepted = judge(ingest, {"breaks": "CAST(id AS INTEGER) > 1", "reason": "high"}, CALM)

    assert set(reasons_by_id(accepted)) == {"a", "b"}
    (result,) = accepted.results
    assert (result.reason, result.is_refused, result.failed_rows) == ("high", True, 2)
    assert "Could not convert string 'a' to INT32" in (result.observed or "")


@pytest.mark.parametrize("content", ["id,n,seen_at\n", "id,n,seen_at\nx,soon,\n"])
def test_empty_drop_and_unreadable_values_break_no_rule(ingest: Ingest, content: str) -> None:
    assert found(judge(ingest, JUMP, content)) == []


def test_rule_cannot_be_judged_before_what_it_reads_was_received(ingest: Ingest) -> None:
    late = {**UNKNOWN, "reads": ["register"], "severity": "warning"}
    source = declare(rules=[late])
    _, receipts = ingest.read(source, CALM)
    ingest.connection.execute("CREATE OR REPLACE TEMP TABLE read_register (batch_date DATE, stop VARCHAR, "
                              "known_at TIMESTAMPTZ)")  # fmt: skip

    accepted = accept_rows(ingest.connection, source, CALENDAR, [receipts[0].drop], {"register": ["stop"]})

    (result,) = accepted.results
    assert (result.failed_rows, result.is_refused) == (2, False)
    assert result.observed == "nothing of register was received yet"
