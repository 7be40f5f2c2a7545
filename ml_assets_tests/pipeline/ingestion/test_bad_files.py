"""One bad file in a range of drops: what it costs, and who is told."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from ml_assets.decisions.refused_drops import findings_of_refused, refused_stretches
from ml_assets.pipeline.monitoring.incidents import reconcile_incidents
from ml_assets.pipeline.monitoring.status import facts_of
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets_tests.pipeline.ingestion.deliveries import Deliveries, orders

DAYS = [date(2013, 1, day) for day in range(1, 4)]
HEADER = "id,ordered_at,depot,kg,n\n"
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def line(name: str, at: str = "2012-12-31 10:00:00", kg: str = "1.5") -> str:
    return f"{name},{at},X,{kg},1\n"


@pytest.mark.parametrize(
    ("content", "state", "validated", "told"),
    [
        (HEADER + line("b") + line("c").replace("\n", "\r") + line("d"), "admitted", 1, ["malformed_line x1"]),
        (HEADER + line("b") + line("c", "-290308-12-22 00:00:00"), "admitted", 1, ["implausible_year:ordered_at x1"]),
        (HEADER + line("b") + line("c", "0001-01-01 00:00:00"), "admitted", 1, ["implausible_year:ordered_at x1"]),
        (HEADER + line("b") + line("c", "10000-01-01 00:00:00"), "admitted", 1, ["implausible_year:ordered_at x1"]),
        (HEADER.encode() + b"\xff\n", "refused", 0, ["file_refused:not_utf8 in orders.csv (byte_25)"]),
        (b"\x00" * 8, "refused", 0, ["file_refused:missing_column:id,ordered_at,depot,kg,n in orders.csv "
                                     "(header_found:????????)"]),
    ],
    ids=["lone CR", "year -290308", "year 1", "year 10000", "not UTF-8", "NULs"],
)  # fmt: skip
def test_bad_file_costs_its_drop_at_most_and_the_ledger_names_file_and_cause(
    tmp_path: Path, content: bytes | str, state: str, validated: int, told: list[str]
) -> None:
    found = Deliveries(tmp_path, (orders(event_at="ordered_at"),))
    for drop, each in zip(DAYS, (HEADER + line("a"), content, HEADER + line("z")), strict=True):
        found.land(drop, each)

    before, row, after = found.run(DAYS)

    assert (row["state"], row["validated"], row["reasons"]) == (state, validated, told)
    assert row["landed"] == row["validated"] + row["quarantined"]
    assert [(each["state"], each["validated"]) for each in (before, after)] == [("admitted", 1)] * 2
    if state == "refused":
        stretches = refused_stretches([row], DAYS)
        (incident,) = findings_of_refused("uc", DAYS[1], stretches, {}, [])
        assert incident.message == f"orders of drop 2013-01-02 broke its contract: {told[0]}"


def test_late_file_with_a_name_that_is_no_utf8_is_told_and_costs_nothing(tmp_path: Path) -> None:
    found = Deliveries(tmp_path, (orders(),))
    found.land(DAYS[0], HEADER + line("a"))
    found.land(DAYS[0], HEADER + line("b"), os.fsdecode(b"orders.\xff.csv"))

    (row,) = found.run(DAYS[:1])

    assert (row["state"], row["validated"]) == ("admitted", 1)
    assert facts_of(found.spec, found.state)["unread"] == [
        r"2013-01-01/orders.\xff.csv: found a name that is not plain UTF-8; allowed: orders.csv"
    ]


def test_status_names_what_is_odd_about_a_file_that_was_read(tmp_path: Path) -> None:
    found = Deliveries(tmp_path, (orders(),))
    found.land(DAYS[0], HEADER + line("a") + line("b").rstrip())

    (row,) = found.run(DAYS[:1])

    assert row["notes"] == ["file orders.csv: last_line_unended:line_3"]
    assert facts_of(found.spec, found.state)["noted"] == ["orders of 2013-01-01: orders.csv: last_line_unended:line_3"]


def test_file_that_nothing_reads_is_an_incident_until_it_is_gone(tmp_path: Path) -> None:
    found = Deliveries(tmp_path, (orders(),))
    stray = found.land(DAYS[0], HEADER, "ORDERS.csv")
    written = datetime.fromtimestamp(stray.stat().st_mtime, UTC)
    outbox = AlertOutbox(found.state.paths)

    def open_at(moment: datetime) -> list[str]:
        reconcile_incidents(found.spec, found.state.paths, [], [], moment)
        return [each.message for each in outbox.incidents(found.spec.name, open_only=True)]

    assert open_at(written + timedelta(minutes=1)) == []  # it may be an upload that has not ended
    (message,) = open_at(NOW)
    assert message.startswith("nothing reads 2013-01-01/ORDERS.csv: found a name of no source; allowed: orders.csv, or")
    stray.unlink()
    assert open_at(NOW + timedelta(minutes=1)) == []
