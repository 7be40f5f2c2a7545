from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ml_assets.ingestion.acceptance import Acceptance
from ml_assets.spec.calendar import MICROSECOND
from ml_assets_tests.conftest import drawn
from ml_assets_tests.ingestion.conftest import DROPS, Ingest, declare, reasons_by_id

HEADER = "id,n,seen_at\n"
# drop 2013-01-02 is what was received after the 1st, 09:00 UTC, until the 2nd, 09:00 UTC
OPENS_AT = datetime(2013, 1, 1, 9, tzinfo=UTC) + MICROSECOND
BATCH_AT = datetime(2013, 1, 2, 9, tzinfo=UTC)


def times_by_id(acceptance: Acceptance) -> dict[str, tuple[datetime, datetime, datetime | None]]:
    found = acceptance.validated.project("id, event_at, known_at, claimed_known_at").fetchall()
    return {name: (happened, known, claimed) for name, happened, known, claimed in found}


def test_row_that_keeps_the_contract_is_validated_with_where_it_came_from(ingest: Ingest) -> None:
    accepted = ingest.accept(declare(), HEADER + "b,2,\na,1,2013-01-01T10:00:00Z\n")

    assert accepted.validated.project("batch_date, id, n, _file, _line").fetchall() == [
        (DROPS[0], "a", 1, "stops.csv", 3),
        (DROPS[0], "b", 2, "stops.csv", 2),
    ]
    assert accepted.quarantine.fetchall() == []


def test_row_without_a_claim_is_known_and_happens_at_its_batch(ingest: Ingest) -> None:
    accepted = ingest.accept(declare(), HEADER + "a,1,\n")

    assert times_by_id(accepted) == {"a": (BATCH_AT, BATCH_AT, None)}


def test_claim_from_before_the_drop_is_known_the_moment_after_the_previous_batch(ingest: Ingest) -> None:
    lines = "late,1,2012-12-25T00:00:00Z\nat once,2,2013-01-01T09:00:00Z\nin time,3,2013-01-01T09:00:01Z\n"

    accepted = ingest.accept(declare(known_at="seen_at"), HEADER + lines)

    assert {name: times[1] for name, times in times_by_id(accepted).items()} == {
        "late": OPENS_AT,
        "at once": OPENS_AT,
        "in time": datetime(2013, 1, 1, 9, 0, 1, tzinfo=UTC),
    }
    assert times_by_id(accepted)["late"][2] == datetime(2012, 12, 25, tzinfo=UTC)


def test_claim_later_than_the_batch_is_quarantined(ingest: Ingest) -> None:
    lines = "then,1,2013-01-02T09:00:00Z\nafter,2,2013-01-02T09:00:00.000001Z\n"

    accepted = ingest.accept(declare(known_at="seen_at"), HEADER + lines)

    assert times_by_id(accepted)["then"][1] == BATCH_AT
    assert reasons_by_id(accepted) == {"after": ["known_after_batch"]}


def test_event_and_claim_are_expressions_of_the_row(ingest: Ingest) -> None:
    source = declare(event_at="seen_at", known_at="seen_at + INTERVAL (n) HOUR")

    accepted = ingest.accept(source, HEADER + "a,3,2013-01-01T12:00:00Z\n")

    noon = datetime(2013, 1, 1, 12, tzinfo=UTC)
    assert times_by_id(accepted) == {"a": (noon, noon + timedelta(hours=3), noon + timedelta(hours=3))}


def test_forecast_happens_when_issued_and_is_not_known_before(ingest: Ingest) -> None:
    source = declare(
        {"id": "string", "n": "integer", "run_at": "timestamp", "seen_at": "timestamp"},
        key=["id", "run_at", "n"],
        known_at="seen_at",
        forecast={"issued_at": "run_at", "for": "run_at + INTERVAL (n) HOUR"},
    )
    at = "2013-01-01T"
    lines = [f"a,6,{at}12:00:00Z,{at}13:00:00Z", f"early,6,{at}12:00:00Z,{at}11:59:59Z",
             f"lost,999999999999,{at}12:00:00Z,{at}13:00:00Z", f"earlier,6,{at}06:00:00Z,{at}13:00:00Z"]  # fmt: skip

    accepted = ingest.accept(source, "id,n,run_at,seen_at\n" + "\n".join(lines) + "\n")

    assert times_by_id(accepted)["a"][:2] == (
        datetime(2013, 1, 1, 12, tzinfo=UTC),
        datetime(2013, 1, 1, 13, tzinfo=UTC),
    )
    assert set(times_by_id(accepted)) == {"a", "earlier"}
    assert reasons_by_id(accepted) == {"early": ["known_before_issue"], "lost": ["forecast_time_missing"]}


