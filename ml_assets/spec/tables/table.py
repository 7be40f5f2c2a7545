"""How a lake table is declared: grain, columns with type, meaning, unit, and what null means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

NEVER_NULL = "never"
KEY_TYPE = "DATE"  # of keys of drops, and of nothing else; a use case with several drops a day has texts in its place
TYPES = ("BIGINT", "BOOLEAN", "DATE", "DOUBLE", "INTEGER", "TIMESTAMPTZ", "VARCHAR", "VARCHAR[]")


@dataclass(frozen=True)
class LakeColumn:
    """A column of a lake table.

    Attributes
    ----------
    type
        As DuckDB names it: `DATE`, `VARCHAR[]`, or a list of structs.
    null
        What null means; `never` where there is none, empty where only the declaration of a use case says it.
    tasks
        The tasks whose tables have it; empty is all of them.
    """

    name: str
    type: str
    meaning: str
    unit: str = ""
    null: str = NEVER_NULL
    tasks: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """Meaning, unit and null in a line, as the UI shows them."""
        unit = f" [{self.unit}]" if self.unit else ""
        null = f"; null: {self.null}" if self.null not in {"", NEVER_NULL} else ""
        return f"{self.meaning}{unit}{null}".removeprefix("; ")


@dataclass(frozen=True)
class Table:
    """A lake table.

    Attributes
    ----------
    asset
        The asset that writes it, as `layer/name`.
    grain
        What a row is.
    columns
        In the order they are written; a column whose name begins with `_` says where a row came from.
    is_by_drop
        Whether it is partitioned by `batch_date`: a run replaces the drops it computes, and no other.
    """

    name: str
    asset: str
    grain: str
    columns: tuple[LakeColumn, ...] = field(default=())
    is_by_drop: bool = True

    def of(self, task: str) -> Table:
        """Give the table as use cases of a task write it; what it gives is of that task alone."""
        kept = (each for each in self.columns if not each.tasks or task in each.tasks)
        return replace(self, columns=tuple(replace(each, tasks=()) for each in kept))

    @property
    def types(self) -> dict[str, str]:
        """The type of each column, by its name."""
        return {column.name: column.type for column in self.columns}

    @property
    def descriptions(self) -> dict[str, str]:
        """The description of each column, by its name."""
        return {column.name: column.description for column in self.columns}

    @property
    def is_main(self) -> bool:
        """Whether it is the table that its asset is named by; an asset may write others beside it."""
        layer, _, name = self.asset.partition("/")
        return self.name in {name, f"{layer}_{name}"}


def read_columns(text: str) -> tuple[LakeColumn, ...]:
    """Read columns from lines of `name | type | meaning | unit | null`; unit and null may be left out.

    A name followed by tasks in brackets, `auc [binary]`, is a column in tables of these tasks alone.

    Examples
    --------
    >>> read_columns("late_min | DOUBLE | delay at arrival | min | not arrived yet")[0].description
    'delay at arrival [min]; null: not arrived yet'

    Raises
    ------
    ValueError
        On a line with too few parts, or an unknown type.
    """
    found: list[LakeColumn] = []
    for line in filter(None, (line.strip() for line in text.strip().splitlines())):
        name, kind, meaning, *more = (part.strip() for part in line.split("|"))
        if kind not in TYPES and not kind.startswith("STRUCT("):
            raise ValueError(f"{name}: found type {kind!r}; allowed: {', '.join(TYPES)}, STRUCT(…)[]")
        unit, null = [*more, "", ""][:2]
        name, _, tasks = name.partition(" [")
        of = tuple(filter(None, tasks.rstrip("]").split(", ")))
        found.append(LakeColumn(name, kind, meaning, unit, null or NEVER_NULL, of))
    return tuple(found)


def typed(types: Mapping[str, str], meanings: Mapping[str, str], null: str) -> tuple[LakeColumn, ...]:
    """Give columns of declared types, such as those of a contract, with what is said of them."""
    return tuple(LakeColumn(name, kind, meanings.get(name, ""), "", null) for name, kind in types.items())
