from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ml_assets.ingestion.profiling import FileProfile
from ml_assets.stores.given_files import profile_file


def profile(tmp_path: Path, header: str, rows: Sequence[str]) -> FileProfile:
    """Profile a file of these lines."""
    file = tmp_path / "given.csv"
    file.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return profile_file("given", file)[0]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (("1", "-20", "3.0"), "integer"),
        (("1", "2.5", "-1e3"), "float"),
        (("00123", "14500"), "string"),  # a name with zeros before it
        (("0", "1"), "integer"),
        (("true", "False"), "boolean"),
        (("2024-01-31", "2024-02-29"), "date"),
        (("2024-01-31 10:00", "2024-02-29T23:59:59.5+05:30"), "timestamp"),
        (("31/01/2024", "29/02/2024"), "date"),  # no month is the 31st: the day comes first
        (("03/04/2024", "05/06/2024"), "string"),  # either could be the day
        (("1", "two"), "string"),
        (("12E3", "7E5"), "string"),  # codes
        (("12345678901234567890", "7"), "string"),  # no 64 bits hold it
        (("2024_001", "2024_002"), "string"),
        (("01-01-24", "31-01-24"), "string"),  # any part of it could be the year
        (("24-02-29", "24-03-01"), "string"),
    ],
)
def test_type_is_the_narrowest_that_reads_every_value(values: tuple[str, ...], kind: str, tmp_path: Path) -> None:
    found = profile(tmp_path, "a,b", [f"{value},{number}" for number, value in enumerate(values)])

    assert found.column("a").type == kind


def test_word_for_null_counts_only_where_a_column_reads_narrower_without_it(tmp_path: Path) -> None:
    found = profile(tmp_path, "amount,n", ["12,1", "NA,2", ",3"])

    assert (found.null_values, found.column("amount").null_values) == (("", "NA"), ())
    assert (found.column("amount").type, found.column("amount").nulls, found.column("amount").highest) == (
        "integer", 2, 12,
    )  # fmt: skip
    only_text = profile(tmp_path, "country,n", ["NA,1", "DE,2"])
    assert only_text.null_values == ("",)
    assert only_text.column("country").nulls == 0  # Namibia


def test_word_that_is_a_value_of_another_column_is_null_in_its_own_alone(tmp_path: Path) -> None:
    found = profile(tmp_path, "floors,country", ["12,NA", "NA,DE", ",FR"])

    assert found.null_values == ("",)
    assert (found.column("floors").null_values, found.column("country").null_values) == (("NA",), ())
    assert (found.column("floors").type, found.column("floors").nulls, found.column("country").nulls) == (
        "integer", 2, 0,
    )  # fmt: skip


def test_number_that_is_a_value_of_another_column_is_null_in_its_own_alone(tmp_path: Path) -> None:
    found = profile(tmp_path, "temp_c,n", ["12.5,-999", "-999,5", "-999,-1", "3,2"])

    assert found.null_values == ("",)
    assert (found.column("temp_c").null_values, found.column("n").null_values) == (("-999",), ())


def test_timestamp_without_offset_has_a_clock_to_be_named(tmp_path: Path) -> None:
    rows = ["2024-01-01T10:00:00Z,2024-01-01 10:00:00", "2024-01-02T10:00:00+05:30,2024-01-02 10:00:00+05:30"]

    found = profile(tmp_path, "zoned,mixed", rows)

    assert (found.column("zoned").is_zoned, found.column("mixed").is_zoned) == (True, False)


def test_dates_in_another_form_are_pointed_out(tmp_path: Path) -> None:
    assert profile(tmp_path, "day,n", ["31/12/23,1"]).column("day").note == (
        "looks like dates in another form: contracts read YYYY-MM-DD"
    )


def test_key_is_the_column_that_names_a_row_and_sounds_like_it(tmp_path: Path) -> None:
    found = profile(tmp_path, "amount,loan_id,name", ["1,a,x", "2,b,y", "3,c,z"])

    assert (found.key, found.key_reason) == (("loan_id",), "3 rows, 3 values")


def test_key_of_several_columns_is_found_where_none_alone_names_a_row(tmp_path: Path) -> None:
    rows = [f"{station},2024-01-0{day}T00:00:00Z,7" for station in ("A", "B") for day in (1, 2, 3)]

    found = profile(tmp_path, "station,observed_at,temp", rows)

    assert found.key == ("observed_at", "station")
    assert found.key_reason.startswith("no column alone names a row; together 6 rows")


def test_rows_that_repeat_whole_have_no_key(tmp_path: Path) -> None:
    found = profile(tmp_path, "a,b", ["1,x", "1,x", "2,y"])

    assert (found.key, found.key_reason) == ((), "no columns name a row, and some rows repeat whole")


def test_timestamps_always_in_order_are_found_as_a_pair(tmp_path: Path) -> None:
    rows = ["2024-01-01T00:00:00Z,2024-01-02T00:00:00Z,2024-01-01T12:00:00Z",
            "2024-01-05T00:00:00Z,,2024-01-04T12:00:00Z"]  # fmt: skip

    found = profile(tmp_path, "opened_at,closed_at,seen_at", rows)

    assert found.in_order == (("opened_at", "closed_at"), ("seen_at", "closed_at"))


def test_categories_are_those_that_repeat(tmp_path: Path) -> None:
    rows = [f"{'red' if n % 3 else 'blue'},name{n}" for n in range(30)]

    found = profile(tmp_path, "colour,name", rows)

    assert found.column("colour").categories == (("red", 20), ("blue", 10))
    assert found.column("name").categories == ()


def test_torn_lines_are_counted_and_left_aside(tmp_path: Path) -> None:
    found = profile(tmp_path, "a,b", ["1,2", "torn", "3,4"])

    assert (found.rows, found.malformed, found.column("a").type) == (2, 1, "integer")


def test_number_that_repeats_where_nothing_else_is_below_zero_is_taken_for_null(tmp_path: Path) -> None:
    rows = ["12.5,3", "-999,4", "-999,5", "0,6"]

    found = profile(tmp_path, "temp_c,n", rows)

    assert found.null_values == ("", "-999")
    assert [(each.value, each.column, each.count) for each in found.sentinels] == [("-999", "temp_c", 2)]
    column = found.column("temp_c")
    assert (column.type, column.nulls, column.lowest, column.highest) == ("float", 2, 0.0, 12.5)


@pytest.mark.parametrize(
    "rows",
    [
        ["12.5,3", "-999,4", "0,6"],  # once: an outlier
        ["-12.5,3", "-999,4", "-999,5"],  # others are below zero too
        ["-999,3", "-999,4"],  # nothing beside it
    ],
)
def test_number_that_may_be_one_is_not_taken_for_null(rows: list[str], tmp_path: Path) -> None:
    found = profile(tmp_path, "temp_c,n", rows)

    assert (found.null_values, found.sentinels) == (("",), ())


def test_empty_date_stands_for_null_and_years_outside_the_usual_are_proposed(tmp_path: Path) -> None:
    found = profile(tmp_path, "born_on,left_on,n", ["1850-03-01,0001-01-01,1", "1990-01-01,2024-01-01,2"])

    assert found.null_values == ("", "0001-01-01")
    assert (found.column("left_on").type, found.column("left_on").nulls) == ("date", 1)
    assert (found.column("born_on").unusual_years, found.column("left_on").unusual_years) == ((1850, 2200), None)
