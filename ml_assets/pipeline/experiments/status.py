"""What is known of each experiment that was started: facts for a page, a terminal and a script."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ml_assets.experiments.sample_ratio import SampleRatio, check_sample_ratio
from ml_assets.pipeline.experiments.record import CHALLENGER, CHAMPION_ARM, read_events, running_in
from ml_assets.spec.drop import LATEST, DropKey
from ml_assets.spec.tables.experiments import ARM_PREDICTIONS, ASSIGNMENTS, EXPERIMENT_REPORTS
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.rows import read_rows
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import duckdb

Row = Mapping[str, Any]
_MOST_DISAGREEMENTS = 50
_LEAST_OF_SLICE = 30  # examples below which a slice is not shown


@dataclass(frozen=True)
class ExperimentStatus:
    """The newest start of an experiment, and what came of it.

    Attributes
    ----------
    state
        `running`, `passed`, or the event that ended it: aborted, concluded, ended.
    first, last
        The first drop that it takes, and the newest that was run with it; None before.
    verdict, reason
        Of the newest drop.
    rows
        Its rows of `experiment_reports`, in order of drop.
    disagreements
        The examples that both models differ on most, greatest first.
    disagreement_by_slice
        Slice, mean absolute difference of the scores, and examples.
    """

    name: str
    state: str
    challenger: str
    champion: str
    design: Mapping[str, Any]
    first: DropKey
    last: DropKey | None
    events: Sequence[Row]
    verdict: str = "none yet"
    reason: str = "no drop was run since it started"
    rows: Sequence[Row] = ()
    sample_ratio: SampleRatio | None = None
    n_drops: int = 0
    n_scored: int = 0
    mean_disagreement: float = 0.0
    disagreements: Sequence[Row] = ()
    disagreement_by_slice: Sequence[tuple[str, float, int]] = ()


def experiment_statuses(spec: UseCaseSpec, state: UseCaseState) -> list[ExperimentStatus]:
    """Give what is known of each experiment that was started, by the order of its newest start."""
    lake, events = state.lake, read_events(state.lake)
    starts = {row["experiment"]: row for row in events if row["event"] == "started"}
    with state.connect() as connection:
        return [_status(connection, spec, lake, start, [row for row in events if row["sequence"] >= start["sequence"]
                        and row["experiment"] == name]) for name, start in starts.items()]  # fmt: skip


def _status(
    connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, lake: Lake, start: Row, events: Sequence[Row]
) -> ExperimentStatus:
    name, after = start["experiment"], start["after"]
    going_on = {each.name: each for each in running_in(events, LATEST)}
    state = events[-1]["event"] if name not in going_on else "passed" if going_on[name].passed else "running"
    plain = ExperimentStatus(name, state, start["challenger"], start["champion"], json.loads(start["design"]),
                             spec.calendar.next_drop(after), None, events)  # fmt: skip
    since = (spec.calendar.next_drop(after), LATEST)
    rows = read_rows(lake, EXPERIMENT_REPORTS.name, None, since, where=f"experiment = '{name}'")
    if not rows:
        return plain
    rows.sort(key=lambda row: row["batch_date"])
    newest = rows[-1]
    found = _scored(connection, spec, lake, name, since)
    return ExperimentStatus(
        **{
            **vars(plain),
            **found,
            "last": newest["batch_date"],
            "verdict": newest["verdict"],
            "reason": newest["reason"],
            "rows": rows,
            "n_drops": len({row["batch_date"] for row in rows}),
            "sample_ratio": _ratio(connection, lake, plain, since),
        }
    )


def _ratio(
    connection: duckdb.DuckDBPyConnection, lake: Lake, found: ExperimentStatus, since: tuple[DropKey, DropKey]
) -> SampleRatio:
    rows = lake.relation(connection, ASSIGNMENTS.name, since).filter(f"experiment = '{found.name}' AND arm <> ''")
    counts = dict(rows.aggregate("arm, count(DISTINCT unit)").fetchall())
    share = found.design["share"]
    return check_sample_ratio(counts, {CHALLENGER: share, CHAMPION_ARM: 1 - share})


def _scored(
    connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, lake: Lake, name: str, since: tuple[DropKey, DropKey]
) -> dict[str, Any]:
    """Measure how the scores of both models differ: on average, by slice, and where most."""
    lake.relation(connection, ARM_PREDICTIONS.name, since).create_view("_status_arms", replace=True)
    lake.relation(connection, ASSIGNMENTS.name, since).create_view("_status_assigned", replace=True)
    lake.relation(connection, "features", since).create_view("_status_features", replace=True)
    both = connection.sql(
        f"""
        SELECT a.batch_date, a.example_id, a.arm, one.score AS challenger, zero.score AS champion,
            abs(one.score - zero.score) AS difference
        FROM _status_assigned AS a
        JOIN _status_arms AS one ON (one.batch_date, one.experiment, one.example_id, one.arm)
            = (a.batch_date, a.experiment, a.example_id, '{CHALLENGER}')
        JOIN _status_arms AS zero ON (zero.batch_date, zero.experiment, zero.example_id, zero.arm)
            = (a.batch_date, a.experiment, a.example_id, '{CHAMPION_ARM}')
        WHERE a.experiment = '{name}'
        """
    )
    both.create_view("_status_both", replace=True)
    n, mean = connection.sql("SELECT count(*), coalesce(avg(difference), 0) FROM _status_both").fetchall()[0]
    most = connection.sql(
        f"SELECT * FROM _status_both ORDER BY difference DESC, batch_date, example_id LIMIT {_MOST_DISAGREEMENTS}"
    ).to_arrow_table()
    slices: list[tuple[str, float, int]] = []
    for column in spec.monitoring.slices:
        slices += connection.sql(
            f"SELECT '{column} = ' || coalesce(CAST(f.\"{column}\" AS VARCHAR), 'none'), avg(b.difference), count(*) "
            "FROM _status_both AS b JOIN _status_features AS f USING (batch_date, example_id) GROUP BY 1 "
            f"HAVING count(*) >= {_LEAST_OF_SLICE} ORDER BY 2 DESC, 1"
        ).fetchall()
    return {"n_scored": n, "mean_disagreement": mean, "disagreements": most.to_pylist(),
            "disagreement_by_slice": slices}  # fmt: skip
