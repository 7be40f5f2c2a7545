"""Small files that go wrong, each with what has to become of it; docs/input_corpus.md is made of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from ml_assets_tests.ingestion.conftest import Ingest
from ml_assets_tests.ingestion.corpus.case import Case
from ml_assets_tests.ingestion.corpus.page import CASES, corpus_page

PAGE = Path(__file__).parents[2] / "docs" / "input_corpus.md"


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.group}: {case.about}")
def test_file_of_the_corpus_has_the_fate_that_its_page_names(ingest: Ingest, case: Case) -> None:
    accepted = ingest.accept(case.contract(), case.content)
    _, (receipt,) = ingest.read(case.contract(), case.content)

    facts = accepted.validated.to_arrow_table().to_pylist()
    reasons = Counter(row["reason"] for row in accepted.quarantine.to_arrow_table().to_pylist())

    assert (receipt.refusal, receipt.warning) == (case.refused, case.noted)
    assert (len(facts), dict(reasons)) == (case.accepted, case.quarantined)
    assert receipt.rows == len(facts) + reasons.total()
    if case.values is not None:
        name, values = case.values
        assert tuple(row[name] for row in facts) == values


def test_page_of_the_corpus_is_up_to_date() -> None:
    assert len(CASES) >= 90
    assert PAGE.read_text() == corpus_page()
