"""All cases of the corpus, and the page that lists them. Run as a module, it writes docs/input_corpus.md again."""

from __future__ import annotations

import os
from itertools import groupby
from pathlib import Path

from ml_assets.reports.markdown import markdown_table
from ml_assets_tests.ingestion.corpus.case import Case
from ml_assets_tests.ingestion.corpus.lines import BYTES, HEADERS, LINES
from ml_assets_tests.ingestion.corpus.names import NAMES
from ml_assets_tests.ingestion.corpus.values import KEYS, MOMENTS, NUMBERS

CASES: tuple[Case, ...] = (*LINES, *HEADERS, *BYTES, *NUMBERS, *MOMENTS, *KEYS)
PAGE = Path(__file__).parents[3] / "docs" / "input_corpus.md"
_HEAD = """# What becomes of files that go wrong

{count} small files, each with what has to become of it. This page is written from the cases in
`ml_assets_tests/ingestion/corpus/`, and `test_corpus.py` runs every one of them: it holds the page to the code. Beside
them, `test_mutated_files.py` changes sound files at random and holds three promises for each: no crash, landed =
accepted + quarantined, and no row is accepted with another value than its file shows.

A row that does not keep its contract is in `quarantine_<source>` with its reason codes; `reason` is the cause,
`reasons` are all of them. A refused file costs its source the drop and nothing else: every line of it is in quarantine,
and the ledger (`drops`), `status` and the incident name file and cause. What is odd about a file and stops nothing is
noted in its receipt (`received_<source>.warning`), in the ledger and in `status`.
"""


def corpus_page() -> str:
    """Give the page of the corpus as Markdown."""
    parts = [_HEAD.format(count=len(CASES) + len(NAMES))]
    for group, cases in groupby(CASES, key=lambda case: case.group):
        rows = [(case.about, _fate(case), case.noted) for case in cases]
        parts += [f"## {group}\n", markdown_table(["file", "what becomes of it", "noted"], rows), ""]
    rows = [(each.about, _shown(each.path), each.message or "read, or left alone") for each in NAMES]
    parts += ["## Names and folders\n", markdown_table(["entry", "name", "what is told"], rows)]
    return "\n".join(parts) + "\n"


def _fate(case: Case) -> str:
    rows = f"{case.accepted} accepted" if case.accepted or not case.quarantined else ""
    left = ", ".join(f"{count} quarantined: {reason}" for reason, count in case.quarantined.items())
    said = "; ".join(part for part in (rows, left) if part)
    return f"refused; {said}" if case.refused and case.quarantined else case.refused or said


def _shown(path: str) -> str:
    name = os.fsencode(path).decode("utf-8", "backslashreplace")
    return f"{name[:-1]} (a link)" if name.endswith("@") else name


if __name__ == "__main__":
    PAGE.write_text(corpus_page())
