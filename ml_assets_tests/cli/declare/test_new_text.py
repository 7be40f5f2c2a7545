"""Whatever stands in a file that is given to `new`, its texts are YAML that reads back and comments of one line."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from ml_assets.cli.declare.new_facts import Decided, Draft, gather_draft
from ml_assets.cli.declare.new_text import plain, quoted, scalar, write_texts
from ml_assets.ingestion.profiling import ColumnProfile, FileProfile
from ml_assets.ingestion.proposal import Parts
from ml_assets_tests.conftest import drawn

HARD = ("it's", 'say "x"', "a: b", "a #b", "{{ name }}", "{% raw %}", "{#", "two\nlines", "no", "~", "<<", "=", "\x85",
        "%", "- a", "", " ", "\ud800", "\u2028", "\u202e", "*x", "&x", "!x", "|", "0x1f", "1_000",
        "12:30:00")  # fmt: skip
texts = st.text(max_size=20) | st.sampled_from(HARD)


def draft_of(name: str, columns: list[str], values: list[str]) -> Draft:
    """Give a draft of one source in which nothing is an identifier."""
    categories = tuple((each, 50) for each in values)
    profiles = [ColumnProfile(column, "string", 200, 0, len(values), categories=categories) for column in columns]
    moment = ColumnProfile("at", "timestamp", 200, 0, 200, lowest=date(2024, 1, 1), highest=date(2024, 3, 1))
    profile = FileProfile(name, 200, 0, (*profiles, moment), tuple(values), key=tuple(columns[:1]), key_reason="of all")
    rows = [dict.fromkeys(columns, value) for value in values]
    return Draft("odd", [profile], Parts(profile, profile, {}, "only\none"), Decided(), date(2024, 3, 2), {name: rows})


@drawn(20)
@given(
    texts, st.lists(texts, min_size=1, max_size=4, unique=True), st.lists(texts, min_size=1, max_size=4, unique=True)
)
@example("{{ name }}", list(HARD[:6]), list(HARD[6:]))
def test_names_and_values_of_any_kind_read_back_from_the_yaml(name: str, columns: list[str], values: list[str]) -> None:
    columns = [column for column in columns if column != "at"] or ["a"]

    written = write_texts(gather_draft(draft_of(name, columns, values)))

    declared = yaml.safe_load(written["defs.yaml"])["attributes"]
    (source,) = declared["sources"]
    assert (source["name"], source["key"], list(source["columns"])) == (name, columns[:1], [*columns, "at"])
    assert source.get("null_values", values) == values
    sets = [each["arguments"] for each in source["expectations"] if "value_set" in each["arguments"]]
    assert sets == [{"column": column, "value_set": sorted(values)} for column in columns]
    named = [each["name"] for each in declared["features"]["expressions"] if each["name"] != "day_of_week"]
    assert named == (columns[1:] or ["decide"])
    for table in ("examples", "labels"):
        (test,) = yaml.safe_load(written[f"sql_tests/{table}.yaml"])["tests"]
        assert test["given"] == {name: [dict.fromkeys(columns, value) for value in values]}
        assert [row["example_id"] for row in test["expect"]] == values


@drawn(20)
@given(st.lists(texts, min_size=1, max_size=4, unique=True))
def test_comment_about_a_column_never_breaks_its_line(values: list[str]) -> None:
    bare = write_texts(gather_draft(draft_of("things", ["a", "b"], ["x"])))
    odd = write_texts(gather_draft(draft_of("things", ["a", "b"], values)))

    assert len(odd["sql/examples.sql"].split("\n")) == len(bare["sql/examples.sql"].split("\n"))
    assert all(line.isprintable() for text in odd.values() for line in text.split("\n"))


@given(texts)
def test_quoting_for_yaml_gives_the_text_back(text: str) -> None:
    assert yaml.safe_load(quoted(text)) == text
    assert yaml.safe_load(f"[{plain(text)}, {{{plain(text)}: 1}}]") == [text, {text: 1}]
    assert yaml.safe_load(f"key: {scalar(text)} # why") == {"key": text}


def test_template_that_reads_an_unknown_fact_raises() -> None:
    from jinja2 import UndefinedError

    facts = gather_draft(draft_of("things", ["a"], ["x"]))

    with pytest.raises((UndefinedError, AttributeError)):
        write_texts(replace(facts, calendar=None))  # pyright: ignore[reportArgumentType]
