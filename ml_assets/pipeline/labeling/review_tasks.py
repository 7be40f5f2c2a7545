"""What is on the list of a person: open examples of the review queue with their values and where these came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ml_assets.pipeline.features.closed_drops import closed_drops
from ml_assets.pipeline.labeling.review_answers import read_answers, review_of
from ml_assets.pipeline.labeling.review_queue import TABLE
from ml_assets.spec.column_lineage import EXAMPLES, Made, column_lineage
from ml_assets.spec.drop import DropKey
from ml_assets.spec.features import EXAMPLE_COLUMNS
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import MissingTableError
from ml_assets.stores.rows import read_rows
from ml_assets.stores.use_case_state import UseCaseState

_PLACES = ("batch_date", "_file", "_line")


@dataclass(frozen=True)
class ValueOrigin:
    """A landed row that values of an example came from."""

    source: str
    drop: str
    file: str
    line: int


@dataclass(frozen=True)
class ReviewTask:
    """An example that a person is asked about.

    Attributes
    ----------
    values
        What is shown: columns of the example, each with its value as text (None: null) and the columns it is made of.
    origins
        The landed rows behind it, where the contract's key leads to them.
    landed
        The newest answer of this person that a batch has taken; None where there is none.
    """

    example_id: str
    example_drop: DropKey
    queued_in: DropKey
    reviewer: str
    role: str
    strategy: str
    reason: str
    propensity: float
    score: float | None
    values: Sequence[tuple[str, str | None, str]]
    origins: Sequence[ValueOrigin]
    landed: tuple[int | None] | None

    def answer(self, label: int | None) -> dict[str, object]:
        """Give the row that an answer lands as, but for its moment."""
        return {
            "example_id": self.example_id, "reviewer": self.reviewer, "label": label, "role": self.role,
            "strategy": self.strategy, "propensity": self.propensity, "queued_in": self.queued_in,
        }  # fmt: skip


class ReviewDesk:
    """Reads the lists of people."""

    def __init__(self, spec: UseCaseSpec, state: UseCaseState) -> None:
        self._spec, self._state, self._review = spec, state, review_of(spec)

    @cached_property
    def _lineage(self) -> Made:
        return column_lineage(self._spec)[EXAMPLES]

    def tasks(self, reviewer: str = "", *, is_open: bool = True) -> list[ReviewTask]:
        """Give the open tasks of a person, or of everybody, in order of person, drop and place; or all there ever were.

        A task is open for `review.open_for`. What was answered stays on the list for as long, to be corrected.

        Raises
        ------
        LookupError
            On a person that is not declared.
        MissingTableError
            Where no drop has a queue yet.
        """
        known = [*self._review.reviewers, *([self._review.decides] if self._review.decides else [])]
        if reviewer and reviewer not in known:
            allowed = ", ".join(dict.fromkeys(known))
            raise LookupError(f"{self._spec.name}: found the reviewer {reviewer!r}; allowed: {allowed}")
        state = self._state.pinned()
        if not state.lake.has(TABLE):
            raise MissingTableError(
                f"{self._spec.name} has no review queue yet; `ml-assets batch {self._spec.name}` makes one of each drop"
            )
        newest = max(closed_drops(state))
        oldest = self._spec.calendar.earlier(newest, self._review.open_for)
        rows = [
            row
            for row in read_rows(state.lake, TABLE, None)
            if reviewer in ("", row["reviewer"]) and (not is_open or row["batch_date"] > oldest)
        ]
        latest = {(row["example_id"], row["reviewer"]): row
                  for row in sorted(rows, key=lambda row: row["batch_date"])}  # fmt: skip
        landed = {(each.example_id, each.reviewer): each for each in read_answers(self._spec, state, newest)}
        rows = sorted(latest.values(), key=lambda row: (row["reviewer"], row["batch_date"], row["place"]))
        examples, origins = self._examples(state, rows), self._origins(state, rows)
        found = []
        for row in rows:
            key = row["example_id"]
            before = landed.get((key, row["reviewer"]))
            found.append(
                ReviewTask(
                    key, row["example_drop"], row["batch_date"], row["reviewer"], row["role"], row["strategy"],
                    row["reason"], row["propensity"], row["score"], self._values(examples.get(key, {})),
                    origins.get(key, ()), None if before is None else (before.label,),
                )
            )  # fmt: skip
        return found

    def _examples(self, state: UseCaseState, rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        if not rows:
            return {}
        drops = [row["example_drop"] for row in rows]
        with state.connect() as connection:
            state.lake.relation(connection, "examples", (min(drops), max(drops))).create_view("_shown")
            wanted = [row["example_id"] for row in rows]
            connection.execute("CREATE TEMP TABLE _wanted AS SELECT unnest(?::VARCHAR[]) AS example_id", [wanted])
            found = connection.sql("SELECT * FROM _shown SEMI JOIN _wanted USING (example_id)").to_arrow_table()
        return {row["example_id"]: row for row in found.to_pylist()}

    def _values(self, example: Mapping[str, Any]) -> list[tuple[str, str | None, str]]:
        names = self._review.columns or [
            name for name in example if name not in EXAMPLE_COLUMNS and not name.startswith("_")
        ]
        return [(name, _shown(example.get(name)), self._made_of(name)) for name in names]

    def _made_of(self, name: str) -> str:
        return ", ".join(dict.fromkeys(f"{each.table}.{each.column}" for each in self._lineage.get(name, ())))

    def _origins(self, state: UseCaseState, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[ValueOrigin]]:
        """Find the landed rows of examples, in sources whose key columns are columns of the example as they are."""
        found: dict[str, list[ValueOrigin]] = {}
        if not rows:
            return found
        drops = [row["example_drop"] for row in rows]
        for name in self._spec.examples.sources:
            keys = self._key_columns(name)
            if keys is None or not state.lake.has(f"validated_{name}"):
                continue
            joined = " AND ".join(f'e."{own}" = v."{key}"' for key, own in keys.items())
            with state.connect() as connection:
                state.lake.relation(connection, "examples", (min(drops), max(drops))).create_view("_e")
                state.lake.relation(connection, f"validated_{name}", (min(drops), max(drops))).create_view("_v")
                listed = ", ".join(f'v."{each}"' for each in _PLACES)
                cast = connection.execute(
                    f"SELECT e.example_id, {listed} FROM _e AS e JOIN _v AS v ON {joined} AND e.batch_date = "
                    "v.batch_date WHERE list_contains(?, e.example_id) ORDER BY ALL",
                    [[row["example_id"] for row in rows]],
                ).fetchall()
            for example_id, drop, file, line in cast:
                found.setdefault(example_id, []).append(ValueOrigin(name, str(drop), file, line))
        return found

    def _key_columns(self, source: str) -> dict[str, str] | None:
        """Give for each key column of a source the column of the example that holds it; None where one is not held."""
        held = {
            (each[0].table, each[0].column): name for name, each in self._lineage.items() if len(each) == 1
        }  # fmt: skip
        keys = {key: held.get((source, key)) for key in self._spec.source(source).key}
        return None if None in keys.values() else {key: str(own) for key, own in keys.items()}


def _shown(value: object) -> str | None:
    return None if value is None else str(value)
