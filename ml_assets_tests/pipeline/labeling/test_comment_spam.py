"""Votes, label model, training labels and training sets of the use case of generated comments."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ml_assets.pipeline.audit.leakage import AuditRequest, audit_leakage
from ml_assets.pipeline.audit.training_set_audit import check_known_in_time
from ml_assets.pipeline.labeling.label_model import store_label_model
from ml_assets.pipeline.labeling.training_labels import store_training_labels
from ml_assets.pipeline.labeling.weak_labels import backfill_weak_labels, stale_vote_drops, store_weak_labels
from ml_assets.pipeline.training.training_set import store_training_set
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.table_files import content_hash
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.training.training_set import DrawPlan
from ml_assets_tests.comment_spam.generate import draw_comments
from ml_assets_tests.comment_spam.state import LAST, retrain_steps, run_steps_until, run_through_graph, spam_spec

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("comment_spam"),
    # great_expectations 1.24 imports sre_constants and sre_parse, which Python 3.11 calls deprecated
    pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning"),
]
AS_OF = date(2023, 4, 14)
LABELING = ("labels/label_model", "labels/training_labels", "training/training_set")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run every drop once, as steps."""
    root = tmp_path_factory.mktemp("spam")
    run_steps_until(root)
    return root


@pytest.fixture
def state(ran: Path, tmp_path: Path) -> UseCaseState:
    """Give a copy that a test may change."""
    return UseCaseState(spam_spec().name, StatePaths(Path(shutil.copytree(ran, tmp_path / "state"))))


def rows_of(state: UseCaseState, table: str) -> pd.DataFrame:
    with state.connect() as connection:
        return state.lake.relation(connection, table).df()


def hash_of(state: UseCaseState, table: str) -> str:
    with state.connect() as connection:
        return content_hash(state.lake.relation(connection, table))


def truth() -> dict[str, int]:
    return {each.comment_id: int(each.is_spam) for each in draw_comments()}


def test_every_function_votes_once_on_every_example(state: UseCaseState) -> None:
    votes, examples = rows_of(state, "weak_labels"), rows_of(state, "examples")

    assert len(votes) == 10 * len(examples)
    assert not votes.duplicated(["example_id", "function"]).any()
    by_hand = examples.set_index("example_id")["text"].str.contains("subscribe")
    said = votes[votes["function"] == "asks_to_subscribe"].set_index("example_id")["label"]
    assert (said.notna() == by_hand.reindex(said.index)).all()
    assert set(said.dropna()) == {1}
    assert (votes["known_at"].dt.date == pd.to_datetime(votes["batch_date"]).dt.date).all()


def test_training_set_holds_weak_labels_with_weight_and_reason_and_a_holdout_of_gold(state: UseCaseState) -> None:
    passed = retrain_steps(state, AS_OF)

    labels, drawn, model = (rows_of(state, name) for name in ("training_labels", "training_set", "label_model"))
    assert passed["training_set:known_in_time"]
    assert passed["training_set:leakage"]
    assert set(drawn.loc[drawn["split"] == "holdout", "label_origin"]) == {"gold"}
    train = drawn[drawn["split"] == "train"]
    weak = train[train["label_origin"] == "weak"]
    assert len(weak) > 20 * (train["label_origin"] == "gold").sum()
    assert weak["label_weight"].between(0, 1).all()
    assert weak["label_weight"].nunique() > 10
    assert weak["label_weight"].sum() == pytest.approx((train["label_origin"] == "gold").sum())
    assert weak["label_reason"].str.contains(": for [01] ").all()
    assert (drawn.loc[drawn["label_origin"] == "gold", "label_weight"] == 1).all()
    true = labels["example_id"].map(truth())
    is_right = labels["label"] == true
    assert is_right[labels["origin"] == "gold"].all()
    sure = labels["weight"] > labels.loc[labels["origin"] == "weak", "weight"].median()
    is_weak = labels["origin"] == "weak"
    assert is_right[is_weak & sure].mean() > is_right[is_weak & ~sure].mean() + 0.1  # the weight says how sure
    assert model["reason"].iloc[0].startswith(f"on {model['held_out'].iloc[0]} held-out gold labels ")
    assert model.loc[model["is_chosen"], "model"].tolist() == model["chosen"].unique().tolist()


