from __future__ import annotations

import pytest

from ml_assets.spec.sql_lineage import columns_of, select_lineage

TABLES = {"t": ["id", "a", "b", "c"], "u": ["id", "x", "y"]}


def made_of(text: str, names: list[str] | None = None) -> dict[str, str]:
    """Give the origins of each column as `table.column`, sorted."""
    found = select_lineage(text, TABLES, names)
    return {name: " ".join(sorted(".".join(each) for each in origins)) for name, origins in found.items()}


def test_value_is_made_of_what_it_is_computed_of_and_not_of_what_decides_the_rows() -> None:
    found = made_of("SELECT a, a + b AS s, 1 AS one FROM t WHERE c > 1 ORDER BY id")

    assert found == {"a": "t.a", "s": "t.a t.b", "one": ""}


def test_window_is_made_of_its_partition_and_order_too() -> None:
    found = made_of("SELECT count(*) OVER (PARTITION BY a ORDER BY b) AS n, sum(c) OVER w AS m FROM t WINDOW w AS ()")

    assert found == {"n": "t.a t.b", "m": "t.c"}


def test_names_are_followed_through_with_subqueries_and_renamed_columns() -> None:
    found = made_of(
        "WITH first(p) AS (SELECT a * 2 FROM t), second AS (SELECT p, p + 1 AS q FROM first) "
        "SELECT s.q, r.one, r.two FROM second AS s JOIN (SELECT x, y FROM u) AS r(one, two) ON s.p = r.one"
    )

    assert found == {"q": "t.a", "one": "u.x", "two": "u.y"}


def test_query_named_like_a_table_hides_it() -> None:
    assert made_of("WITH t AS (SELECT x AS a FROM u) SELECT a FROM t") == {"a": "u.x"}


def test_star_is_spread_without_what_it_leaves_out_and_with_what_it_replaces() -> None:
    assert made_of("SELECT * EXCLUDE (c) REPLACE (a + b AS b) FROM t") == {"id": "t.id", "a": "t.a", "b": "t.a t.b"}


def test_column_that_a_join_is_using_comes_from_both_sides() -> None:
    assert made_of("SELECT id, y FROM t JOIN u USING (id)") == {"id": "t.id u.id", "y": "u.y"}
    assert list(made_of("SELECT * FROM t JOIN u USING (id)")) == ["id", "a", "b", "c", "x", "y"]


def test_alias_of_the_same_select_stands_for_what_it_is_made_of_unless_a_column_has_its_name() -> None:
    assert made_of("SELECT a + b AS s, s * 2 AS d FROM t")["d"] == "t.a t.b"
    assert made_of("SELECT b AS a, a AS d FROM t")["d"] == "t.a"


def test_subquery_is_made_of_what_it_gives_and_what_decides_its_row() -> None:
    found = made_of("SELECT (SELECT max(y) FROM u WHERE u.id = t.id) AS m FROM t")

    assert found == {"m": "t.id u.id u.y"}


def test_union_lays_columns_on_each_other_by_place_or_by_name() -> None:
    assert made_of("SELECT a, b FROM t UNION ALL SELECT x, y FROM u") == {"a": "t.a u.x", "b": "t.b u.y"}
    found = made_of("SELECT a, b FROM t UNION ALL BY NAME SELECT y AS b, x FROM u")
    assert found == {"a": "t.a", "b": "t.b u.y", "x": "u.x"}


def test_names_of_a_lambda_are_no_columns() -> None:
    assert made_of("SELECT list_transform([a], lambda c: c + b) AS l FROM t") == {"l": "t.a t.b"}


def test_function_in_from_and_a_lateral_query_see_what_stands_before_them() -> None:
    assert made_of("SELECT e, d FROM t, unnest([t.a]) AS w(e), LATERAL (SELECT t.b + 1 AS d)") == {
        "e": "t.a",
        "d": "t.b",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT COLUMNS('a|b') FROM t", "t.a t.b t.c t.id u.id u.x u.y"),
        ("WITH RECURSIVE r AS (SELECT a, b FROM t UNION ALL SELECT a, b FROM r) SELECT a, b FROM r", "t.a t.b"),
    ],
)
def test_what_is_not_followed_gives_every_column_there_may_be_and_never_less(text: str, expected: str) -> None:
    assert made_of(text, ["a", "b"]) == {"a": expected, "b": expected}


def test_columns_without_alias_are_named_as_duckdb_names_them() -> None:
    assert made_of("SELECT a + 1, b FROM t", ["(a + 1)", "b"]) == {"(a + 1)": "t.a", "b": "t.b"}


def test_columns_of_an_expression_are_those_it_reads_whatever_the_case() -> None:
    assert columns_of("CASE WHEN A > 1 THEN B ELSE list_sum(list_transform([1], lambda c: c)) END", "abc") == (
        "a",
        "b",
    )
