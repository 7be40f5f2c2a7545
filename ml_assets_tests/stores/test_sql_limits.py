from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from ml_assets.spec.user_sql import UserSqlError, check_select
from ml_assets.stores.sandbox import restrict_to_tables
from ml_assets.stores.sql_limits import SqlLimitError, sql_limits

SORT = "SELECT count(*), max(s) FROM (SELECT md5(i::VARCHAR) AS s FROM range(6_000_000) AS t(i) ORDER BY s)"


def setting(connection: duckdb.DuckDBPyConnection, name: str) -> object:
    return connection.sql(f"SELECT current_setting('{name}')").fetchall()[0][0]


def test_limits_of_the_machine_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ML_ASSETS_SQL_THREADS", "3")
    monkeypatch.setenv("ML_ASSETS_SQL_MEMORY", "512MiB")
    monkeypatch.setenv("ML_ASSETS_SQL_SPILL", str(tmp_path / "it's"))

    with duckdb.connect() as connection:
        restrict_to_tables(connection, {})

        assert setting(connection, "threads") == 3
        assert setting(connection, "memory_limit") == "512.0 MiB"
        assert str(setting(connection, "temp_directory")).startswith(str(tmp_path / "it's" / "ml_assets_sql_"))


def test_by_default_memory_is_a_share_of_what_this_process_may_take() -> None:
    limits = sql_limits({})

    pages = sum(int(line.split()[1]) for line in Path("/proc/meminfo").read_text().splitlines() if "MemTotal" in line)
    assert limits.threads in {1, 2}
    assert 0 < int(limits.memory.removesuffix("MiB")) <= 0.6 * pages / 1024 + 1


def test_what_memory_does_not_hold_is_spilled_and_removed_at_the_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ML_ASSETS_SQL_MEMORY", "150MB")
    monkeypatch.setenv("ML_ASSETS_SQL_SPILL", str(tmp_path))

    with duckdb.connect() as connection:
        restrict_to_tables(connection, {})
        found = connection.sql(SORT).fetchall()

        assert found[0][0] == 6_000_000
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


def test_two_connections_share_no_folder_and_user_sql_reads_none() -> None:
    assert sql_limits({}).spill != sql_limits({}).spill
    for query in ("SELECT * FROM read_blob('/tmp/ml_assets_sql_1/*')", "FROM glob('/tmp/*')", "FROM '/tmp/x.parquet'"):
        with pytest.raises(UserSqlError):
            check_select(query, {"orders"})


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("ML_ASSETS_SQL_THREADS", "0", "a whole number from 1"),
        ("ML_ASSETS_SQL_THREADS", "two", "a whole number from 1"),
        ("ML_ASSETS_SQL_MEMORY", "lots", "a size such as"),
        ("ML_ASSETS_SQL_MEMORY", "1GB'; SET lock_configuration = false; --", "a size such as"),
        ("ML_ASSETS_SQL_SPILL", "relative", "an absolute path"),
    ],
)
def test_limit_that_says_nothing_is_told_with_what_is_allowed(name: str, value: str, allowed: str) -> None:
    with pytest.raises(SqlLimitError, match=rf"\${name}: found .*; allowed: {allowed}"):
        sql_limits({name: value})