def test_weak_labels_make_a_better_model_than_the_gold_labels_alone(state: UseCaseState) -> None:
    from sklearn.metrics import roc_auc_score

    from ml_assets.pipeline.training.candidate import fit_candidate

    spec, drop = spam_spec(), AS_OF
    alone = spec.model_copy(update={"labeling": spec.labeling.model_copy(update={"train": False})})  # pyright: ignore[reportOptionalMemberAccess]
    features = rows_of(state, "features")
    later = features[pd.to_datetime(features["batch_date"]).dt.date > drop]
    quality = {}
    for name, each in {"with": spec, "without": alone}.items():
        with state.writing("a test"):
            store_label_model(each, state, str(drop))
            store_training_labels(each, state)
            store_training_set(each, state, str(drop))
            fitted = fit_candidate(each, state, candidate="logistic_regression", tell=lambda _: None)
        scores = fitted.fitted_candidates.chosen.model.predict(later[list(spec.features.feature_names())])
        quality[name] = roc_auc_score(later["example_id"].map(truth()), scores)

    assert quality["with"] > quality["without"] + 0.005, quality


def test_nothing_of_a_drop_after_as_of_changes_labels_or_training_set(state: UseCaseState) -> None:
    retrain_steps(state, AS_OF, LABELING)
    names = ("label_model", "label_model_parameters", "labeling_functions", "training_labels", "training_set")
    before = {name: hash_of(state, name) for name in names}
    later = spam_spec().calendar.drops_between(AS_OF + timedelta(days=1), LAST)

    with state.writing("poison"):
        for table in ("weak_labels", "labels", "examples", "features"):
            with state.connect() as connection:
                rows = state.lake.relation(connection, table, (later[0], later[-1])).to_arrow_table()
            state.lake.replace_drops(table, poisoned(table, rows), later)
    retrain_steps(state, AS_OF, LABELING)

    assert {name: hash_of(state, name) for name in names} == before


def poisoned(table: str, rows: pa.Table) -> pa.Table:
    """Turn every label of a table around; labels of the past are told again, otherwise, by rows of later drops."""
    if table not in ("weak_labels", "labels"):
        place = "text" if table == "examples" else "characters"
        return rows.drop_columns([place]).append_column(place, rows[place].take(list(range(len(rows)))[::-1]))
    turned = pc.subtract(1, rows["label"]).cast(rows.schema.field("label").type)  # pyright: ignore[reportAttributeAccessIssue]
    changed = rows.set_column(rows.schema.get_field_index("label"), rows.schema.field("label"), turned)
    if table == "weak_labels":
        return changed
    earlier = changed.set_column(0, changed.schema.field(0), changed[0])
    names = [f"c{number:05}" for number in range(len(rows))]
    place = earlier.schema.get_field_index("example_id")
    return pa.concat_tables([changed, earlier.set_column(place, earlier.schema.field(place), pa.array(names))])


def test_weak_label_without_a_vote_known_in_time_is_found(state: UseCaseState) -> None:
    retrain_steps(state, AS_OF, LABELING)
    plan, version = DrawPlan.from_json(state.lake.metadata("training_set")["plan"]), state.lake.version("training_set")
    assert check_known_in_time(state, plan, version or 0).passed
    drawn = rows_of(state, "training_set")
    planted = drawn[drawn["label_origin"] == "weak"].head(3).assign(example_id=["x1", "x2", "x3"])

    with state.writing("plant"):
        again = state.lake.replace(
            "training_set", pa.Table.from_pandas(pd.concat([drawn, planted]), preserve_index=False)
        )

    found = check_known_in_time(state, plan, again)
    assert not found.passed
    assert found.measured["label not known by as_of"] == 3


