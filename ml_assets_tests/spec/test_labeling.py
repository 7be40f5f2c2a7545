"""Mistakes in the declaration of labeling functions, each with its line and what is allowed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.tables import declared_lake_tables
from ml_assets_tests.comment_spam.declared import line_of, mistakes
from ml_assets_tests.comment_spam.state import FOLDER


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "comment_spam"))


def test_declared_functions_are_read_with_their_owner_and_definition() -> None:
    spec = load_use_case(FOLDER)

    assert spec.labeling is not None
    assert [each.name for each in spec.labeling.functions][:2] == ["asks_to_check", "asks_to_subscribe"]
    assert len({each.definition for each in spec.labeling.functions}) == 10
    newer = spec.labeling.functions[0].model_copy(update={"version": 2})
    assert newer.definition != spec.labeling.functions[0].definition
    assert {"weak_labels", "label_model", "training_labels"} < declared_lake_tables(spec).keys()
    assert declared_lake_tables(spec)["training_set"].types["label_weight"] == "DOUBLE"


def test_use_case_without_labeling_has_none_of_its_tables() -> None:
    spec = load_use_case(FOLDER).model_copy(update={"labeling": None})

    tables = declared_lake_tables(spec)

    assert not {"weak_labels", "label_model", "training_labels"} & tables.keys()
    assert "label_weight" not in tables["training_set"].types


def test_column_that_examples_do_not_have_is_named_with_the_nearest(folder: Path) -> None:
    (found,) = mistakes(folder, ("contains(text, 'http') THEN 1 END", "contains(txt, 'http') THEN 1 END"))

    assert found.startswith(f"defs.yaml:{line_of('name: has_link')} labeling.functions[2].sql: reads column 'txt'")
    assert found.endswith("nearest: text")


def test_value_that_cannot_be_a_class_is_refused(folder: Path) -> None:
    (found,) = mistakes(folder, ("contains(text, 'http') THEN 1 END", "contains(text, 'http') THEN 'spam' END"))

    assert found == (
        f"defs.yaml:{line_of('name: has_link')} labeling.functions[2].sql: gives VARCHAR; allowed: a class, or null to "
        "abstain"
    )


@pytest.mark.parametrize("sql", ["(SELECT 1)", "CASE WHEN now() > posted_at THEN 1 END", "count(*)", "1; DROP TABLE x"])
def test_function_that_is_more_than_an_expression_of_one_row_is_refused(folder: Path, sql: str) -> None:
    found = mistakes(folder, ("\"CASE WHEN contains(text, 'http') THEN 1 END\"", f'"{sql}"'))

    assert len(found) == 1
    assert " labeling.functions[2].sql: " in found[0]


def test_annotators_name_a_source_and_columns_of_it(folder: Path) -> None:
    found = mistakes(
        folder, ("annotators: {from: opinions, example: comment_id, annotator: moderator,",
                 "annotators: {from: opinions, example: comment_id, annotator: moderater,")
    )  # fmt: skip
    line = line_of("annotators: {from")
    assert found == [
        f"defs.yaml:{line} labeling.annotators.annotator: found 'moderater'; allowed: comment_id, moderator, "
        "guideline, checked_at, is_spam; nearest: moderator"
    ]


def test_annotators_of_no_source_are_refused_with_the_nearest(folder: Path) -> None:
    (found,) = mistakes(folder, ("annotators: {from: opinions,", "annotators: {from: opinion,"))

    assert found.endswith(
        "labeling.annotators.from: found 'opinion'; allowed: comments, answers, opinions, review_answers; "
        "nearest: opinions"
    )


def test_every_other_mistake_is_found_at_once(folder: Path) -> None:
    found = mistakes(
        folder,
        ("    train: true\n", "    train: true\n    classes: [0, 1, 2, 2]\n    min_gold: 1\n    trian: true\n"),
        ("name: asks_to_subscribe", "name: asks_to_check"),
        ("name: says_please", "name: example_id"),
        ("    owner: team:moderation\n", "    owner: moderation\n"),
    )

    text = "\n".join(found)
    assert "labeling.classes[3]: found 2 again; allowed: a class once" in text
    assert "labeling.train: found train with classes 0, 1, 2, 2; allowed: with 0 and 1, which models learn" in text
    assert "labeling.functions[1].name: found 'asks_to_check' again; allowed: a name once" in text
    assert "labeling.functions[3].name: found 'example_id'; allowed: names other than batch_date" in text
    assert "labeling.owner: found 'moderation'; allowed: team:NAME" in text
    assert "labeling.min_gold: " in text
    assert "labeling.trian: " in text
    assert "nearest: train" in text
