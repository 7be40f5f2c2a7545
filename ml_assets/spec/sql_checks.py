"""All SQL of a declaration against the columns it can see, and what uses the columns it gives.

Nothing runs and no data are read: types come from the contracts, and go from the SELECT of the
examples into views, row expressions and the worklist, as they will when drops are computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from ml_assets.spec.calendar_rules import declared_key_type
from ml_assets.spec.contract import RECEIVED, SQL_TYPES
from ml_assets.spec.declared_tables import view_types
from ml_assets.spec.experiments import unit_fault
from ml_assets.spec.features import (
    OF_ANY_TYPE,
    Aggregate,
    FeatureView,
    known_features,
    parse_aggregate,
)
from ml_assets.spec.names import DECIDE, KeyPath, did_you_mean, not_among
from ml_assets.spec.raw_yaml import list_of, mapping_of, named_parts, names_in
from ml_assets.spec.references import source_columns
from ml_assets.spec.rule_sql import ROWS, rule_faults
from ml_assets.spec.sql_binding import Bench, Columns, SqlFault
from ml_assets.spec.sql_lineage import columns_of
from ml_assets.spec.table_sql import bind_table, without_type
from ml_assets.spec.user_sql import UserSqlError, check_expression

_MOMENT = "TIMESTAMP WITH TIME ZONE"
_TIMES: Columns = {"event_at": _MOMENT, "known_at": _MOMENT, "claimed_known_at": _MOMENT}
_MOMENTS = ("TIMESTAMP", "DATE", "VARCHAR", '"NULL"')
_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",
            "UHUGEINT", "FLOAT", "DOUBLE", "DECIMAL", "BOOLEAN", '"NULL"')  # fmt: skip
_CLASSES = (*(kind for kind in _NUMBERS if kind.endswith("INT") or kind == "INTEGER"), "BOOLEAN", '"NULL"')
_TRUTH = ("BOOLEAN", '"NULL"')
_OTHERS = ("VARCHAR", "DATE", "TIMESTAMP", _MOMENT)


@dataclass(frozen=True)
class PlacedSqlFault:
    """A fault of SQL that stands at a key, or in the file that the key names."""

    path: KeyPath
    fault: SqlFault


@dataclass(frozen=True)
class _Expression:
    """A row expression: where it stands, its text, and what its value must be."""

    path: KeyPath
    text: str
    kinds: tuple[str, ...] = ()
    wanted: str = ""


def sql_faults(declared: Mapping[str, Any], files: Mapping[str, str]) -> Iterator[PlacedSqlFault]:
    """Find what is wrong in the SQL of a use case that may not be sound.

    Parameters
    ----------
    declared
        The attributes as they were written.
    files
        The text of the SQL of `examples` and `labels`, where it could be read.
    """
    with Bench() as bench:
        check = _Check(declared, bench)
        yield from check.times()
        yield from check.tables(files)
        yield from check.rules()
        yield from check.views()
        yield from check.expressions()
        yield from check.behaviours()
        yield from check.labeling()
        yield from check.worklist()
        yield from check.experiments()


class _Check:
    def __init__(self, declared: Mapping[str, Any], bench: Bench) -> None:
        self._declared = declared
        self._bench = bench
        self._features = mapping_of(declared.get("features"))
        self._sources = {name: _typed(columns) for name, columns in source_columns(declared).items() if columns}
        self._open_views = known_features(self._features).open_views
        self._examples: Columns | None = None
        self._key_type = declared_key_type(mapping_of(declared.get("calendar")))

    def times(self) -> Iterator[PlacedSqlFault]:
        """Check event_at and known_at of each source."""
        for place, name, source in named_parts(self._declared.get("sources")):
            for key in ("event_at", "known_at"):
                text = source.get(key)
                if isinstance(text, str) and text not in (RECEIVED, DECIDE) and name in self._sources:
                    self._bench.lay("_row", self._sources[name])
                    asked = _Expression(("sources", place, key), text, _MOMENTS, "a moment")
                    yield from self._expression(asked, "_row")
            if name in self._sources and source.get("forecast"):
                yield from self._forecast(place, source, self._sources[name])

    def _forecast(self, place: int, source: Mapping[str, Any], columns: Columns) -> Iterator[PlacedSqlFault]:
        """Check both times of a forecast, and that a vintage has a key of its own."""
        times = mapping_of(source.get("forecast"))
        key = [name for _, name in names_in(source.get("key"))]
        for part in ("issued_at", "for"):
            text, path = times.get(part), ("sources", place, "forecast", part)
            if not isinstance(text, str) or not text or text == DECIDE:
                continue
            self._bench.lay("_row", columns)
            found = list(self._expression(_Expression(path, text, _MOMENTS, "a moment"), "_row"))
            yield from found
            lacking = [] if found else [name for name in columns_of(text, columns) if name not in key]
            if lacking and key:
                said = (
                    f"found {text!r}, made of {', '.join(lacking)}, which the key lacks: two vintages of one moment "
                    f"would be one row; allowed: columns of the key, so add {', '.join(lacking)} to it"
                )
                yield PlacedSqlFault(path, SqlFault(1, said))

    def tables(self, files: Mapping[str, str]) -> Iterator[PlacedSqlFault]:
        """Check the SELECTs of examples and labels, and keep the columns of the examples."""
        for name, columns in self._sources.items():
            self._bench.lay(name, {**columns, **_TIMES})
        self._bench.lay("batch", {"batch_date": self._key_type, "batch_at": _MOMENT, "previous_batch_at": _MOMENT})
        for part, text in files.items():
            may_read = [name for _, name in names_in(mapping_of(self._declared.get(part)).get("from"))]
            columns, faults = bind_table(self._bench, part, text, may_read, list(self._sources))
            yield from (PlacedSqlFault((part, "sql"), fault) for fault in faults)
            if part == "labels" and columns is not None:
                yield from self._measures(columns)
            if part == "examples" and columns is not None:
                own: Columns = {"batch_date": self._key_type, "example_id": "VARCHAR", "prediction_at": _MOMENT}
                self._examples = {**columns, **own}

    def _measures(self, columns: Columns) -> Iterator[PlacedSqlFault]:
        """Check that the SELECT of the labels gives what objectives foretell, and as numbers."""
        for position, name in names_in(mapping_of(self._declared.get("labels")).get("measures")):
            path = ("labels", "measures", position)
            if not _has(name, columns):
                given = [column for column in columns if column not in ("example_id", "label", "known_at")]
                yield PlacedSqlFault(path, SqlFault(1, not_among(name, given)))
            elif (kind := columns.get(name)) is not None and without_type(kind) not in _NUMBERS:
                said = f"found {name!r}, which labels.sql gives as {kind}; allowed: a number"
                yield PlacedSqlFault(path, SqlFault(1, said))

    def rules(self) -> Iterator[PlacedSqlFault]:
        """Check the rules of each source over its rows and the sources they read; `tables` laid these."""
        for place, name, source in named_parts(self._declared.get("sources")):
            if name not in self._sources:
                continue
            self._bench.lay(ROWS, {**self._sources[name], **_TIMES})
            for position, each in enumerate(list_of(source.get("rules"))):
                rule = mapping_of(each)
                reads = [other for _, other in names_in(rule.get("reads"))]
                if isinstance(rule.get("breaks"), str) and all(other in self._sources for other in reads):
                    for fault in rule_faults(self._bench, rule["breaks"], reads):
                        yield PlacedSqlFault(("sources", place, "rules", position, "breaks"), fault)

    def views(self) -> Iterator[PlacedSqlFault]:
        """Check derived columns, filters, aggregates, and that examples have the entity of each view."""
        for place, each in enumerate(list_of(self._features.get("views"))):
            view, path = mapping_of(each), ("features", "views", place)
            source = self._sources.get(str(view.get("from")))
            if source is not None:
                yield from self._view(view, path, {**source, **_TIMES, "batch_date": self._key_type})
            of_facts = {**(source or {}), **_TIMES, **mapping_of(view.get("derive"))}
            for position, name in names_in(view.get("entity")):
                is_there = self._examples is None or _has(name, self._examples)
                if not is_there and (source is None or _has(name, of_facts)):  # else it is named already
                    said = f"found {name!r}, which no example has; allowed: a column of examples.sql"
                    fault = SqlFault(1, said + did_you_mean(name, self._examples or ()))
                    yield PlacedSqlFault((*path, "entity", position), fault)
            yield from self._moment_asked(view.get("for"), (*path, "for"))

    def _moment_asked(self, name: object, path: KeyPath) -> Iterator[PlacedSqlFault]:
        """Check that the moment a forecast is asked for is one of the example's."""
        if not isinstance(name, str) or self._examples is None:
            return
        if not _has(name, self._examples):
            nearest = did_you_mean(name, self._examples)
            said = f"found {name!r}, which no example has; allowed: a moment of examples.sql{nearest}"
            yield PlacedSqlFault(path, SqlFault(1, said))
        elif (kind := self._examples.get(name)) is not None and without_type(kind) not in ("TIMESTAMP", _MOMENT):
            said = f"found {name!r}, of type {kind}; allowed: a moment, TIMESTAMP WITH TIME ZONE"
            yield PlacedSqlFault(path, SqlFault(1, said))

    def _view(self, view: Mapping[str, Any], path: KeyPath, columns: Columns) -> Iterator[PlacedSqlFault]:
        row = dict(columns)
        for name, text in mapping_of(view.get("derive")).items():
            self._bench.lay("_row", row)
            if isinstance(text, str):
                yield from self._expression(_Expression((*path, "derive", name), text), "_row", row, name)
        self._bench.lay("_row", row)
        if isinstance(view.get("where"), str):
            asked = _Expression((*path, "where"), view["where"], _TRUTH, "true or false")
            yield from self._expression(asked, "_row")
        measured = [
            _Expression((*path, "aggregates", name), aggregate.expression, *_measurable(aggregate.function))
            for name, text in mapping_of(view.get("aggregates")).items()
            if (aggregate := _measured(text)) is not None
        ]
        yield from self._together(measured, "_row")
        for position, name in names_in(view.get("latest")):
            kind = row.get(name)
            if kind is not None and without_type(kind) not in (*_NUMBERS, "VARCHAR"):
                said = f"found {name!r}, of type {kind}; allowed: features are numbers, booleans or text"
                yield PlacedSqlFault((*path, "latest", position), SqlFault(1, said))

    def expressions(self) -> Iterator[PlacedSqlFault]:
        """Check row expressions over the examples with the features of views beside them."""
        if isinstance(self._features.get("holidays"), str):
            yield from self._holidays(self._features["holidays"])
        asked = [
            _Expression(("features", "expressions", place, "sql"), expression["sql"], (*_NUMBERS, "VARCHAR"),
                        "a number, true or false, or text")
            for place, _, expression in named_parts(self._features.get("expressions"))
            if isinstance(expression.get("sql"), str)
        ]  # fmt: skip
        if self._examples is None:  # what they can see is not known: each is still one expression, without a clock
            for each in asked:
                yield from (PlacedSqlFault(each.path, fault) for fault in _misplaced(each.text))
            return
        self._bench.lay("_rows", {**self._examples, **self._view_features()})
        yield from self._together(asked, "_rows")

    def behaviours(self) -> Iterator[PlacedSqlFault]:
        """Check the SQL of behaviours over the features; `expressions` laid what these are made of."""
        behaviours = list_of(mapping_of(self._declared.get("model")).get("behaviours"))
        if self._examples is None or self._open_views or not behaviours:
            return  # what features there are is not known
        features = self._view_features() | self._expression_features()
        self._bench.lay("_window", features)
        for place, each in enumerate(behaviours):
            behaviour, path = mapping_of(each), ("model", "behaviours", place)
            changes = mapping_of(behaviour.get("change"))
            asked = [
                _Expression((*path, "change", name), text)
                for name, text in changes.items()
                if name in features and isinstance(text, str)
            ]
            if isinstance(behaviour.get("where"), str):
                asked.append(_Expression((*path, "where"), behaviour["where"], _TRUTH, "true or false"))
            for each_asked in asked:
                # what is no expression of a row, and what takes the place of no feature, is told where it is read
                if each_asked.text and not _misplaced(each_asked.text):
                    yield from self._expression(each_asked, "_window")

    def labeling(self) -> Iterator[PlacedSqlFault]:
        """Check labeling functions over the columns of the examples: each gives a class or null."""
        functions = mapping_of(self._declared.get("labeling")).get("functions")
        asked = [
            _Expression(
                ("labeling", "functions", place, "sql"), function["sql"], _CLASSES, "a class, or null to abstain"
            )
            for place, _, function in named_parts(functions)
            if isinstance(function.get("sql"), str)
        ]
        if self._examples is None:  # what they can see is not known
            for each in asked:
                yield from (PlacedSqlFault(each.path, fault) for fault in _misplaced(each.text))
            return
        self._bench.lay("_labeled", self._examples)
        yield from self._together(asked, "_labeled")

    def _expression_features(self) -> Columns:
        found: Columns = {}
        for _, name, expression in named_parts(self._features.get("expressions")):
            text = expression.get("sql")
            is_sound = isinstance(text, str) and not _misplaced(text)
            bound = self._bench.bind(f'SELECT ({text}\n) AS value FROM "_rows"', ["_rows"]) if is_sound else None
            is_typed = bound is not None and bound.is_typed and not bound.faults
            found[name] = (bound.columns or {}).get("value") if bound is not None and is_typed else None
        return found

    def worklist(self) -> Iterator[PlacedSqlFault]:
        """Check that examples have what worklist and review page show, and what the split is by."""
        for part, key in (("worklist", "columns"), ("review", "columns"), ("sampling", "groups")):
            for position, name in names_in(mapping_of(self._declared.get(part)).get(key)):
                if self._examples is not None and not _has(name, self._examples):
                    path = (part, key, position)
                    yield PlacedSqlFault(path, SqlFault(1, not_among(name, list(self._examples))))

    def experiments(self) -> Iterator[PlacedSqlFault]:
        """Check that examples have the unit of each experiment."""
        for place, _, experiment in named_parts(self._declared.get("experiments")):
            said = None if self._examples is None else unit_fault(experiment.get("unit"), list(self._examples))
            if said is not None:
                yield PlacedSqlFault(("experiments", place, "unit"), SqlFault(1, said))

    def _holidays(self, country: str) -> Iterator[PlacedSqlFault]:
        from holidays.registry import COUNTRIES

        self._bench.know_holidays()
        known = {code: names[0] for names in COUNTRIES.values() for code in names[1:3]}
        if country not in known:
            nearest = did_you_mean(country.upper(), known)
            said = f"found {country!r}; allowed: an ISO country code, as in US{nearest}"
            yield PlacedSqlFault(("features", "holidays"), SqlFault(1, said))

    def _view_features(self) -> Columns:
        found: Columns = {}
        for each in list_of(self._features.get("views")):
            try:
                view = FeatureView.model_validate(each)
            except ValidationError:
                continue
            found |= view_types(view, self._sources.get(view.source, {}))
        return found

    def _together(self, asked: list[_Expression], table: str) -> Iterator[PlacedSqlFault]:
        """Bind many expressions at once, and one by one only when that fails or gives another kind of value."""
        if not asked:
            return
        if not any(_misplaced(each.text) for each in asked):
            said = ", ".join(f'({each.text}\n) AS "_{place}"' for place, each in enumerate(asked))
            bound = self._bench.bind(f'SELECT {said} FROM "{table}"', [table])
            kinds = list((bound.columns or {}).values())
            if not bound.faults and (
                not bound.is_typed
                or all(without_type(kind) in each.kinds for kind, each in zip(kinds, asked, strict=True))
            ):
                return
        for each in asked:
            yield from self._expression(each, table)

    def _expression(
        self, asked: _Expression, table: str, row: Columns | None = None, name: str = ""
    ) -> Iterator[PlacedSqlFault]:
        """Check one expression; its value becomes column `name` of `row`, where given."""
        misplaced = _misplaced(asked.text)
        bound = self._bench.bind(f'SELECT ({asked.text}\n) AS value FROM "{table}"', [table]) if not misplaced else None
        for fault in misplaced or (bound.faults if bound else []):
            if not any(f"reads column '{view}" in fault.message for view in self._open_views):
                yield PlacedSqlFault(asked.path, fault)
        kind = (bound.columns or {}).get("value") if bound else None
        is_sure = bound is not None and bound.is_typed and kind is not None
        if is_sure and asked.kinds and without_type(kind or "") not in asked.kinds:
            said = f"gives {kind}; allowed: {asked.wanted}"
            yield PlacedSqlFault(asked.path, SqlFault(1, said))
        if row is not None:
            row[name] = kind if is_sure else None


def _misplaced(text: str) -> list[SqlFault]:
    """Say why a text is no expression over one row; usually it is."""
    try:
        check_expression(text)
    except UserSqlError as error:
        return [SqlFault(error.line, str(error))]
    return []


def _measured(text: object) -> Aggregate | None:
    """Read an aggregate; none for count(*) and the like, or where it does not read."""
    try:
        aggregate = parse_aggregate("", text) if isinstance(text, str) else None
    except ValueError:
        return None
    return None if aggregate is None or aggregate.counts_rows else aggregate


def _measurable(function: str) -> tuple[tuple[str, ...], str]:
    """Say what an aggregate can be of: the types, and in words."""
    if function == "share":
        return _TRUTH, "true or false"
    if function in OF_ANY_TYPE:
        return (*_NUMBERS, *_OTHERS), "a number, true and false, text or a time"
    return _NUMBERS, "a number, or true and false"


def _typed(columns: Mapping[str, Any]) -> Columns:
    return {name: SQL_TYPES.get(str(mapping_of(column).get("type"))) for name, column in columns.items()}


def _has(name: str, columns: Mapping[str, object]) -> bool:
    return name.lower() in {column.lower() for column in columns}
