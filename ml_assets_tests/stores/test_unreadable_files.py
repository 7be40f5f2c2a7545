"""A file of a table that is damaged is named with its table, its drop and what to do, whoever comes by it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from ml_assets.cli import app
from ml_assets.stores import kept_files
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.rows import read_rows
from ml_assets.stores.sandbox import restrict_to_tables
from ml_assets.stores.unreadable_files import UnreadableFileError
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.pipeline.ingestion.deliveries import Deliveries, orders

DROPS = [date(2013, 1, 1), date(2013, 1, 2)]
ROWS = 2_000
Read = Callable[[UseCaseState], object]


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def overwritten(content: bytes) -> bytes:
    return content[:8] + b"\xff" * (len(content) // 3) + content[8 + len(content) // 3 :]


def without_footer(content: bytes) -> bytes:
    return content[:-60] + b"\xee" * 48 + content[-12:]


DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "gone": lambda _: None, "empty": lambda _: b"", "cut": cut, "overwritten": overwritten, "footer": without_footer,
}  # fmt: skip


@pytest.fixture(autouse=True)
def forget_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read files anew, as another process does."""
    monkeypatch.setattr(kept_files, "_KEPT", kept_files._Kept(kept_files.MOST_KEPT))


@pytest.fixture
def state(tmp_path: Path) -> UseCaseState:
    found = UseCaseState("flight_delays", StatePaths(tmp_path))
    for drop in DROPS:
        rows = {"batch_date": [drop] * ROWS, "x": [each / 7 for each in range(ROWS)]}
        found.lake.replace_drops("rows", pa.table(rows), [drop])
    return found


def damage(state: UseCaseState, table: str, kind: str, drop: date) -> Path:
    (file,) = [Path(each) for each in state.lake.files(table).files if str(drop) in each]
    content = DAMAGES[kind](file.read_bytes())
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    return file


def by_relation(state: UseCaseState) -> object:
    with state.connect() as connection:
        return state.lake.relation(connection, "rows").aggregate("sum(x)").fetchall()


def by_sandbox(state: UseCaseState) -> object:
    with state.connect_apart() as connection:
        restrict_to_tables(connection, {"rows": state.lake.files("rows")})
        return connection.sql("SELECT sum(x) FROM rows").fetchall()


def by_rows(state: UseCaseState) -> object:
    return read_rows(state.lake, "rows", None, where="x > 1")


@pytest.mark.parametrize("read", [by_relation, by_sandbox, by_rows])
@pytest.mark.parametrize("kind", DAMAGES)
@pytest.mark.parametrize("is_large", [False, True], ids=["kept", "lazy"])
def test_damaged_file_is_named_with_table_drop_and_what_to_do(
    state: UseCaseState, read: Read, kind: str, is_large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_large:
        monkeypatch.setattr(kept_files, "MOST_OF_A_READ", -1)
    file = damage(state, "rows", kind, DROPS[1])

    with pytest.raises(UnreadableFileError) as raised:
        read(state)

    said = str(raised.value)
    assert said.startswith(f"table flight_delays.rows, drop 2013-01-02: {file} cannot be read: ")
    assert said.endswith(
        ". Put it back from a backup (ml-assets restore), or run the drop again: ml-assets batch flight_delays --from "
        "2013-01-02 --to 2013-01-02. `ml-assets doctor flight_delays` looks for more"
    )
    assert raised.value.__cause__ is None  # what shows the root of an error shows this


def test_other_errors_of_sql_stay_as_they_are(state: UseCaseState) -> None:
    with pytest.raises(duckdb.BinderException), state.connect() as connection:
        state.lake.relation(connection, "rows").aggregate("sum(y)").fetchall()


def test_batch_that_comes_by_one_in_the_middle_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Deliveries(tmp_path, (orders(event_at="ordered_at"),))
    for drop in DROPS:
        found.land(drop, f"id,ordered_at,depot,kg,n\no{drop.day},2012-12-31 10:00:00,X,1.5,1\n")
    found.run(DROPS[:1])
    monkeypatch.setattr(kept_files, "_KEPT", kept_files._Kept(kept_files.MOST_KEPT))
    damage(found.state, "validated_orders", "cut", DROPS[0])

    with pytest.raises(UnreadableFileError, match=r"table flight_delays\.validated_orders, drop 2013-01-01: /"):
        found.run(DROPS[1:])


@pytest.mark.parametrize(
    "command", [("sql", "SELECT sum(x) FROM flight_delays.rows"), ("fingerprint", "flight_delays")]
)
def test_command_ends_with_one_line(
    state: UseCaseState, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ML_ASSETS_DATA", str(state.paths.root))
    damage(state, "rows", "overwritten", DROPS[1])

    result = CliRunner().invoke(app, list(command))

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error table flight_delays.rows, drop 2013-01-02: ")
    assert len(result.stderr.splitlines()) == 1
