from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ml_assets.pipeline.ingestion.contract_changes import ContractChangeError, find_contract_changes
from ml_assets.stores.lake import Lake
from ml_assets.stores.table_files import ColumnTypeError
from ml_assets_tests.pipeline.ingestion.deliveries import ORDERS, Deliveries, orders

DAYS = [date(2013, 1, day) for day in range(1, 8)]
HEADER = "id,ordered_at,depot,kg,n\n"


@pytest.fixture
def delivered(tmp_path: Path) -> Deliveries:
    """Run and close two drops under the contract of five columns."""
    found = Deliveries(tmp_path, (orders(),))
    for number, drop in enumerate(DAYS[:2]):
        found.land(drop, HEADER + f"a{number},2012-12-31 10:00:00,X,1.5,{number}\n")
    found.run(DAYS[:2], closes=True)
    return found


def changed(delivered: Deliveries, columns: dict[str, Any], **more: Any) -> Deliveries:
    return Deliveries(delivered.root, (orders(columns, **more),))


def values(delivered: Deliveries, column: str, table: str = "validated_orders") -> list[Any]:
    return [row[column] for row in delivered.rows(table)]


def test_column_that_is_new_is_null_in_earlier_drops_and_rules_look_back_across_it(delivered: Deliveries) -> None:
    promo = {"reference": "2d", "max_psi": 9.0, "min_rows": 1, "column": "promo", "reason": "mix", "severity": "error"}
    after = changed(delivered, ORDERS | {"promo": "string"}, distribution=[promo])
    (change,) = find_contract_changes(after.state, after.sources[0])
    after.land(DAYS[2], "id,ordered_at,depot,kg,n,promo\na1,2013-01-01 10:00:00,X,1.5,7,yes\n")

    (row,) = after.run(DAYS[2:3])

    assert (row["state"], row["validated"]) == ("admitted", 1)
    assert values(after, "promo") == [None, None, "yes"]
    assert values(after, "n") == [0, 1, 7]
    assert change.message() == "new since 2 drops were run: null in them"
    assert find_contract_changes(after.state, after.sources[0]) == []


def test_late_row_is_compared_with_one_from_before_the_column_was_there(delivered: Deliveries) -> None:
    after = changed(delivered, ORDERS | {"promo": "string"})
    after.land(DAYS[0], "id,ordered_at,depot,kg,n,promo\na0,2012-12-31 10:00:00,X,1.5,0,\n", "orders.v2.csv")
    after.land(DAYS[2], "id,ordered_at,depot,kg,n,promo\n")

    after.run(DAYS[2:3])

    assert [row["reasons"] for row in after.rows("quarantine_orders")] == [["already_known"]]


def test_column_that_is_gone_stays_in_earlier_drops(delivered: Deliveries) -> None:
    after = changed(delivered, {name: kind for name, kind in ORDERS.items() if name != "depot"})
    (change,) = find_contract_changes(after.state, after.sources[0])
    after.land(DAYS[2], "id,ordered_at,kg,n\nb,2013-01-01 10:00:00,1.5,7\n")

    (row,) = after.run(DAYS[2:3])

    assert (row["state"], values(after, "depot")) == ("admitted", ["X", "X", None])
    assert change.message() == ("no column of the contract any more: the 2 drops that were run keep it")


def test_column_that_is_renamed_is_one_that_is_gone_and_one_that_is_new(delivered: Deliveries) -> None:
    renamed = {("store" if name == "depot" else name): kind for name, kind in ORDERS.items()}
    after = changed(delivered, renamed)
    after.land(DAYS[2], "id,ordered_at,store,kg,n\nb,2013-01-01 10:00:00,Y,1.5,7\n")

    assert [(each.column, each.kind) for each in find_contract_changes(after.state, after.sources[0])] == [
        ("store", "added"), ("depot", "dropped"),
    ]  # fmt: skip
    after.run(DAYS[2:3])

    assert values(after, "depot") == ["X", "X", None]
    assert values(after, "store") == [None, None, "Y"]


@pytest.mark.parametrize(
    ("kind", "text", "found"),
    [("float", "2.5", [0.0, 1.0, 2.5]), ("string", "A-7", ["0", "1", "A-7"])],
)
def test_column_of_another_type_is_read_again_from_what_is_stored(
    delivered: Deliveries, kind: str, text: str, found: list[Any]
) -> None:
    after = changed(delivered, ORDERS | {"n": kind})
    after.land(DAYS[2], HEADER + f"b,2013-01-01 10:00:00,X,1.5,{text}\n")

    (row,) = after.run(DAYS[2:3])

    assert (row["state"], values(after, "n"), values(after, "n", "raw_orders")) == ("admitted", found, found)


def test_type_that_stored_values_do_not_read_as_is_refused_and_nothing_is_written(delivered: Deliveries) -> None:
    after = changed(delivered, ORDERS | {"kg": "integer"})
    after.land(DAYS[2], HEADER + "b,2013-01-01 10:00:00,X,1,1\n")
    versions = after.lake.versions(after.lake.tables())

    with pytest.raises(ContractChangeError) as raised:
        after.run(DAYS[2:3])

    assert str(raised.value) == (
        "sources.orders.columns.kg.type: found type 'integer', and 2 stored values of type 'float' do not read as that "
        "(first '1.5' in drop 2013-01-01); allowed: float, string, or a column of another name, which is null in "
        "earlier drops. Nothing was run; `ml-assets validate flight_delays` names the line"
    )
    assert after.lake.versions(after.lake.tables()) == versions


def test_write_of_another_type_is_refused_and_not_cast(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "uc")
    lake.replace_drops("t", pa.table({"batch_date": DAYS[:1], "n": [1]}), DAYS[:1])

    with pytest.raises(ColumnTypeError, match=r"uc\.t\.n: found values of type DOUBLE; allowed: BIGINT"):
        lake.replace_drops("t", pa.table({"batch_date": DAYS[1:2], "n": [1.5]}), DAYS[1:2])
