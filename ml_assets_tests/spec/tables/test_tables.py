"""Every lake table is declared once, and what is written is what is declared."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_assets.reports.tables_page import tables_page
from ml_assets.spec.tables import Table, declared_lake_tables, tables_of_asset
from ml_assets.spec.tables.table import read_columns
from ml_assets.stores.table_rows import arrow_rows, arrow_schema
from ml_assets_tests.rehearsal import REPOSITORY, Rehearsal, flagship

DRAWN = {"examples", "quarantine_examples", "features", "training_set", "worklist"}  # SQL of the use case adds columns

pytestmark = pytest.mark.xdist_group("models")


def test_written_tables_have_the_declared_columns_and_types(served: Rehearsal) -> None:
    declared, written = declared_lake_tables(served.spec), served.lake.tables()

    assert set(written) <= set(declared)
    assert set(declared) - set(written) <= {"accepted_gaps", "accepted_features"}
    for name in written:
        found = {field.name: field.type for field in served.lake.files(name).schema}
        asked = {field.name: field.type for field in arrow_schema(declared[name])}
        assert asked.items() <= found.items(), name
        assert name in DRAWN or found.keys() == asked.keys(), name
        assert served.lake.files(name).is_partitioned == declared[name].is_by_drop, name


def test_every_asset_of_a_table_is_in_the_graph_and_names_one_main_table() -> None:
    spec = flagship()

    for table in declared_lake_tables(spec).values():
        main, *others = tables_of_asset(spec, table.asset)
        assert main.is_main, table.name
        assert not any(each.is_main for each in others), table.name


def test_every_column_that_no_contract_declares_says_what_it_means() -> None:
    of_contracts = {name for source in flagship().sources for name in source.columns}
    unsaid = [
        f"{table.name}.{column.name}"
        for table in declared_lake_tables(flagship()).values()
        for column in table.columns
        if not column.meaning and column.name not in of_contracts
    ]

    assert unsaid == []


def test_page_of_tables_is_the_declared_one() -> None:
    page = REPOSITORY / "docs" / "tables.md"

    assert Path(page).read_text() == tables_page(flagship())


def test_row_with_a_column_that_is_not_declared_is_refused() -> None:
    table = Table("stops", "raw/stops", "stop", read_columns("name | VARCHAR | of the stop"))

    with pytest.raises(ValueError, match="stops: found column 'nmae'; allowed: name"):
        arrow_rows(table, [{"nmae": "a"}])


def test_number_that_is_not_finite_is_null() -> None:
    table = Table("stops", "raw/stops", "stop", read_columns("late_min | DOUBLE | delay | min | unknown"))

    assert arrow_rows(table, [{"late_min": float("nan")}, {}]).to_pylist() == [{"late_min": None}] * 2


def test_column_of_an_unknown_type_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="found type 'TEXT'; allowed: BIGINT"):
        read_columns("name | TEXT | of the stop")
