"""Automation extracts by itself once a batch is past, says what failed, and takes the drop when it has landed."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ml_assets.pipeline.ingestion import extraction
from ml_assets.pipeline.ingestion.ready_drops import ReadyRange, find_ready_drops
from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.paths import StatePaths
from ml_assets_tests.rehearsal import REPOSITORY
from ml_assets_tests.stores.shop import Shop

DECLARED = REPOSITORY / "ml_assets_tests" / "second_use_case" / "late_loans"
EXTRACT = '      file: {format: parquet}\n      extract: {url: "${SHOP}", table: NAME, watermark: MARK}\n'
BATCH = datetime(2022, 1, 9, 0, 30, tzinfo=UTC)  # 06:00 in India


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("SHOP", f"sqlite:///{tmp_path / 'shop.db'}")
    shop = Shop(f"sqlite:///{tmp_path / 'shop.db'}")
    shop.run("CREATE TABLE applications (loan_id TEXT, applied_at TEXT, customer_id TEXT, branch TEXT, product TEXT, "
             "amount_inr INTEGER, tenure_weeks INTEGER, monthly_income_inr INTEGER, bureau_score INTEGER)")  # fmt: skip
    shop.run(
        "INSERT INTO applications VALUES ('L100000', '2022-01-05 10:00:00', 'C1', 'Pune', 'shop', 100, 12, 9, 700)"
    )
    return shop


@pytest.fixture
def spec(tmp_path: Path) -> UseCaseSpec:
    """Give late_loans by the clock on the wall, whose applications are in a database and whose repayments may miss."""
    folder = Path(shutil.copytree(DECLARED, tmp_path / "late_loans"))
    text = (folder / "defs.yaml").read_text().replace("  clock: data", "  clock: wall")
    extract = EXTRACT.replace("NAME", "applications").replace("MARK", "applied_at")
    text = text.replace("    - name: applications\n", f"    - name: applications\n{extract}")
    head, name, rest = text.partition("    - name: repayments\n")
    (folder / "defs.yaml").write_text(head + name + rest.replace("when_missing: wait", "when_missing: go_on", 1))
    return load_use_case(folder)


def ready(spec: UseCaseSpec, paths: StatePaths, now: datetime) -> ReadyRange | str:
    return find_ready_drops(spec, paths, now=now, is_patient=True)


@pytest.mark.usefixtures("shop")
def test_drop_is_extracted_and_taken_once_its_batch_is_past(spec: UseCaseSpec, tmp_path: Path) -> None:
    paths = StatePaths(tmp_path / "state")

    assert ready(spec, paths, BATCH - timedelta(minutes=1)) == "nothing has landed yet"
    assert not paths.extracted.exists()
    ready(spec, paths, BATCH + timedelta(seconds=1))
    found = ready(spec, paths, datetime(2100, 1, 1, tzinfo=UTC))  # the file is whole by then

    landed = [path.relative_to(paths.landing).as_posix() for path in sorted(paths.landing.rglob("*.parquet"))]
    assert landed[0] == "late_loans/2022-01-09/applications.parquet"
    assert isinstance(found, ReadyRange)
    assert found.first == spec.calendar.start


@pytest.mark.usefixtures("shop")
def test_database_that_is_away_is_told_and_tried_again(spec: UseCaseSpec, tmp_path: Path) -> None:
    paths = StatePaths(tmp_path / "state")
    away = tmp_path / "away.db"
    (tmp_path / "shop.db").rename(away)

    said = ready(spec, paths, BATCH)
    away.rename(tmp_path / "shop.db")
    ready(spec, paths, BATCH)

    assert said == "nothing has landed yet; applications could not be extracted: ${SHOP}: no such table: applications"
    assert (paths.landing / "late_loans" / "2022-01-09" / "applications.parquet").is_file()


@pytest.mark.usefixtures("shop")
def test_replay_and_a_clock_of_the_data_extract_nothing(spec: UseCaseSpec, tmp_path: Path) -> None:
    paths = StatePaths(tmp_path / "state")

    find_ready_drops(spec, paths, now=BATCH, is_patient=False)
    by_data = spec.model_copy(update={"clock": "data"})

    assert extraction.extract_due(by_data, paths, BATCH) == ""
    assert not paths.extracted.exists()
