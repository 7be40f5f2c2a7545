"""The record of the champion: one row a verdict, and what people add to it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ml_assets.decisions.promotion import Outcome, Verdict
from ml_assets.decisions.reasons import Reason
from ml_assets.pipeline.champion.decisions import NotDecidableError, PersonDecision, rejection_of, waiting_in
from ml_assets.pipeline.champion.decisions import _find_entry as find_entry
from ml_assets.pipeline.champion.decisions import _find_undecided as find_undecided
from ml_assets.pipeline.champion.promote import RecordedVerdict
from ml_assets.pipeline.champion.record import (
    BY_HAND,
    CandidateRow,
    ServingDecision,
    append_decision,
    append_verdict,
    champion_in,
    evaluation_table,
    promotions_in,
    read_record,
    read_verdict,
)
from ml_assets.stores.lake import Lake
from ml_assets_tests.decisions.measures import measures, replace

MAY, JUNE = date(2013, 5, 31), date(2013, 6, 30)
ROW = CandidateRow(MAY, "trees", "may", "cafe", 3, "run", "1")
MEASURES = measures(1000, 14, log_loss=0.5, auc=0.7, ece=0.02)


class Record:
    """A record that verdicts and decisions are appended to, a minute each."""

    def __init__(self, folder: Path, connection: duckdb.DuckDBPyConnection) -> None:
        self.lake, self.connection = Lake(folder), connection
        self.now = datetime(2013, 7, 1, tzinfo=UTC)

    def gate(self, row: CandidateRow = ROW, outcome: Outcome = "promoted", measured: float = 0.5) -> bool:
        """Bring a verdict; say whether it was new."""
        verdict = Verdict(outcome, "enabled", True, (Reason("finite", "they are", None, None, True),))
        of_roles = {name: replace(MEASURES, log_loss=measured) for name in ("candidate", "baseline")}
        self.lake.replace("evaluation", evaluation_table(row, None, verdict, of_roles, None, ["2013-06-01"]))
        return append_verdict(
            self.connection,
            self.lake,
            read_verdict(self.connection, self.lake),
            BY_HAND,
            self._provenance(),
            task="binary",
        )

    def person(self, model: str, verdict: str, after: date, note: str = "") -> None:
        """Add what a person decided about a model in the record."""
        entry = next(row for row in reversed(self.rows) if row["model_version"] == model)
        append_decision(
            self.connection,
            self.lake,
            entry,
            ServingDecision(verdict, "ann", after, note),
            self._provenance(),
            task="binary",
        )

    @property
    def rows(self) -> list[dict[str, Any]]:
        return read_record(self.connection, self.lake)

    def _provenance(self) -> dict[str, Any]:
        self.now += timedelta(minutes=1)
        return {"_recorded_at": self.now, "_run_id": "r"}


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield Record(tmp_path, connection)


def named(model: str, as_of: date = MAY) -> CandidateRow:
    return replace(ROW, model_version=model, as_of=as_of)


def test_verdict_that_is_given_again_leaves_one_row_also_after_people_decided(record: Record) -> None:
    assert record.gate(outcome="awaiting_approval")
    assert not record.gate(outcome="awaiting_approval")
    record.person("may", "promoted", JUNE)

    assert not record.gate(replace(ROW, mlflow_run_id="another", registry_version="2"), "awaiting_approval")
    assert [row["verdict"] for row in record.rows] == ["awaiting_approval", "promoted"]
    assert record.gate(measured=0.4, outcome="awaiting_approval")
    assert len(record.rows) == 3


def test_decision_of_a_person_keeps_the_evidence_of_the_verdict_and_says_who_why_and_from_when(
    record: Record,
) -> None:
    record.gate(outcome="awaiting_approval")
    record.person("may", "promoted", JUNE, note="looked at it")

    by_gate, by_person = record.rows

    own = {"sequence", "verdict", "decided_by", "serves_after", "note", "asked_by", "_recorded_at"}
    assert {k: v for k, v in by_person.items() if k not in own} == {k: v for k, v in by_gate.items() if k not in own}
    assert {name: by_person[name] for name in sorted(own - {"_recorded_at"})} == {
        "sequence": 2, "verdict": "promoted", "decided_by": "ann", "serves_after": JUNE, "note": "looked at it",
        "asked_by": None,
    }  # fmt: skip
    assert (by_gate["decided_by"], by_gate["serves_after"]) == ("gate", MAY)
    assert by_gate["_recorded_at"] < by_person["_recorded_at"]


def test_only_what_was_promoted_serves(record: Record) -> None:
    record.gate()
    record.gate(named("june", JUNE), "awaiting_approval")
    record.gate(named("june too", JUNE), "dry_run")

    served = champion_in(record.rows, date.max)

    assert served is not None
    assert served["model_version"] == "may"
    assert [each.model_version for each in promotions_in(record.rows)] == ["may"]
    assert champion_in(record.rows, MAY) is None


def test_newer_verdict_as_of_the_same_drop_takes_the_place_of_one_that_waits(record: Record) -> None:
    record.gate(named("june", JUNE), "awaiting_approval")
    record.gate(named("june too", JUNE), "awaiting_approval")

    assert [row["model_version"] for row in waiting_in(record.rows)] == ["june too"]
    record.person("june too", "refused", JUNE)
    assert waiting_in(record.rows) == []


def test_rollback_to_another_model_of_the_drop_does_not_hide_the_one_that_waits(record: Record) -> None:
    record.gate(named("june", JUNE))
    record.gate(named("july", date(2013, 7, 31)))
    record.gate(named("june too", JUNE), "awaiting_approval")
    record.person("june", "promoted", date(2013, 8, 10))

    assert [row["model_version"] for row in waiting_in(record.rows)] == ["june too"]


def test_one_that_waits_needs_no_name_and_of_two_the_names_are_told(record: Record) -> None:
    record.gate(named("may"), "awaiting_approval")
    assert find_entry(waiting_in(record.rows), "", "that waits")["model_version"] == "may"
    record.gate(named("june", JUNE), "awaiting_approval")

    with pytest.raises(NotDecidableError, match="found 'no name'; allowed: a model that waits: may, june"):
        find_entry(waiting_in(record.rows), "", "that waits")
    assert find_entry(waiting_in(record.rows), "june", "that waits")["as_of"] == JUNE


def test_rejection_is_taken_back_by_name_with_a_reason_and_not_without(record: Record) -> None:
    record.gate(outcome="awaiting_approval")
    record.person("may", "refused", JUNE, note="odd slices")
    plain = PersonDecision("bob", "", record.now)

    with pytest.raises(
        NotDecidableError, match=r"may was rejected by ann on 2013-07-01: odd slices; allowed: .*--reason"
    ):
        find_undecided(record.rows, "may", "promoted", plain)
    with pytest.raises(NotDecidableError, match="there is none"):
        find_undecided(record.rows, "", "promoted", plain)
    assert find_undecided(record.rows, "may", "promoted", replace(plain, note="looked again"))["model_version"] == "may"

    record.person("may", "promoted", JUNE, note="looked again")
    assert rejection_of(record.rows, "may") is None


def test_retraining_that_gives_a_rejected_model_again_says_that_it_was_rejected(record: Record) -> None:
    record.gate(outcome="awaiting_approval")
    record.person("may", "refused", JUNE, note="odd slices")
    assert not record.gate(outcome="awaiting_approval")

    verdict = read_verdict(record.connection, record.lake)
    again = RecordedVerdict(verdict, False, record.rows, None, rejection_of(record.rows, "may"))

    assert not again.outcome.passed
    assert "may was rejected by ann on 2013-07-01: odd slices, and that stands" in again.outcome.description