def test_weak_label_in_place_of_a_gold_one_that_was_known_is_found(state: UseCaseState) -> None:
    retrain_steps(state, AS_OF, LABELING)
    drawn, record = rows_of(state, "training_set"), state.lake.metadata("training_set")
    request = AuditRequest(5, 1, (AS_OF - timedelta(days=5), AS_OF), lands_everywhere=False)
    assert not audit_leakage(spam_spec(), state, request).leaks
    gold = drawn.index[(drawn["label_origin"] == "gold") & (drawn["split"] == "train")][0]
    drawn.loc[gold, "label_origin"] = "weak"

    with state.writing("plant"):
        rows = pa.Table.from_pandas(drawn, preserve_index=False)
        state.lake.replace("training_set", rows, {"plan": record["plan"], "inputs": record["inputs"]})

    leaks = audit_leakage(spam_spec(), state, request).leaks
    assert [(leak.table, leak.column) for leak in leaks] == [("training_set", "label")]


def test_training_labels_of_another_drop_are_refused(state: UseCaseState) -> None:
    retrain_steps(state, AS_OF, LABELING)

    with pytest.raises(ValueError, match=f"as of 2023-04-01 needs training labels .* they are as of {AS_OF}"):
        store_training_set(spam_spec(), state, "2023-04-01")


def test_votes_of_a_changed_function_are_left_out_until_a_backfill(state: UseCaseState) -> None:
    spec = changed_spec("CASE WHEN contains(text, 'http') OR contains(text, 'visit') THEN 1 END")

    before = stale_vote_drops(spec, state)
    with state.writing("a test"):
        left_out = store_label_model(spec, state, str(AS_OF))
        renewed = backfill_weak_labels(spec, state)
        after = store_label_model(spec, state, str(AS_OF))

    drops = set(spec.calendar.drops_between(spec.calendar.start, LAST))
    assert before == {"has_link": drops}
    assert not left_out.checks[0].passed
    assert "has_link on 103 drops" in left_out.checks[0].description
    assert next(each for each in left_out.functions if each.voter == "has_link").coverage == 0
    assert set(renewed) == drops
    assert stale_vote_drops(spec, state) == {}
    assert after.checks[0].passed
    assert next(each for each in after.functions if each.voter == "has_link").coverage > 0.1


def test_value_that_is_no_class_is_an_abstention_and_named(state: UseCaseState) -> None:
    spec = changed_spec("CASE WHEN contains(text, 'http') THEN 7 END")

    with state.writing("a test"):
        stored = store_weak_labels(spec, state, [AS_OF])

    votes = rows_of(state, "weak_labels")
    refused = votes[votes["refused"].notna()]
    assert not stored.checks[0].passed
    assert (
        stored.checks[0].description
        == f"counted as abstentions: has_link gave 7 ({len(refused)}); allowed: 0, 1, or null"
    )
    assert set(refused["refused"]) == {"7"}
    assert refused["label"].isna().all()


def changed_spec(sql: str) -> UseCaseSpec:
    """Give the use case with another text of the function has_link."""
    spec = spam_spec()
    assert spec.labeling is not None
    functions = tuple(
        each.model_copy(update={"sql": sql}) if each.name == "has_link" else each for each in spec.labeling.functions
    )
    return spec.model_copy(update={"labeling": spec.labeling.model_copy(update={"functions": functions})})


@pytest.mark.slow
def test_graph_leaves_the_tables_of_the_steps(ran: Path, tmp_path: Path) -> None:
    by_graph, passed = run_through_graph(tmp_path / "graph")
    by_steps = UseCaseState(spam_spec().name, StatePaths(Path(shutil.copytree(ran, tmp_path / "steps"))))
    retrain_steps(by_steps, LAST)

    failed = {name for name, is_passed in passed.items() if not is_passed}
    assert not failed & {"weak_labels:known_classes", "label_model:votes_as_declared", "training_set:known_in_time",
                         "training_set:leakage"}  # fmt: skip
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name in ("weak_labels", "label_model", "label_model_parameters", "labeling_functions", "training_labels",
                     "training_set", "labels", "review_queue", "label_errors"):  # fmt: skip
            found = [content_hash(each.lake.relation(connection, name)) for each in (by_graph, by_steps)]
            assert found[0] == found[1], name
