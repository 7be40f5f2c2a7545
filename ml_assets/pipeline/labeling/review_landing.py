"""Answers on their way: the landed file of the drop that is open, which the next batch takes like any other file.

An answer is a row of `<source>.csv` in the folder of the first drop whose batch is still to come. Until that batch it
can be changed and taken back. After it, the row stays, and another answer about the same example is a correction.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ml_assets.pipeline.features.closed_drops import closed_drops
from ml_assets.pipeline.labeling.review_answers import review_of
from ml_assets.spec.drop import DropKey
from ml_assets.spec.review import ANSWER_KEY
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.landing import write_whole
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.stores.write_lock import write_lock

_TICK = timedelta(milliseconds=1)
AnswerRow = dict[str, str]


class ReviewEndedError(LookupError):
    """Answers that can land in no drop: the calendar has ended, or no drop was run yet."""


class OtherAnswersError(ValueError):
    """A landed file of answers that is not as this command writes it."""


@dataclass(frozen=True)
class AnswerLanding:
    """Writes answers into the file of the drop that is open.

    Attributes
    ----------
    begun
        The wall's moment at which this began. Where history is the present (`clock: data`), the moment of an answer is
        the batch of the newest drop, and as much later as the wall has moved on since.
    """

    spec: UseCaseSpec
    state: UseCaseState
    begun: datetime
    source: str = field(init=False)

    def __post_init__(self) -> None:
        """Find the source of answers; raises NoReviewError where no review is declared."""
        object.__setattr__(self, "source", review_of(self.spec).answers)

    def drop_at(self, now: datetime) -> DropKey:
        """Give the drop that an answer lands in: the first whose batch is to come.

        Raises
        ------
        ReviewEndedError
            After the last batch of the calendar, or before the first drop was run.
        """
        calendar, closed = self.spec.calendar, closed_drops(self.state)
        if not closed:
            raise ReviewEndedError(f"{self.spec.name}: no drop was run yet, so there is nothing to ask about")
        drop = calendar.next_drop(max(closed))
        if self.spec.clock == "wall":
            drop = max(drop, calendar.drop_receiving(now))
        if calendar.last_drop is not None and drop > calendar.last_drop:
            raise ReviewEndedError(
                f"{self.spec.name}: the calendar ends with {calendar.last_drop}, and no later drop takes answers; move "
                "calendar.end to go on"
            )
        return drop

    def pending(self, now: datetime) -> dict[tuple[str, str], AnswerRow]:
        """Read the answers that no batch has taken yet, by example and person; the newest of each."""
        first, last = self.spec.calendar.next_drop(max(closed_drops(self.state))), self.drop_at(now)
        files = [self._file(drop) for drop in self.spec.calendar.drops_between(first, last)]
        return {(row["example_id"], row["reviewer"]): row for file in files for row in self._read(file)}

    def put(self, rows: Sequence[Mapping[str, object]], now: datetime) -> DropKey:
        """Add answers to the file of the open drop, in place of earlier ones of the same person; give the drop.

        `answered_at` of each is written here: `now`, and later than that of every answer in the file.
        """
        with self._changing(now) as (drop, held):
            moment = self._moment(drop, held, now)
            for place, row in enumerate(rows):
                new = {**{name: _text(value) for name, value in row.items()},
                       "answered_at": (moment + place * _TICK).isoformat()}  # fmt: skip
                held[new["example_id"], new["reviewer"]] = new
        return drop

    def take_back(self, example_id: str, reviewer: str, now: datetime) -> bool:
        """Remove an answer that no batch has taken yet; say whether there was one."""
        with self._changing(now) as (_, held):
            return held.pop((example_id, reviewer), None) is not None

    @contextmanager
    def _changing(self, now: datetime) -> Iterator[tuple[DropKey, dict[tuple[str, str], AnswerRow]]]:
        """Give the answers of the open drop to change; they are written when the block ends."""
        with write_lock(self.state.paths.locks, f"{self.spec.name}_{self.source}"):
            drop = self.drop_at(now)
            file = self._file(drop)
            held = {(row["example_id"], row["reviewer"]): row for row in self._read(file)}
            yield drop, held
            self._write(file, held.values())

    def _moment(self, drop: DropKey, held: Mapping[tuple[str, str], AnswerRow], now: datetime) -> datetime:
        moment = now
        if self.spec.clock == "data":
            received = self.spec.calendar.drop(drop)
            moment = min(received.start + max(now - self.begun, _TICK), received.end - timedelta(minutes=1))
        newest = max((datetime.fromisoformat(row["answered_at"]) for row in held.values()), default=None)
        return moment.astimezone(UTC) if newest is None else max(moment, newest + _TICK).astimezone(UTC)

    def _file(self, drop: DropKey) -> Path:
        return self.state.landing / str(drop) / f"{self.source}.csv"

    def _columns(self) -> list[str]:
        return list(self.spec.source(self.source).columns)

    def _read(self, file: Path) -> list[AnswerRow]:
        if not file.exists():
            return []
        rows = list(csv.reader(io.StringIO(file.read_text(encoding="utf-8"), newline="")))
        columns = self._columns()
        if not rows or rows[0] != columns or any(len(row) != len(columns) for row in rows):
            found = ",".join(rows[0]) if rows else "an empty file"
            raise OtherAnswersError(
                f"{file}: found {found}; allowed: rows of {','.join(columns)}. Move it away, or write answers by "
                f"`ml-assets review {self.spec.name} --import`"
            )
        return [dict(zip(columns, row, strict=True)) for row in rows[1:]]

    def _write(self, file: Path, rows: Collection[AnswerRow]) -> None:
        columns, text = self._columns(), io.StringIO()
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: (row["answered_at"], *(row[name] for name in ANSWER_KEY))))
        write_whole(file, text.getvalue().encode())
        marker = self.spec.source(self.source).expected_file
        if marker.marker:
            write_whole(file.with_name(marker.marker_of(file.name)), b"")


def _text(value: object) -> str:
    return "" if value is None else str(value)
