"""The same past in another format gives the same tables: landed, run and closed through the terminal."""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from ml_assets.ingestion.headers import contract_names
from ml_assets_tests.second_use_case.machine import ask, loans_machine, run

pytestmark = [
    pytest.mark.slow,
    # great_expectations 1.24 imports sre_constants and sre_parse, which Python 3.11 calls deprecated
    pytest.mark.filterwarnings("ignore:module 'sre_.*' is deprecated:DeprecationWarning"),
]

WEEKS = ("2022-01-09", "2022-01-30")


def read(path: Path) -> tuple[list[str], list[list[str]]]:
    with path.open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    return head, rows


def as_german(path: Path) -> tuple[Path, str]:
    """Write it as a German spreadsheet exports it, packed; give the keys that say so."""
    head, rows = read(path)
    at, amount = (contract_names(head).index(name) for name in ("applied_at", "amount_inr"))
    for row in rows:
        row[at] = f"{datetime.fromisoformat(row[at]):%d.%m.%Y %H:%M}"
        row[amount] = f"{int(row[amount]):,}".replace(",", ".")
    text = "Anträge\n\n" + "".join(";".join(row) + "\n" for row in [head, *rows]) + "Summe;5000\n"
    target = path.with_suffix(".csv.gz")
    target.write_bytes(gzip.compress(text.encode("cp1252")))
    keys = '{separator: ";", decimal: ",", thousands: ".", encoding: cp1252, compression: gzip, title_lines: 2, '
    return target, keys + 'footer: "^Summe", names: ["in/antraege_*.csv.gz"]}'


def as_json(path: Path) -> tuple[Path, str]:
    head, rows = read(path)
    target = path.with_suffix(".jsonl")
    target.write_text("".join(json.dumps(dict(zip(head, row, strict=True))) + "\n" for row in rows), encoding="utf-8")
    return target, "{format: jsonl}"


def as_parquet(path: Path) -> tuple[Path, str]:
    import duckdb

    target = path.with_suffix(".parquet")
    with duckdb.connect() as connection:
        connection.read_csv(str(path)).write_parquet(str(target))
    return target, "{format: parquet}"


def as_excel(path: Path) -> tuple[Path, str]:
    import openpyxl

    head, rows = read(path)
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Loans")
    for row in [head, *rows]:
        sheet.append(row)
    target = path.with_suffix(".xlsx")
    book.save(target)
    return target, "{format: xlsx, sheet: Loans}"


def tables_of(root: Path, written: Callable[[Path], tuple[Path, str]] | None) -> tuple[dict[str, str], list[str]]:
    """Land and run four weeks whose applications are written so; give the hash of each table and the landed names."""
    with loans_machine(root):
        past, declaration = root / "applications.csv", root / "defs" / "late_loans" / "defs.yaml"
        if written is not None:
            past, keys = written(past)
            text = declaration.read_text().replace(
                "    - name: applications\n", f"    - name: applications\n      file: {keys}\n"
            )
            if "separator" in keys:
                text = re.sub(r"(applied_at: \{type: timestamp)", r"\1, date_order: day_first", text)
            declaration.write_text(text)
        assert "no mistake" in run("validate", "late_loans")
        run("land", "late_loans", f"--history=applications={past}", f"--history=repayments={root / 'repayments.csv'}",
            "--to", WEEKS[1])  # fmt: skip
        run("batch", "late_loans", "--from", WEEKS[0], "--to", WEEKS[1])
        again = run("land", "late_loans", f"--history=applications={past}", "--to", WEEKS[1])
        assert "never overwritten" not in again
        hashes = {
            table: run("fingerprint", "late_loans", "--table", table).split()[-1]
            for table in ("validated_applications", "quarantine_applications", "features", "labels")
        }
        ledger = ask("select sum(landed) = sum(validated) + sum(quarantined) as agrees, any_value(notes) as notes "
                     "from late_loans.drops where source = 'applications'")  # fmt: skip
        assert ledger[0]["agrees"] is True
        folder = root / "state" / "landing" / "late_loans" / WEEKS[0]
        return hashes, sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return tables_of(tmp_path_factory.mktemp("plain"), None)[0]


@pytest.mark.parametrize(
    ("written", "landed"),
    [
        (as_german, "in/antraege_2022-01-09.csv.gz"),
        (as_json, "applications.jsonl"),
        (as_parquet, "applications.parquet"),
        (as_excel, "applications.xlsx"),
    ],
)
def test_past_in_another_format_gives_the_same_tables(
    tmp_path: Path, plain: dict[str, str], written: Callable[[Path], tuple[Path, str]], landed: str
) -> None:
    hashes, names = tables_of(tmp_path, written)

    assert hashes == plain
    assert names == sorted([landed, "repayments.csv"])
