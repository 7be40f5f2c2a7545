"""Every page with hostile values, opened in a real browser: none of them runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ml_assets_tests.browser import needs_browser, visit
from ml_assets_tests.reports.hostile import RUNS_CODE
from ml_assets_tests.reports.test_evidently_page import hostile_drift_page
from ml_assets_tests.reports.test_pages import PAGES

pytestmark = [pytest.mark.slow, needs_browser]  # a browser a page

ALL_PAGES = {**PAGES, "drift": hostile_drift_page}


def has_run(document: str) -> bool:
    return re.search(r"<html[^>]*data-ran", document) is not None


def test_values_run_where_a_page_shows_them_unescaped(tmp_path: Path) -> None:
    for number, value in enumerate(RUNS_CODE[:3]):
        page = tmp_path / f"{number}.html"
        page.write_text(f'<!doctype html><html><body><script>1</script><p title="">{value}</p></body></html>')

        assert has_run(visit(page.as_uri(), tmp_path / "profile", wait_ms=1_000)), value


@pytest.mark.parametrize("name", ALL_PAGES)
def test_no_value_of_a_page_runs(name: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(ALL_PAGES[name](), encoding="utf-8")

    document = visit(page.as_uri(), tmp_path / "profile", wait_ms=6_000)

    assert not has_run(document)
    assert "Content-Security-Policy" in document


def test_page_of_evidently_is_drawn_under_its_policy(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(hostile_drift_page(), encoding="utf-8")

    document = visit(page.as_uri(), tmp_path / "profile", wait_ms=8_000)

    assert "Drifted Columns" in re.sub(r"<script>.*?</script>", "", document, flags=re.DOTALL)
