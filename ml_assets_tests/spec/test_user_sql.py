from __future__ import annotations

import pytest

from ml_assets.spec.user_sql import UserSqlError, check_expression, check_repeatable, check_select


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("SELECT 1", ()),
        ("SELECT * FROM flights AS f JOIN Weather USING (origin);", ("flights", "weather")),
        ("FROM flights SELECT carrier", ("flights",)),
        (
            "SELECT (SELECT max(n) FROM a) FROM b WHERE EXISTS (SELECT 1 FROM c) UNION ALL SELECT 1 FROM d",
            tuple("abcd"),
        ),
        ("SELECT * FROM lake.flights", ("lake.flights",)),
        ("WITH late AS (SELECT * FROM flights), worst AS (SELECT * FROM Late) SELECT * FROM worst", ("flights",)),
        ("WITH flights AS (SELECT * FROM flights) SELECT * FROM flights", ("flights",)),
        ("SELECT * FROM a, (WITH a AS (SELECT 1) SELECT * FROM a) AS b", ("a",)),
        (
            "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT * FROM n",
            (),
        ),
        (
            "WITH RECURSIVE n AS (SELECT i FROM n UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT * FROM n",
            ("n",),
        ),
    ],
)
def test_select_names_the_tables_it_reads(sql: str, tables: tuple[str, ...]) -> None:
    assert check_select(sql) == tables
    assert check_select(sql, tables) == tables


def test_select_of_another_table_is_refused_with_those_that_are_there() -> None:
    with pytest.raises(UserSqlError, match=r"^reads labels; allowed: batch, flights$"):
        check_select("SELECT * FROM flights JOIN labels USING (flight_id)", ["flights", "batch"])


@pytest.mark.parametrize(
    "function", ["query('FROM labels')", "query_table('labels')", "duckdb_tables()", "read_csv('x.csv')"]
)
def test_function_that_finds_tables_is_refused_and_one_that_makes_rows_is_not(function: str) -> None:
    with pytest.raises(UserSqlError, match=rf"reads {function.split('(', maxsplit=1)[0]}\(\); allowed: flights"):
        check_select(f"SELECT * FROM {function}", ["flights"])

    assert check_select("SELECT * FROM flights, range(3), unnest([1, 2])", ["flights"]) == ("flights",)


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("", "found nothing; allowed: one SELECT"),
        ("SELECT 1; SELECT 2", "found SELECT, SELECT; allowed"),
        ("COPY (SELECT 1) TO 'x.csv'", "found COPY; allowed"),
        ("INSERT INTO flights VALUES (1)", "found INSERT; allowed"),
        ("ATTACH 'x.db'", "found ATTACH; allowed"),
        ("SET threads = 9", "found SET; allowed"),
        ("EXPLAIN SELECT 1", "found EXPLAIN; allowed"),
        ("SELECT FROM WHERE", "does not parse: "),
    ],
)
def test_what_is_not_one_select_is_refused(sql: str, found: str) -> None:
    with pytest.raises(UserSqlError, match=found):
        check_select(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "arrival_delay_min >= 15",
        "hour(timezone('America/New_York', scheduled_departure_at)) -- local",
        "CASE WHEN a IN ('x', 'y') THEN greatest(b, 0.25) END",
        "is_holiday(CAST(seen_at AS DATE))",
        "list_transform([1, 2], lambda x: x + a)",
        "coalesce(least(a, b), date_diff('day', seen_at, known_at), isodow(seen_at), date_part('week', seen_at))",
        "days_to_holiday(seen_at) + days_since_holiday(seen_at)",
        "age(known_at, seen_at) > INTERVAL 1 DAY",
        "split_part(nullif(a, ''), ':', 1)",
        "list_sum([a, b]) + len(list_value(a))",
        "(a, b) IN ((1, 2), (3, 4))",
        'count + "first"',
    ],
)
def test_expression_over_one_row_passes(sql: str) -> None:
    assert check_expression(sql) is None


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("sum(n) OVER ()", "found a window function in "),
        ("n + lag(n) OVER (ORDER BY known_at)", "found a window function in "),
        ("n > (SELECT avg(n) FROM flights)", "found a subquery in "),
        ("EXISTS (SELECT 1 FROM flights)", "found a subquery in "),
        ("COLUMNS('delay')", "found [*] in "),
        ("date_diff('day', seen_at, today())", "found today in "),
        ("current_timestamp - seen_at", "found current_timestamp in "),
        ("random() < 0.5", "found random in "),
        ("seen_at > ago(INTERVAL 1 DAY)", "found ago in "),
        ("seen_at > Current_LocalTimestamp", "found current_localtimestamp in "),
        ("current_localtime()", "found current_localtime in "),
        ("pg_conf_load_time()", "found pg_conf_load_time in "),
        ("age(seen_at)", "found age in "),
        ("n / sum(n)", "found sum in "),
        ("first(n)", "found first in "),
        ("list(n)", "found list in "),
        ("count(*)", "found count_star in "),
        ("1 + Mean(n)", "found mean in "),
        ("geomean(n)", "found geomean in "),
        ("unnest([1, 2])", "found unnest in "),
        ("generate_subscripts([1, 2], 1)", "found generate_subscripts in "),
        ("rowid % 2", "found rowid in "),
        ("_rows.RowId", "found rowid in "),
        ("a, b", "allowed: one expression"),
        ("n) AS value, (1", "allowed: one expression"),
        ("n) FROM flights WHERE (true", "does not parse: "),
        ("n); DROP TABLE flights; SELECT (1", "allowed: one SELECT"),
        ("n +", "does not parse: "),
    ],
)
def test_expression_that_looks_beyond_its_row_is_refused(sql: str, found: str) -> None:
    with pytest.raises(UserSqlError, match=found):
        check_expression(sql)


