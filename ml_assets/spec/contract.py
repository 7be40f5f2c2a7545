"""What a source promises: its columns, its times, when it arrives, and what is expected of its rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from ml_assets.spec.calendar import check_zone
from ml_assets.spec.databases import Extract, extract_faults
from ml_assets.spec.declared import Declared, Fault
from ml_assets.spec.drop import DropKey, day_of_key
from ml_assets.spec.drop_rules import (
    DROP_RULES,
    RECEIVED,
    DistributionRule,
    FreshnessRule,
    Severity,
    VolumeRule,
    drop_rule_faults,
)
from ml_assets.spec.duration import Duration
from ml_assets.spec.file_format import FileFormat
from ml_assets.spec.forecasts import ForecastTimes
from ml_assets.spec.names import DECIDE, Identifier, KeyPath, not_among
from ml_assets.spec.raw_yaml import list_of, mapping_of, names_in
from ml_assets.spec.received import ExpectedFile

ColumnType = Literal["string", "integer", "float", "boolean", "date", "timestamp"]

RESERVED_COLUMNS = frozenset({"batch_date", "event_at", "known_at", "claimed_known_at", "reasons", "rowid"})
RESERVED_SOURCES = frozenset({"batch", "drops", "examples"})  # names that SQL, the graph or the lake uses itself
SQL_TYPES: dict[str, str] = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "float": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
}
# arguments of expectations that name one column, and those that name several
COLUMN_ARGUMENTS = ("column", "column_A", "column_B")
COLUMN_LISTS = ("column_list", "column_set")


PLAUSIBLE_YEARS = (1900, 2200)  # of a moment, where its column declares no `years`
FORMER_ARRIVALS = {"every drop": "every_drop"}  # values of earlier releases, and those of now
POSSIBLE_YEARS = (1678, 2261)  # what 64 bits of nanoseconds hold: later steps count in them


class Column(Declared):
    """One column of a landed file.

    `date_order` says how a date is written that is not `2024-12-31`: `day_first` reads `31.12.2024`, `31/12/2024` and
    `31-12-2024`, `month_first` the same marks as month, day, year; a time may follow, also with AM or PM. What is
    written as `2024-12-31` is read either way. `epoch` reads a number as seconds, milliseconds or microseconds since
    1970-01-01 00:00 UTC.

    A timestamp without an offset is a local time of `zone`. In the hour that clocks set back go through twice it may
    mean two moments: `ambiguous` says which, by default the earlier one, as the calendar reads the time of its batch.
    `years` are the first and last year of a date or timestamp that are plausible, in UTC; by default PLAUSIBLE_YEARS.
    A value outside is not read: its row is quarantined as `implausible_year:<column>`.
    `null_values` are texts that mean null in this column, beside those of its source.
    """

    type: ColumnType
    description: str = ""
    unit: str | None = None
    required: bool = False
    zone: Annotated[str, AfterValidator(check_zone)] = "UTC"
    ambiguous: Literal["earliest", "latest"] = "earliest"
    years: tuple[int, int] | None = None
    null_values: tuple[str, ...] = ()
    date_order: Literal["iso", "day_first", "month_first"] = "iso"
    epoch: Literal["s", "ms", "us"] | None = None

    @property
    def plausible_years(self) -> tuple[int, int]:
        """Give the first and last plausible year of a moment."""
        return self.years or PLAUSIBLE_YEARS

    @classmethod
    def faults(cls, declared: Mapping[str, Any]) -> Iterator[Fault]:
        """Find years that cannot be computed with or are out of order, and keys of moments where there are none."""
        kind, order, epoch = declared.get("type"), declared.get("date_order", "iso"), declared.get("epoch")
        if order != "iso" and kind not in ("date", "timestamp"):
            yield ("date_order",), f"found with type {kind!r}; allowed: with date, timestamp"
        if epoch is not None and (kind != "timestamp" or order != "iso"):
            other = f"type {kind!r}" if kind != "timestamp" else f"date_order {order}"
            yield ("epoch",), f"found with {other}; allowed: with type timestamp, and no date_order"
        years = list_of(declared.get("years"))
        if not years:
            return
        if declared.get("type") not in ("date", "timestamp"):
            yield ("years",), f"found years of a column of type {declared.get('type')!r}; allowed: date, timestamp"
        first, last = POSSIBLE_YEARS
        whole = [year for year in years if isinstance(year, int) and first <= year <= last]
        if len(years) != 2 or len(whole) != 2 or whole[0] > whole[1]:
            yield (
                ("years",),
                (
                    f"found {years}; allowed: first and last year, from {first} to {last}. A date for none, "
                    "such as 9999-12-31, belongs into null_values of the source"
                ),
            )


class Expectation(Declared):
    """One Great Expectations expectation, by its own name and arguments.

    `error` sends failing rows to quarantine (or refuses the drop, where the expectation is about
    the whole of it); `warning` counts them and lets them pass.
    """

    expect: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    severity: Severity = "error"
    reason: Identifier

    @field_validator("expect")
    @classmethod
    def _is_named_as_expectations_are(cls, value: str) -> str:
        if not value.startswith("expect_"):
            raise ValueError(
                f"found {value!r}; allowed: a Great Expectations name, as in expect_column_values_to_be_in_set"
            )
        return value


class Rule(Declared):
    """A rule over the rows of one drop, for what no expectation can say.

    `breaks` is an SQL expression, true of a row that breaks the rule. It sees the columns of the row, `event_at` and
    `known_at`; with window functions the other rows of the drop; in a subquery the facts of the sources it `reads`, as
    known by the drop.
    """

    breaks: str = Field(min_length=1)
    reads: tuple[Identifier, ...] = ()
    severity: Severity = "error"
    reason: Identifier


def _as_arrival_now(value: Any) -> Any:
    return FORMER_ARRIVALS.get(value, value) if isinstance(value, str) else value


def _check_column(name: str) -> str:
    if name in RESERVED_COLUMNS or name.startswith("_"):
        reserved = ", ".join(sorted(RESERVED_COLUMNS))
        raise ValueError(f"found {name!r}; allowed: names other than {reserved}, without a leading _")
    return name


def columns_asked(arguments: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Name the columns that the arguments of an expectation ask for, each with its place.

    Examples
    --------
    >>> list(columns_asked({"column": "seats", "min_value": 1}))
    [(('column',), 'seats')]
    """
    for argument in COLUMN_ARGUMENTS:
        if isinstance(arguments.get(argument), str):
            yield (argument,), arguments[argument]
    for argument in COLUMN_LISTS:
        for place, name in names_in(arguments.get(argument)):
            yield (argument, place), name


