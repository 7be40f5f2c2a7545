"""Planted label errors and a planted bad annotator are found; what is sound is not."""

from __future__ import annotations

import numpy as np
import pytest

from ml_assets.labeling.annotators import list_disagreements, rate_annotators
from ml_assets.labeling.label_errors import find_label_errors
from ml_assets.labeling.votes import read_votes
from ml_assets.pipeline.labeling.label_errors import predict_ahead
from ml_assets_tests.comment_spam.state import spam_spec
from ml_assets_tests.labeling.noise import answers_with_a_bad_annotator, flipped_comments


def test_flipped_labels_are_found_among_predictions_in_time_order() -> None:
    rows, is_flipped = flipped_comments(0)
    spec = spam_spec()

    probabilities = predict_ahead(spec, rows, list(spec.features.feature_names()))
    found = find_label_errors(rows["label"].to_numpy(dtype=np.int64), probabilities)

    places = np.array([each.place for each in found])
    judged = np.isfinite(probabilities[:, 0])
    assert not judged[: len(rows) // 8].any()  # nothing was known before the first block
    assert judged[len(rows) // 8 + 100 :].all()
    assert is_flipped[places].mean() > 0.45  # a tenth is, by chance
    assert np.isin(np.flatnonzero(is_flipped & judged), places).mean() > 0.6
    assert [each.probability for each in found] == sorted(each.probability for each in found)
    assert "predicted ahead of it with probability 0.0" in found[0].reason


def test_prediction_of_a_row_knows_no_later_label() -> None:
    rows, _ = flipped_comments(1, n=400)
    spec, names = spam_spec(), list(spam_spec().features.feature_names())
    changed = rows.assign(label=np.where(np.arange(400) >= 200, 1 - rows["label"], rows["label"]))

    before, after = (predict_ahead(spec, each, names) for each in (rows, changed))

    np.testing.assert_array_equal(before[:200], after[:200])
    assert not np.allclose(before[300:], after[300:])


def test_too_few_labels_are_refused_with_their_number() -> None:
    probabilities = np.full((60, 2), 0.5)
    probabilities[:20] = np.nan

    with pytest.raises(
        ValueError, match="40 labels with a prediction ahead of them, 20 of the rarest class; 50 and 10"
    ):
        find_label_errors(np.arange(60) % 2, probabilities)


def test_bad_annotator_is_flagged_and_the_others_are_not() -> None:
    flagged = [
        [each.annotator for each in rate_annotators(answers_with_a_bad_annotator(seed, 0.6)) if each.is_flagged]
        for seed in range(20)
    ]

    assert sum("bad" in names for names in flagged) >= 19
    assert sum(len(set(names) - {"bad"}) for names in flagged) <= 2


def test_agreement_with_the_others_is_measured_without_the_own_answer() -> None:
    votes = read_votes(
        [[1, 1, 0], [0, 0, 1], [1, 1, 0], [0, 0, 1]] * 10 + [[None, None, 1]] * 5, [0, 1], ["a", "b", "c"]
    )

    first, second, third = rate_annotators(votes)

    assert (first.compared, third.compared, third.answers) == (40, 40, 45)
    assert first.agreement == pytest.approx(second.agreement)
    assert third.agreement is not None
    assert third.agreement < 0.05
    assert third.is_flagged
    assert not first.is_flagged


def test_disagreements_come_with_answers_and_the_least_sure_first() -> None:
    votes = read_votes(
        [["x", "x", "y"], ["y", "y", "y"], ["x", "y", None], ["x", "x", "x"]] * 8, ["x", "y"], ["a", "b", "c"]
    )

    found = list_disagreements(votes)

    assert {each.place % 4 for each in found} == {0, 2}
    assert len(found) == 16
    assert [each.probability for each in found] == sorted(each.probability for each in found)
    assert next(each for each in found if each.place == 0).answers == (("a", "x"), ("b", "x"), ("c", "y"))