def test_every_broken_row_has_its_reason(ingest: Ingest) -> None:
    source = declare({"id": "string", "n": "integer", "seen_at": "timestamp", "place": "string"}, known_at="seen_at")
    source = source.model_copy(
        update={"columns": {**source.columns, "place": source.columns["place"].model_copy(update={"required": True})}}
    )
    lines = [
        "id,n,seen_at,place",
        "fine,1,2013-01-01T12:00:00Z,EWR",
        ",1,2013-01-01T12:00:00Z,EWR",
        "no place,1,2013-01-01T12:00:00Z,",
        "half,12.5,2013-01-01T12:00:00Z,EWR",
        "no claim,1,,EWR",
        "no moment,1,yesterday,EWR",
        "future,1,2013-01-09T12:00:00Z,EWR",
        "all at once,x,2013-01-09T12:00:00Z,",
        "ragged,1",
    ]

    accepted = ingest.accept(source, "\n".join(lines))
    found = accepted.quarantine.project("_line, reason, reasons, _text").fetchall()

    assert [row[0] for row in accepted.validated.project("id").fetchall()] == ["fine"]
    assert found == [
        (3, "missing:id", ["missing:id"], None),
        (4, "missing:place", ["missing:place"], None),
        (5, "unreadable:n", ["unreadable:n"], None),
        (6, "known_at_missing", ["known_at_missing"], None),
        (7, "unreadable:seen_at", ["known_at_missing", "unreadable:seen_at"], None),
        (8, "known_after_batch", ["known_after_batch"], None),
        (9, "unreadable:n", ["known_after_batch", "missing:place", "unreadable:n"], None),
        (10, "malformed_line", ["malformed_line"], "ragged,1"),
    ]


def test_required_value_that_cannot_be_read_is_unreadable_and_not_missing(ingest: Ingest) -> None:
    source = declare({"id": "integer", "n": "integer"})

    accepted = ingest.accept(source, "id,n\nx,1\n")

    assert reasons_by_id(accepted) == {None: ["unreadable:id"]}


def test_rows_of_a_refused_file_have_its_refusal_as_their_only_reason(ingest: Ingest) -> None:
    accepted = ingest.accept(declare(known_at="seen_at"), "id,n\na,1\nb,2\n", HEADER + "c,1,2013-01-02T12:00:00Z\n")

    assert accepted.quarantine.project("batch_date, reasons, _text").fetchall() == [
        (DROPS[0], ["file_refused:missing_column:seen_at"], text) for text in ("a,1", "b,2")
    ]
    assert accepted.validated.project("batch_date, id").fetchall() == [(DROPS[1], "c")]


def test_of_a_key_twice_in_a_drop_the_last_known_is_the_fact(ingest: Ingest) -> None:
    lines = "a,1,2013-01-01T14:00:00Z\na,2,2013-01-01T13:00:00Z\nb,3,2013-01-01T12:00:00Z\nb,4,2013-01-01T12:00:00Z\n"

    accepted = ingest.accept(declare(known_at="seen_at"), HEADER + lines)

    assert accepted.validated.project("id, n").fetchall() == [("a", 1), ("b", 4)]
    assert accepted.quarantine.project("id, n, reason").fetchall() == [
        ("a", 2, "duplicate_key"),
        ("b", 3, "duplicate_key"),
    ]


def test_broken_row_does_not_displace_a_clean_one_of_its_key(ingest: Ingest) -> None:
    accepted = ingest.accept(declare(), HEADER + "a,1,\na,x,\n")

    assert accepted.validated.project("id, n").fetchall() == [("a", 1)]
    assert reasons_by_id(accepted) == {"a": ["unreadable:n"]}


def test_key_in_two_drops_is_a_fact_and_its_correction(ingest: Ingest) -> None:
    accepted = ingest.accept(declare(), HEADER + "a,1,\n", HEADER + "a,2,\n")

    assert accepted.validated.project("batch_date, n").fetchall() == [(DROPS[0], 1), (DROPS[1], 2)]


CELLS = st.sampled_from(["a", "b", "", "1", "2.5", "2013-01-01T12:00:00Z", "2013-01-09T12:00:00Z", '"', '"x\ny"'])
LINES = st.lists(st.lists(CELLS, min_size=1, max_size=4).map(",".join), max_size=7)
FILES = st.builds("\n".join, st.tuples(st.sampled_from(["id,n,seen_at", "id,n"]), LINES.map("\n".join)))


@drawn(20)
@given(contents=st.lists(FILES, min_size=1, max_size=3))
def test_validated_and_quarantined_rows_are_the_landed_ones(ingest: Ingest, contents: list[str]) -> None:
    accepted = ingest.accept(declare(known_at="seen_at"), *contents)

    def where_from(table: str) -> list[tuple[object, ...]]:
        return ingest.connection.sql(f"SELECT batch_date, _line FROM {table}").fetchall()

    ingest.connection.register("_validated", accepted.validated.to_arrow_table())
    ingest.connection.register("_quarantine", accepted.quarantine.to_arrow_table())
    assert sorted(where_from("_validated") + where_from("_quarantine")) == sorted(where_from("raw"))
    assert ingest.connection.sql("SELECT count(*) FROM _validated WHERE id IS NULL OR known_at IS NULL").fetchall() == [
        (0,)
    ]
    assert ingest.connection.sql("SELECT count(*) FROM _quarantine WHERE coalesce(len(reasons), 0) = 0").fetchall() == [
        (0,)
    ]