def test_select_that_asks_a_clock_or_chance_is_refused_by_name() -> None:
    with pytest.raises(UserSqlError, match="found current_date, now, uuid in "):
        check_repeatable("SELECT now() AS a, uuid() AS b FROM flights WHERE day < current_date")

    assert check_repeatable("SELECT f.today, f.now FROM flights AS f WHERE hour(seen_at) = 4") is None


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("SELECT * FROM flights WHERE seen_at > ago(INTERVAL 1 DAY)", "found ago in "),
        ("SELECT current_localtimestamp() AS at FROM flights", "found current_localtimestamp in "),
        ("SELECT age(seen_at) AS age FROM flights", "found age in "),
        ("SELECT * FROM flights USING SAMPLE 10%", "found a sample in "),
        ("SELECT * FROM a JOIN (SELECT * FROM flights TABLESAMPLE 5 ROWS) USING (id)", "found a sample in "),
        ("SELECT * FROM flights LIMIT 3", "found LIMIT without ORDER BY in "),
        ("SELECT * FROM flights LIMIT 10%", "found LIMIT without ORDER BY in "),
        ("SELECT * FROM (SELECT * FROM flights OFFSET 3) ORDER BY id", "found LIMIT without ORDER BY in "),
        ("SELECT id FROM a UNION ALL SELECT id FROM b LIMIT 3", "found LIMIT without ORDER BY in "),
    ],
)
def test_select_that_may_give_other_rows_the_next_time_is_refused(sql: str, found: str) -> None:
    with pytest.raises(UserSqlError, match=found):
        check_repeatable(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM flights ORDER BY id LIMIT 3",
        "SELECT sample, age(known_at, seen_at) AS age FROM flights",
        "SELECT carrier, sum(n), list(n ORDER BY n) FROM flights GROUP BY carrier",
    ],
)
def test_select_that_gives_the_same_rows_each_time_passes(sql: str) -> None:
    assert check_repeatable(sql) is None


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT first(carrier) AS c FROM flights GROUP BY origin",
        "SELECT any_value(carrier) AS c FROM flights GROUP BY origin",
        "SELECT string_agg(carrier, ',') AS c FROM flights",
        "SELECT list(carrier) AS c FROM flights",
        "SELECT row_number() OVER () AS n FROM flights",
        "SELECT lag(carrier) OVER (PARTITION BY origin) AS n FROM flights",
        "SELECT approx_count_distinct(carrier) AS n FROM flights",
        "SELECT DISTINCT ON (origin) origin, carrier FROM flights",
        "SELECT * FROM (SELECT mode(carrier) AS c FROM flights)",
    ],
)
def test_values_that_hang_on_the_order_of_rows_are_refused_with_what_to_write(sql: str) -> None:
    with pytest.raises(UserSqlError, match=r"hangs on the order in which rows are read; allowed: \S+"):
        check_repeatable(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT first(carrier ORDER BY flight) AS c, min(carrier) AS m FROM flights GROUP BY origin",
        "SELECT row_number() OVER (PARTITION BY origin ORDER BY flight) AS n FROM flights",
        "SELECT sum(delay) OVER (PARTITION BY origin) AS n, rank() OVER (ORDER BY delay) AS r FROM flights",
        "SELECT DISTINCT ON (origin) origin, carrier FROM flights ORDER BY origin, flight",
        "SELECT DISTINCT origin FROM flights",
        "SELECT list_first([carrier]) AS c, first AS d FROM flights",
    ],
)
def test_values_that_no_order_of_rows_changes_are_allowed(sql: str) -> None:
    assert check_repeatable(sql) is None
