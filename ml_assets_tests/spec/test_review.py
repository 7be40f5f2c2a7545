"""Mistakes in the declaration of a review, each with its line and what is allowed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from ml_assets.spec.asset_versions import asset_versions
from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.review import ANSWER_TYPES, answers_source
from ml_assets.spec.tables import declared_lake_tables
from ml_assets_tests.comment_spam.declared import line_of, mistakes
from ml_assets_tests.comment_spam.state import FOLDER


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "comment_spam"))


SHARES = "shares: {uncertainty: 0.3, disagreement: 0.2, diversity: 0.1, label_errors: 0.1, random: 0.3}"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("answers: review_answers", "answers: review_answer",
         "review.answers: found 'review_answer'; allowed: comments, answers, opinions, review_answers; nearest: "
         "review_answers. `ml-assets review UC --declare` prints one"),
        ("answers: review_answers", "answers: opinions",
         "review.answers: found opinions without the column example_id; allowed: with example_id of type string"),
        (SHARES, "shares: {uncertainty: 0.5, random: 0.3}",
         "review.shares: found shares that add up to 0.8; allowed: that add up to 1"),
        (SHARES, "shares: {uncertainty: 1.0}",
         "review.shares: found no random share; allowed: more than 0, or nothing measured on the answers is unbiased"),
        (SHARES, "shares: {uncertanty: 0.7, random: 0.3}",
         "review.shares.uncertanty: found 'uncertanty'; allowed: uncertainty, disagreement, diversity, abstained, "
         "label_errors, random; nearest: uncertainty"),
        (SHARES, "shares: {abstained: 0.5, random: 0.5}",
         "review.shares.abstained: found a share of examples that the model abstains on, and no model.abstain; "
         "allowed: with model.abstain"),
        ("capacity: 10\n    reviewers", "capacity: 18\n    reviewers",
         "review.capacity: found 18, which asks for 25 answers a drop; allowed: at most 20 answers, the sum of "
         "`reviewers`"),
        ("reviewers: {ana: 8, ben: 8, cem: 4}", "reviewers: {ana: 16, cem: 4}",
         "review.two_reviewers: found 0.4 with 1 reviewers who do not decide; allowed: with 2 or more"),
        ("reviewers: {ana: 8, ben: 8, cem: 4}", "reviewers: {ana: 8, ben: 8, cem: 0}",
         "review.reviewers.cem: found 0; allowed: 1 or more answers a drop"),
        ("    examples_of: 3d\n", "    columns: [auther]\n",
         "review.columns[0]: found 'auther'; allowed: example_id, author, posted_at, text"),
        ("    examples_of: 3d\n", "    exmples_of: 3d\n", "review.exmples_of: found 'exmples_of'; allowed: "),
    ],
)  # fmt: skip
def test_mistake_is_named_with_its_line_and_what_is_allowed(folder: Path, old: str, new: str, said: str) -> None:
    found = mistakes(folder, (old, new))

    named = [each for each in found if said in each]
    assert named, found
    assert named[0].startswith("defs.yaml:")
    line = int(named[0].split(":")[1].split(" ")[0])
    assert line_of("  review:") <= line <= line_of("  features:")


def test_source_of_answers_that_is_printed_is_one_that_is_allowed() -> None:
    (source,) = yaml.safe_load(answers_source("answers_of_people"))

    assert source["name"] == "answers_of_people"
    assert {name: each["type"] for name, each in source["columns"].items()} == dict(ANSWER_TYPES)


def test_use_case_without_a_review_has_the_tables_and_versions_it_had() -> None:
    spec = load_use_case(FOLDER)
    without = spec.model_copy(update={"review": None})
    tables = declared_lake_tables(without)

    assert not {"review_queue", "label_errors"} & tables.keys()
    assert not {"origin", "given_by", "is_chosen"} & tables["labels"].types.keys()
    assert "label_given_by" not in tables["training_set"].types
    assert {"labels/review_queue", "labels/label_errors"} == asset_versions(spec).keys() - asset_versions(
        without
    ).keys()
    no_suspects = spec.review.model_copy(update={"shares": {"random": 1.0}}) if spec.review else None
    assert "label_errors" not in declared_lake_tables(spec.model_copy(update={"review": no_suspects}))
