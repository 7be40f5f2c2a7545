from __future__ import annotations

from ml_assets.reports.column_descriptions import catalogue_of, lineage_of
from ml_assets_tests.rehearsal import flagship, small_spec


def test_lineage_and_catalogue_are_worked_out_once_a_declaration() -> None:
    again = flagship().model_copy(update={"clock": flagship().clock})

    assert lineage_of(again) is lineage_of(flagship())
    assert catalogue_of(again) is catalogue_of(flagship())
    assert lineage_of(small_spec()) is not lineage_of(flagship())
