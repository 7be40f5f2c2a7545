"""PostgreSQL as source and target: a use case runs from a database to a database, and again from its files."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from ml_assets.ingestion.headers import contract_names
from ml_assets_tests.second_use_case.machine import ask, invoke, loans_machine, run
from ml_assets_tests.stores.shop import Shop, has_postgres, postgres

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not has_postgres(), reason="PostgreSQL is not installed"),
    # great_expectations 1.24 imports sre_constants and sre_parse, which Python 3.11 calls deprecated
    pytest.mark.filterwarnings("ignore:module 'sre_.*' is deprecated:DeprecationWarning"),
]

FIRST, LAST = "2022-01-09", "2022-01-30"
TABLES = ("raw_applications", "validated_applications", "features", "predictions")
SOURCE = """    - name: applications
      file: {format: parquet}
      extract: {url: "${SHOP}", table: applications, watermark: applied_at, overlap: 1h}
"""
DELIVERIES = """
  deliveries:
    - {table: worklist, format: database, url: "${SHOP}", into: desk_worklist}
    - {table: worklist, format: csv}
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = Path("/tmp") / f"ml_assets_loans_{tmp_path_factory.getbasetemp().name}"  # noqa: S108 - its user has to reach it
    with postgres(folder) as url:
        yield Shop(url)


def fill(shop: Shop, past: Path) -> None:
    """Write the applications into a table whose moments are local times without a zone, as the contract says."""
    with past.open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    names = contract_names(head)
    kinds = {"applied_at": "timestamp", "amount_inr": "bigint", "tenure_weeks": "bigint",
             "monthly_income_inr": "bigint", "bureau_score": "bigint"}  # fmt: skip
    columns = ", ".join(f"{name} {kinds.get(name, 'text')}" for name in names)
    shop.run(f"CREATE TABLE applications ({columns})")
    values = [
        {
            name: None if cell == "" else datetime.fromisoformat(cell) if name == "applied_at"
            else int(cell) if kinds.get(name) == "bigint" else cell
            for name, cell in zip(names, row, strict=True)
        }
        for row in rows
    ]  # fmt: skip
    shop.run(f"INSERT INTO applications VALUES ({', '.join(f':{name}' for name in names)})", *values)


def hashes() -> dict[str, str]:
    return {table: run("fingerprint", "late_loans", "--table", table).split()[-1] for table in TABLES}


def test_use_case_runs_from_a_database_to_a_database_and_again_from_its_files(
    tmp_path: Path, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP", shop.url)
    for name in ("files", "database"):
        (tmp_path / name).mkdir()
    with loans_machine(tmp_path / "files") as root:
        files = [f"--history={name}={root / name}.csv" for name in ("applications", "repayments")]
        run("land", "late_loans", *files, "--to", LAST, "--early")
        run("batch", "late_loans", "--from", FIRST, "--to", LAST)
        from_files = hashes()
        fill(shop, root / "applications.csv")

    with loans_machine(tmp_path / "database", DELIVERIES) as root:
        declaration = root / "defs" / "late_loans" / "defs.yaml"
        declaration.write_text(declaration.read_text().replace("    - name: applications\n", SOURCE))
        assert "no mistake" in run("validate", "late_loans")
        run("land", "late_loans", f"--history=repayments={root / 'repayments.csv'}", "--to", LAST, "--early")
        said = run("extract", "late_loans", "--to", LAST)
        assert f"ml-assets batch late_loans --from {FIRST} --to {LAST}" in said
        assert "nothing to extract" in run("extract", "late_loans", "--to", LAST)
        run("batch", "late_loans", "--from", FIRST, "--to", LAST)
        from_database = hashes()
        delivered = sorted(shop.ask("SELECT CAST(batch_date AS text), example_id FROM desk_worklist"))
        worklist = ask("select CAST(batch_date AS VARCHAR) AS day, example_id from late_loans.worklist")

        assert from_database == from_files
        assert delivered == sorted((row["day"], row["example_id"]) for row in worklist)

        shop.run("DELETE FROM applications")  # what was extracted is all that a second run needs
        for part in ("lake", "received", "models", "dagster_home"):
            shutil.rmtree(root / "state" / part, ignore_errors=True)
        run("batch", "late_loans", "--from", FIRST, "--to", LAST)
        assert hashes() == from_database
        assert sorted(shop.ask("SELECT CAST(batch_date AS text), example_id FROM desk_worklist")) == delivered


def test_database_that_is_away_is_named_and_nothing_is_landed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP", "postgresql+psycopg://reader:secret@127.0.0.1:1/shop")
    with loans_machine(tmp_path) as root:
        declaration = root / "defs" / "late_loans" / "defs.yaml"
        declaration.write_text(declaration.read_text().replace("    - name: applications\n", SOURCE))

        result = invoke("extract", "late_loans", "--to", FIRST)

        assert result.exit_code == 1
        assert "${SHOP}: " in result.output
        assert "the same command goes on" in " ".join(result.output.split())
        assert "secret" not in result.output
        assert not (root / "state" / "landing").exists()
