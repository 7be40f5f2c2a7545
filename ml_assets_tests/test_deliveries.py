"""Files delivered through the real graph: as declared, from drops with a champion, and the same when run again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from ml_assets.spec.use_case import UseCaseSpec
from ml_assets_tests.rehearsal import Rehearsal, day, go_on_from, rehearse, small_spec

pytestmark = pytest.mark.xdist_group("deliveries")

AS_OF, LAST = 9, 11


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    """Run eleven real drops as the use case ships, with a champion that serves the last two."""
    found = rehearse(tmp_path_factory.mktemp("deliveries"), last=LAST)
    found.ingest(1, LAST)
    found.retrain(AS_OF, candidate="logistic_regression", gate="disabled")
    found.score(1, LAST)
    return found


def delivering(served: Rehearsal, root: Path, *deliveries: dict[str, str]) -> Rehearsal:
    """Go on with other deliveries, from a copy without what was delivered."""
    spec: UseCaseSpec = small_spec()
    declared = {**spec.model_dump(by_alias=True), "deliveries": list(deliveries)}
    state = replace(go_on_from(served, root), spec=UseCaseSpec.model_validate(declared))
    for file in list(state.paths.delivered.rglob("*.csv")):
        file.unlink()
    return state


def files_of(state: Rehearsal) -> dict[str, bytes]:
    folder = state.paths.delivered / state.spec.name
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_worklist_alone_is_delivered_where_nothing_is_declared(served: Rehearsal) -> None:
    assert sorted(files_of(served)) == [f"worklist/{day(number)}.csv" for number in (10, 11)]


def test_declared_tables_are_delivered_in_their_formats_and_folders_and_again_the_same(
    served: Rehearsal, tmp_path: Path
) -> None:
    parquet = {"table": "predictions", "format": "parquet", "folder": "desk/scores"}
    state = delivering(served, tmp_path, parquet, {"table": "worklist", "folder": "desk"})

    state.score(10, LAST)
    first = files_of(state)
    state.score(1, LAST)

    assert sorted(first) == [
        *(f"desk/{day(number)}.csv" for number in (10, 11)),
        *(f"desk/scores/{day(number)}.parquet" for number in (10, 11)),
    ]
    assert files_of(state) == first
    query = f"SELECT * FROM t WHERE batch_date = '{day(10)}' ORDER BY example_id"
    scores = pd.read_parquet(state.paths.delivered / state.spec.name / "desk" / "scores" / f"{day(10)}.parquet")
    stored = pd.DataFrame(state.rows("predictions", query)).drop(columns="_features_version")
    pd.testing.assert_frame_equal(
        scores.sort_values("example_id", ignore_index=True), stored, check_dtype=False, check_like=True
    )
    assert first[f"desk/{day(10)}.csv"] == files_of(served)[f"worklist/{day(10)}.csv"]


def test_nothing_is_delivered_where_none_is_declared(served: Rehearsal, tmp_path: Path) -> None:
    state = delivering(served, tmp_path)

    state.score(10, LAST)

    assert files_of(state) == {}
    assert state.content("worklist") == served.content("worklist")
