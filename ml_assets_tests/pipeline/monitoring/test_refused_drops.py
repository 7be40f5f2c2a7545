"""The incident about a refused drop: open until its data came or somebody accepted that they will not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from ml_assets.cli.operate.corrections import run_accept
from ml_assets.pipeline.ingestion.corrections import AcceptedGap
from ml_assets.pipeline.monitoring.incidents import reconcile_incidents
from ml_assets.spec.tables.features import CLOSED_DROPS
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets.stores.table_rows import arrow_rows
from ml_assets_tests.cli.operate.served_weeks import decision_rows
from ml_assets_tests.pipeline.ingestion.deliveries import Deliveries, orders

DAYS = [date(2013, 1, day) for day in range(1, 8)]
NOW = datetime(2030, 1, 1, tzinfo=UTC)
HEADER = "id,ordered_at,depot,kg,n\n"
BAD = b"\x00" * 8


def good(name: str) -> str:
    return f"{HEADER}{name},2012-12-31 10:00:00,X,1.5,1\n"


@pytest.fixture
def found(tmp_path: Path) -> Deliveries:
    return Deliveries(tmp_path, (orders(event_at="ordered_at"),))


def batch(found: Deliveries, drops: Sequence[date]) -> None:
    """Run drops to their decision, and look at what is wrong, as the alert sensor does."""
    found.run(list(drops), closes=True)
    found.lake.replace_drops("decisions", decision_rows(drops), drops)
    reconcile_incidents(found.spec, found.state.paths, [], [], NOW)


def lives(found: Deliveries) -> list[tuple[str, str | None, str | None]]:
    listed = AlertOutbox(found.state.paths).incidents(found.spec.name)
    return [(each.monitor, each.opened_drop, each.closed_drop) for each in listed if each.kind == "refused_drop"]


def land(found: Deliveries, bad: Sequence[date]) -> None:
    for drop in DAYS:
        found.land(drop, BAD if drop in bad else good(f"o{drop.day}"))


@pytest.mark.parametrize("is_one_run", [True, False])
def test_later_good_drop_does_not_close_it_and_a_file_landed_again_does(found: Deliveries, is_one_run: bool) -> None:
    land(found, [DAYS[1]])
    batch(found, DAYS[:3])
    monitor = "drop/orders/2013-01-02"
    assert lives(found) == [(monitor, "2013-01-02", None)]

    found.land(DAYS[1], good("o2"))  # once more, and whole
    for drops in [DAYS[3:5]] if is_one_run else [[DAYS[3]], [DAYS[4]]]:
        batch(found, drops)

    assert lives(found) == [(monitor, "2013-01-02", "2013-01-04")]


def test_it_says_what_was_refused_and_what_to_do(found: Deliveries) -> None:
    land(found, [DAYS[1]])
    batch(found, DAYS[:3])

    (incident,) = AlertOutbox(found.state.paths).incidents(found.spec.name, open_only=True)

    assert incident.message.startswith("orders of drop 2013-01-02 broke its contract: file_refused:missing_column:")
    assert "This stays open until the file has landed again in the folder of its drop" in incident.doing
    assert incident.doing.endswith(
        f"ml-assets accept-missing {found.spec.name} --source orders --drop 2013-01-02 --reason TEXT"
    )


def test_file_that_is_refused_again_leaves_it_open(found: Deliveries) -> None:
    land(found, [DAYS[1]])
    batch(found, DAYS[:3])
    found.land(DAYS[1], b"\x00" * 9)

    batch(found, DAYS[3:5])

    assert lives(found) == [("drop/orders/2013-01-02", "2013-01-02", None)]


def test_drops_in_a_row_are_one_incident_and_the_next_is_another(found: Deliveries) -> None:
    land(found, [DAYS[1], DAYS[2], DAYS[4]])
    for drop in DAYS[:6]:
        batch(found, [drop])

    assert lives(found) == [
        ("drop/orders/2013-01-02", "2013-01-02", None), ("drop/orders/2013-01-05", "2013-01-05", None)
    ]  # fmt: skip
    outbox = AlertOutbox(found.state.paths)
    first = next(each for each in outbox.incidents(found.spec.name) if each.opened_drop == "2013-01-02")
    assert first.message.startswith("orders of 2 drops from 2013-01-02 to 2013-01-03 broke its contract")
    assert len([each for each in outbox.messages(found.spec.name) if "refused" in each.title]) == 2


def test_accepting_it_closes_it_at_once_and_changes_no_table(found: Deliveries) -> None:
    land(found, [DAYS[1], DAYS[2]])
    batch(found, DAYS[:4])
    ledger = found.state.lake.version("drops")

    run_accept(found.spec, found.state, AcceptedGap("orders", [DAYS[1]], "sender lost it"), NOW)
    assert [closed for *_, closed in lives(found)] == [None]  # the other drop is still open
    run_accept(found.spec, found.state, AcceptedGap("orders", [DAYS[2]], "sender lost it"), NOW)

    assert lives(found) == [("drop/orders/2013-01-02", "2013-01-02", "2013-01-04")]
    assert found.state.lake.version("drops") == ledger
    batch(found, DAYS[4:6])
    assert [closed for *_, closed in lives(found)] == ["2013-01-04"]


def test_open_drop_that_is_run_again_and_admitted_closes_it(found: Deliveries) -> None:
    land(found, [DAYS[1]])
    batch(found, DAYS[:2])
    found.land(DAYS[1], good("o2"))
    found.state.lake.replace_drops("closed_drops", arrow_rows(CLOSED_DROPS, []), [DAYS[1]])

    batch(found, [DAYS[1]])

    assert lives(found) == [("drop/orders/2013-01-02", "2013-01-02", "2013-01-02")]


def test_source_that_was_not_due_is_accepted_too(tmp_path: Path) -> None:
    found = Deliveries(tmp_path, (orders(event_at="ordered_at", arrives="sometimes"),))
    land(found, [DAYS[1]])
    batch(found, DAYS[:3])

    run_accept(found.spec, found.state, AcceptedGap("orders", [DAYS[1]], "sender lost it"), NOW)

    assert [closed for *_, closed in lives(found)] == ["2013-01-03"]


def test_refused_drop_of_a_source_that_is_no_longer_declared_is_over(found: Deliveries) -> None:
    land(found, [DAYS[1]])
    batch(found, DAYS[:3])
    renamed = found.sources[0].model_copy(update={"name": "parcels"})

    reconcile_incidents(found.spec.model_copy(update={"sources": (renamed,)}), found.state.paths, [], [], NOW)

    assert [closed for *_, closed in lives(found)] == ["2013-01-03"]
