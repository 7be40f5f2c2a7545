"""What a source promises: its columns, its times, when it arrives, and what is expected of its rows."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from ml_assets.spec.calendar import check_zone
from ml_assets.spec.model import Declared
from ml_assets.spec.names import DECIDE, Identifier

ColumnType = Literal["string", "integer", "float", "boolean", "date", "timestamp"]
Severity = Literal["error", "warning"]

RESERVED_COLUMNS = frozenset({"batch_date", "event_at", "known_at", "claimed_known_at", "reasons", "rowid"})
RECEIVED = "received"


class Column(Declared):
    """One column of a landed file."""

    type: ColumnType
    description: str = ""
    unit: str | None = None
    required: bool = False
    zone: Annotated[str, AfterValidator(check_zone)] = "UTC"


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


def _as_arrival(value: Any) -> Any:
    return value.replace("_", " ") if isinstance(value, str) else value


class Source(Declared):
    """A source of facts and its contract.

    `event_at` and `known_at` are SQL expressions over the columns of one row; `known_at: received`
    makes no claim, and a row then counts as known at its batch.
    """

    name: Identifier
    description: str = ""
    arrives: Annotated[Literal["every drop", "once", "sometimes"], BeforeValidator(_as_arrival)] = "every drop"
    until: date | None = None
    when_missing: Literal["wait", "go_on"] = "wait"
    key: tuple[str, ...] = Field(min_length=1)
    event_at: str | None = None
    known_at: str = RECEIVED
    null_values: tuple[str, ...] = ("",)
    columns: dict[Identifier, Column] = Field(min_length=1)
    expectations: tuple[Expectation, ...] = ()

    @property
    def file_name(self) -> str:
        """Name the file of this source inside the folder of a drop."""
        return f"{self.name}.csv"

    def is_required(self, column: str) -> bool:
        """Say whether a row without a value in `column` breaks the contract."""
        return column in self.key or self.columns[column].required

    @field_validator("columns")
    @classmethod
    def _no_reserved_names(cls, value: dict[str, Column]) -> dict[str, Column]:
        for name in value:
            if name in RESERVED_COLUMNS or name.startswith("_"):
                reserved = ", ".join(sorted(RESERVED_COLUMNS))
                raise ValueError(f"found {name!r}; allowed: names other than {reserved}, without a leading _")
        return value

    @field_validator("known_at", "event_at")
    @classmethod
    def _is_decided(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value == DECIDE:
            bare = f"{RECEIVED}, or " if info.field_name == "known_at" else ""
            raise ValueError(f"found {value!r}; allowed: {bare}an expression over the columns of a row")
        return value

    @field_validator("name")
    @classmethod
    def _is_free(cls, value: str) -> str:
        if value == "batch":  # the one-row table beside the sources in a declaration's SQL
            raise ValueError("found 'batch'; allowed: another name, SQL sees the batch under this one")
        return value

    @model_validator(mode="after")
    def _names_exist(self) -> Source:
        for name in self.key:
            if name not in self.columns:
                raise ValueError(f"key: found {name!r}; allowed: {', '.join(self.columns)}")
        reasons = [expectation.reason for expectation in self.expectations]
        for reason in reasons:
            if reasons.count(reason) > 1:
                raise ValueError(f"expectations: reason {reason!r} is used twice; allowed: one reason code a rule")
        for expectation in self.expectations:
            for argument in ("column", "column_A", "column_B"):
                named = expectation.arguments.get(argument)
                if named is not None and named not in self.columns:
                    known = ", ".join(self.columns)
                    raise ValueError(
                        f"expectations: {expectation.reason}: {argument}: found {named!r}; allowed: {known}"
                    )
        return self

    def is_expected_in(self, drop: date, first_drop: date) -> bool:
        """Say whether a file of this source is due in `drop`."""
        if self.until is not None and drop > self.until:
            return False
        if self.arrives == "once":
            return drop == first_drop
        return self.arrives == "every drop"
