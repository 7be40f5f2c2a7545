"""What the first texts of a use case are made of: facts from the files that were given, and what was decided before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from ml_assets.cli.declare.new_sizes import Sizes, group_column, plan_sizes
from ml_assets.ingestion.profiling import ColumnProfile, FileProfile, Sentinel
from ml_assets.ingestion.proposal import NO_ROWS, Parts, Proposal, propose_expectations
from ml_assets.spec.cadence import DAY
from ml_assets.spec.calendar_rules import NAMED_STEPS, step_length, whole_days
from ml_assets.spec.duration import format_duration
from ml_assets.spec.names import DECIDE
from ml_assets.stats.tasks import task_of
from ml_assets.stores.given_files import Row

MOST_LEVELS = 50  # of a string that becomes a feature
WEEKDAY = "day_of_week"  # the expression that the baseline groups by where no column fits
_ASKED = {  # what only a person can say of labels
    "binary": "what is a positive", "regression": "which amount came true", "count": "how often did it happen",
}  # fmt: skip
_LONG = timedelta(days=28)  # from it on, one drop is a window
_MONTH = timedelta(days=30, hours=10)
_FEW_ROWS = 10  # of a drop, below which there is hardly anything to rank or to watch
_PAST_DAYS = 90  # a newest row older than this tells a past that ended
_MOST_MEANS, _MOST_LATEST, _MOST_SHOWN = 3, 8, 6  # columns of a first view, and of a first worklist


@dataclass(frozen=True)
class Decided:
    """What was decided before: each is a value, or `decide`."""

    every: str = DECIDE
    at: str = DECIDE
    zone: str = DECIDE
    task: str = "binary"

    @property
    def length(self) -> timedelta:
        """Give the time between batches, on average; a day while nobody has said."""
        return DAY if self.every == DECIDE else step_length({"every": self.every}) or DAY


@dataclass(frozen=True)
class Draft:
    """What is known before any text is written.

    `today` tells a past that ended from one that goes on; `of_one_file` names sources made of one file; `rows` holds
    the first rows of each source, for its SQL test.
    """

    name: str
    profiles: Sequence[FileProfile]
    parts: Parts
    decided: Decided
    today: date
    rows: Mapping[str, Sequence[Row]]
    of_one_file: frozenset[str] = frozenset()


@dataclass(frozen=True)
class CalendarFacts:
    """The first and last day of the data, and the batches that cover them; `end` is None where data goes on.

    `come` says how often rows come, and which time between batches holds some.
    """

    first: date
    last: date
    start: date
    end: date | None
    every: str
    at: str
    zone: str
    come: str = ""

    @property
    def is_part_of_day(self) -> bool:
        """Whether batches run a part of a day apart, from midnight on where no time is given."""
        return self.every != DECIDE and (step_length({"every": self.every}) or DAY) < DAY


@dataclass(frozen=True)
class ColumnFacts:
    """One column of a contract; `is_clocked` says that its timestamps carry no offset: somebody names their clock."""

    profile: ColumnProfile
    is_required: bool
    is_clocked: bool
    has_unit: bool


@dataclass(frozen=True)
class LandedSource:
    """One source.

    Attributes
    ----------
    moments
        SQL of the moments that `event_at` can be, the likeliest first; none of a register.
    has_null_words
        Whether words, and not numbers alone, stand for null.
    left_out
        Columns of an outcome that are no columns of the examples, where one file makes both.
    is_shared
        Whether another source is made of the same file.
    vintage
        The columns of issue and of the moment that is forecast, where rows look like vintages of a forecast.
    """

    profile: FileProfile
    moments: tuple[str, ...]
    has_null_words: bool
    left_out: tuple[str, ...]
    is_shared: bool
    columns: tuple[ColumnFacts, ...]
    expectations: tuple[Proposal, ...]
    vintage: tuple[str, str] | None = None

    @property
    def sentinels(self) -> tuple[Sentinel, ...]:
        """Give the numbers that seem to stand for null."""
        return self.profile.sentinels


@dataclass(frozen=True)
class ViewFacts:
    """A feature view over a source that shares a column with the examples: windows with means, or latest values.

    `is_forecast` says that the windows lie ahead of the prediction.
    """

    source: str
    entity: str
    windows: tuple[str, ...] = ()
    is_forecast: bool = False
    means: tuple[str, ...] = ()
    latest: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelFacts:
    """What fits the rows a drop, and what the baseline and the worklist are made of.

    `is_by_weekday` says that no column fits the baseline: an expression for the day of the week is declared for it.
    """

    sizes: Sizes
    group_by: str
    is_by_weekday: bool
    shown: tuple[str, ...]


@dataclass(frozen=True)
class DraftFacts:
    """All that the templates read.

    Attributes
    ----------
    features
        Columns of the examples that can be features as they are.
    local_moment
        SQL of the first timestamp of the examples on the clock of the batch; empty where there is none.
    durations
        Settings of monitoring and retraining that depend on the time between batches.
    example_columns, outcome_columns
        What the first SELECT of the examples keeps, and what a label can be made of.
    task, asked, allowed, loss
        What is predicted; what a person is asked about labels, what these can be, and by what models are compared.
    """

    name: str
    parts: Parts
    calendar: CalendarFacts
    sources: tuple[LandedSource, ...]
    views: tuple[ViewFacts, ...]
    features: tuple[ColumnProfile, ...]
    local_moment: str
    model: ModelFacts
    durations: Mapping[str, str]
    is_daily: bool
    example_columns: Sequence[ColumnProfile]
    outcome_columns: Sequence[ColumnProfile]
    examples_rows: Sequence[Row]
    labels_rows: Sequence[Row]
    task: str
    asked: str
    allowed: str
    loss: str


def gather_draft(draft: Draft) -> DraftFacts:
    """Work out from the profiles all that the templates say."""
    examples, labels = draft.parts.examples, draft.parts.labels
    features = tuple(feature_columns(draft.parts))
    zoned = [column.name for column in examples.moments if column.type == "timestamp"]
    is_zone_known = draft.decided.zone != DECIDE
    calendar = _calendar(draft)
    model = _model(draft, features)
    others = [each for each in examples.columns if each.name not in (*examples.key, *examples.filled_later)]
    keys = {*examples.key, *labels.key}
    hidden = set(examples.filled_later) if examples.name in draft.of_one_file else set()
    return DraftFacts(
        draft.name,
        draft.parts,
        calendar,
        tuple(_source(draft, profile) for profile in draft.profiles),
        tuple(_views(draft)),
        features,
        f"timezone('{draft.decided.zone}', {zoned[0]})" if zoned and is_zone_known else "",
        model,
        _durations(draft.decided.length),
        draft.decided.length < 2 * DAY,
        [*map(examples.column, examples.key), *others],
        [column for column in labels.columns if column.name not in keys and not column.is_moment],
        [{name: value for name, value in row.items() if name not in hidden} for row in draft.rows[examples.name]],
        draft.rows[labels.name],
        draft.decided.task,
        _ASKED[draft.decided.task],
        task_of(draft.decided.task).labels.allowed,
        str(task_of(draft.decided.task).loss_metric),
    )


def feature_columns(parts: Parts) -> list[ColumnProfile]:
    """List the columns of the examples that can be features as they are."""
    examples = parts.examples
    return [
        column
        for column in examples.columns
        if column.name not in (*examples.key, *examples.filled_later)
        and column.nulls < column.rows
        and (
            column.is_number or column.type == "boolean" or (column.type == "string" and column.distinct <= MOST_LEVELS)
        )
    ]


def _calendar(draft: Draft) -> CalendarFacts:
    days = [
        each.date() if isinstance(each, datetime) else each
        for profile in draft.profiles
        for column in profile.moments
        for each in (column.lowest, column.highest)
    ]
    first, last = (min(days), max(days)) if days else (draft.today, draft.today)
    every = draft.decided.length
    start = _first_batch(first, draft.decided)
    is_past = last < draft.today - timedelta(days=_PAST_DAYS)
    unit = max(DAY, every)
    end = start + max(0, (last - start) // unit + 1) * unit if is_past else None
    return CalendarFacts(first, last, start, end, draft.decided.every, draft.decided.at, draft.decided.zone,
                         rows_come(draft.parts.examples.rows, _span(draft.parts.examples)))  # fmt: skip


def rows_come(rows: int, span: timedelta) -> str:
    """Say how often rows come, and which time between batches would hold some; empty where no moment tells.

    >>> rows_come(27_000, timedelta(days=30)), rows_come(100, timedelta(days=730))
    ('about 38 rows an hour: 1h would do', 'about 4.2 rows a month: month would do')
    """
    if span <= timedelta(0):
        return ""
    steps = (("1h", "an hour", DAY / 24), ("1d", "a day", DAY), ("7d", "a week", 7 * DAY), ("month", "a month", _MONTH))
    name, each, length = next((step for step in steps if rows * (step[2] / span) >= _FEW_ROWS), steps[-1])
    found = rows * (length / span)
    return f"about {found:,.0f} rows {each}: {name} would do" if found >= _FEW_ROWS else (
        f"about {found:,.1f} rows {each}: {name} would do")  # fmt: skip


def _first_batch(first: date, decided: Decided) -> date:
    """Give the day of the first batch: months and quarters begin with the first of a month after the first row."""
    if decided.every in NAMED_STEPS[1:]:
        return (first.replace(day=1) + timedelta(days=31)).replace(day=1)
    return first if decided.length < 2 * DAY else first + decided.length - DAY


def _source(draft: Draft, profile: FileProfile) -> LandedSource:
    is_shared = profile.name in draft.of_one_file
    left_out = profile.filled_later if is_shared and profile is draft.parts.examples else ()
    numbers = {"", *(each.value for each in profile.sentinels)}
    return LandedSource(
        profile,
        tuple(_moments(draft, profile)),
        any(value not in numbers for value in profile.null_values),
        left_out,
        is_shared,
        tuple(_column(profile, column) for column in profile.columns if column.name not in left_out),
        tuple(
            each
            for each in propose_expectations(profile)
            if not set(each.columns) & set(left_out) and (each.reason != NO_ROWS or draft.decided.length >= DAY)
        ),
        _vintage(draft, profile),
    )


def _vintage(draft: Draft, profile: FileProfile) -> tuple[str, str] | None:
    """Give the columns of issue and of the moment forecast: two timestamps that name a row, one never before the other.

    Two moments of one thing, such as its begin and end, do not both name a row.
    """
    named = {each.name for each in profile.moments if each.type == "timestamp" and each.name in profile.key}
    pairs = [pair for pair in profile.in_order if set(pair) == named]
    is_other = profile not in (draft.parts.examples, draft.parts.labels)
    return pairs[0] if is_other and len(named) == len(pairs) + 1 == 2 else None


def _column(profile: FileProfile, column: ColumnProfile) -> ColumnFacts:
    is_key = column.name in profile.key
    return ColumnFacts(
        column,
        is_required=not is_key and column.is_moment and not column.nulls,
        is_clocked=column.type == "timestamp" and not column.is_zoned,
        has_unit=column.type == "float" or (column.type == "integer" and not is_key),
    )


def _moments(draft: Draft, profile: FileProfile) -> Iterator[str]:
    """Give what `event_at` can be; of a source of outcomes that shares its file, what is filled later comes first."""
    is_outcome = profile.name in draft.of_one_file and profile is not draft.parts.examples
    filled_later = profile.filled_later if is_outcome else ()
    for column in sorted(profile.moments, key=lambda column: column.name in filled_later, reverse=True):
        moment = f"CAST({column.name} AS TIMESTAMP)"
        if column.type == "timestamp":
            yield column.name
        elif draft.decided.zone == DECIDE:
            yield moment
        else:
            yield f"timezone('{draft.decided.zone}', {moment})"


def _views(draft: Draft) -> Iterator[ViewFacts]:
    length = draft.decided.length
    windows = (
        ("1d", "7d")
        if length < DAY
        else ("7d", "28d")
        if length < 2 * DAY
        else ("28d", "84d")
        if length < _LONG
        else ("92d", "366d")
    )
    for entity, others in draft.parts.entities.items():
        for other in others:
            if other.moments:
                numbers = [each.name for each in other.columns if each.is_number and each.name not in other.key]
                means = tuple(name for name in numbers[:_MOST_MEANS] if name != entity)
                if _vintage(draft, other) is not None:
                    step = max(length, DAY)
                    ahead = (format_duration(step), format_duration(2 * step))
                    yield ViewFacts(other.name, entity, ahead, is_forecast=True, means=means)
                else:
                    yield ViewFacts(other.name, entity, windows, means=means)
            elif other.key == (entity,):
                latest = [each.name for each in other.columns if each.name != entity and each.distinct > 1]
                if latest:
                    yield ViewFacts(other.name, entity, latest=tuple(latest[:_MOST_LATEST]))


def _model(draft: Draft, features: Sequence[ColumnProfile]) -> ModelFacts:
    examples, labels = draft.parts.examples, draft.parts.labels
    sizes = plan_sizes(examples.rows, labels.rows, _span(examples), draft.decided.length)
    group = group_column(features)
    shown = [*examples.key, *(column.name for column in features)][:_MOST_SHOWN]
    return ModelFacts(sizes, group or WEEKDAY, not group, tuple(shown))


def _span(profile: FileProfile) -> timedelta:
    """Give how long the rows of a file took to come: by the first of its moments, which is that of the example."""
    if not profile.moments:
        return timedelta(0)
    first = profile.moments[0]
    return first.highest - first.lowest


def _durations(every: timedelta) -> dict[str, str]:
    """Give the settings of monitoring that depend on the time between batches."""
    window = timedelta(days=7) if every < 2 * DAY else 4 * every if every < _LONG else every
    times = {"window": 1, "before": 6, "feed_history": 3, "relearn_after": 2, "interval_window": 4}
    if every >= _LONG:
        times = {"window": 1, "before": 12, "feed_history": 12, "relearn_after": 6, "interval_window": 12}
    return {name: format_duration(whole_days(number * window)) for name, number in times.items()}
