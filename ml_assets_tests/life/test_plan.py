"""What goes wrong in a life is decided by its seed, every kind of it, and leaves changes of the contract alone."""

from __future__ import annotations

from datetime import date, timedelta

from ml_assets_tests.life.plan import TROUBLES, Plan
from ml_assets_tests.life.use_case import Setting

DAILY = Setting(date(2024, 1, 1), "Asia/Kolkata", "06:00", timedelta(days=1))
DROPS = [DAILY.start + timedelta(days=number) for number in range(200)]


def plan(seed: int, *, outages_often: bool = False) -> Plan:
    return Plan(DAILY, DROPS, seed, share=0.4, outages_often=outages_often)


def test_one_seed_gives_one_plan_and_another_another() -> None:
    troubles = [[plan(seed).trouble_of(drop) for drop in DROPS] for seed in (1, 1, 2)]

    assert troubles[0] == troubles[1] != troubles[2]


def test_every_kind_of_trouble_comes_about_as_often_as_every_other() -> None:
    found = [trouble for drop in DROPS if (trouble := plan(1).trouble_of(drop))]

    assert {found.count(kind) for kind in TROUBLES} <= {2, 3, 4}


def test_no_outage_reaches_over_a_change_of_the_declaration() -> None:
    for seed in range(20):
        lived = plan(seed, outages_often=True)
        changes = (lived.priority_from, lived.broken_in, lived.renamed_from)
        for drop in DROPS:
            if lived.trouble_of(drop) == "outage":
                assert not any(drop <= change <= drop + lived.outage_of(drop) for change in changes)