class Upload(Declared):
    """How it is known that a landed file is whole.

    Attributes
    ----------
    stable_for
        A file that changed less than this ago may still be written; automation waits. By default, and without a marker,
        three seconds.
    marker
        Name of a file that the sender writes last, in the same folder; until it is there, the file has not landed.
        `{file}` stands for the name of the file, as in `{file}.done`; without it, as in `_SUCCESS`, one marker is for
        the whole drop.
    """

    stable_for: Duration | None = None
    marker: str | None = None

    @property
    def wait_after_change(self) -> timedelta:
        """Give how long a file is not taken after it changed."""
        return timedelta(0) if self.marker else self.stable_for or timedelta(seconds=3)

    @classmethod
    def faults(cls, declared: Mapping[str, Any]) -> Iterator[Fault]:
        """Find two answers to one question, and a marker that is no file of the folder."""
        marker = declared.get("marker")
        if marker is not None and declared.get("stable_for") is not None:
            yield ("stable_for",), "found together with a marker, which says that a file is whole; allowed: one of both"
        if isinstance(marker, str) and ("/" in marker or marker in ("", "{file}") or marker.startswith(".")):
            yield (
                ("marker",),
                f"found {marker!r}; allowed: the name of a file of the folder, such as {{file}}.done, _SUCCESS",
            )


def _repeated_reasons(declared: Mapping[str, Any]) -> Iterator[Fault]:
    known: set[str] = set()
    for part in ("expectations", "rules", *DROP_RULES):
        for place, each in enumerate(list_of(declared.get(part))):
            reason = mapping_of(each).get("reason")
            if isinstance(reason, str) and reason in known:
                yield (part, place, "reason"), f"found {reason!r} again; allowed: one reason code a rule"
            known.add(str(reason))


class Source(Declared):
    """A source of facts and its contract.

    `event_at` and `known_at` are SQL expressions over the columns of one row; `known_at: received`
    makes no claim, and a row then counts as known at its batch. A `forecast` happens when it is issued: that is its
    `event_at`.
    """

    name: Identifier
    like: str | None = None  # written out before a declaration is checked: `spec.shared_parts`
    without: tuple[Identifier, ...] = ()
    description: str = ""
    arrives: Annotated[Literal["every_drop", "once", "sometimes"], BeforeValidator(_as_arrival_now)] = "every_drop"
    until: date | None = None
    when_missing: Literal["wait", "go_on"] = "wait"
    upload: Upload = Field(default_factory=Upload)
    file: FileFormat = Field(default_factory=FileFormat)
    extract: Extract | None = None
    asset: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_]+(/[A-Za-z0-9_]+)*$")
    key: tuple[str, ...] = Field(min_length=1)
    event_at: str | None = None
    known_at: str = RECEIVED
    forecast: ForecastTimes | None = None
    null_values: tuple[str, ...] = ("",)
    columns: dict[Annotated[Identifier, AfterValidator(_check_column)], Column] = Field(min_length=1)
    expectations: tuple[Expectation, ...] = ()
    rules: tuple[Rule, ...] = ()
    volume: tuple[VolumeRule, ...] = ()
    freshness: tuple[FreshnessRule, ...] = ()
    distribution: tuple[DistributionRule, ...] = ()

    @property
    def drop_rules(self) -> tuple[VolumeRule | FreshnessRule | DistributionRule, ...]:
        """Give the rules about a whole drop."""
        return (*self.volume, *self.freshness, *self.distribution)

    @property
    def lookback(self) -> timedelta:
        """Give how long before a drop the rules about it look."""
        return max((rule.lookback for rule in self.drop_rules), default=timedelta(0))

    @property
    def reads(self) -> tuple[str, ...]:
        """Name the sources that its rules read."""
        return tuple(sorted({source for rule in self.rules for source in rule.reads}))

    @property
    def file_name(self) -> str:
        """Name the file of this source inside the folder of a drop, where no pattern is declared."""
        return f"{self.name}{self.file.extension}"

    @property
    def expected_file(self) -> ExpectedFile:
        """Give the file of this source inside the folder of a drop, with its marker."""
        return ExpectedFile(self.file_name, self.upload.marker or "", self.file.names)

    def as_plainly_written(self) -> Source:
        """Give the source for cells that are written as without a declared format: 1.5, 2024-12-31."""
        plain = {"date_order": "iso", "epoch": None}
        columns = {name: column.model_copy(update=plain) for name, column in self.columns.items()}
        return self.model_copy(update={"file": FileFormat(), "columns": columns})

    def is_required(self, column: str) -> bool:
        """Say whether a row without a value in `column` breaks the contract."""
        return column in self.key or self.columns[column].required

    @model_validator(mode="before")
    @classmethod
    def _happens_when_issued(cls, value: Any) -> Any:
        issued_at = mapping_of(mapping_of(value).get("forecast")).get("issued_at")
        if isinstance(issued_at, str) and mapping_of(value).get("event_at") is None:
            return {**value, "event_at": issued_at}
        return value

    @field_validator("name")
    @classmethod
    def _is_free(cls, value: str) -> str:
        if value in RESERVED_SOURCES:
            raise ValueError(f"found {value!r}; allowed: a name other than {', '.join(sorted(RESERVED_SOURCES))}")
        return value

    @classmethod
    def faults(cls, declared: Mapping[str, Any]) -> Iterator[Fault]:
        """Find columns that are not there, what is named twice, and times that nobody decided on."""
        if declared.get("without") and not declared.get("like"):
            yield ("without",), "found rules to leave out of what is taken; allowed: beside `like`"
        yield from _time_faults(declared)
        columns = list(mapping_of(declared.get("columns")))
        key = names_in(declared.get("key"))
        for place, name in key:
            if columns and name not in columns:
                yield ("key", place), not_among(name, columns)
            if (place, name) != next(each for each in key if each[1] == name):
                yield ("key", place), f"found {name!r} again; allowed: a column once"
        yield from _repeated_reasons(declared)
        yield from drop_rule_faults(declared)
        yield from extract_faults(declared)
        for place, expectation in enumerate(list_of(declared.get("expectations"))):
            declares = mapping_of(expectation)
            for path, name in columns_asked(mapping_of(declares.get("arguments"))):
                if columns and name not in columns:
                    yield ("expectations", place, "arguments", *path), not_among(name, columns)

    def is_expected_in(self, drop: DropKey, first_drop: DropKey) -> bool:
        """Say whether a file of this source is due in `drop`."""
        if self.until is not None and day_of_key(drop) > self.until:
            return False
        if self.arrives == "once":
            return drop == first_drop
        return self.arrives == "every_drop"


def _time_faults(declared: Mapping[str, Any]) -> Iterator[Fault]:
    """Find times that nobody decided on, and a forecast that happens twice."""
    for moment, bare in (("known_at", f"{RECEIVED}, or "), ("event_at", "")):
        if declared.get(moment) == DECIDE:
            yield (moment,), f"found {DECIDE!r}; allowed: {bare}an expression over the columns of a row"
    issued_at = mapping_of(declared.get("forecast")).get("issued_at")
    if declared.get("forecast") and declared.get("event_at") not in (None, issued_at):
        yield ("event_at",), "found event_at beside forecast; allowed: one of both, a forecast happens when issued"
