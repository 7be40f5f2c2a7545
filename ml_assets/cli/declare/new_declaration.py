"""The text of a first defs.yaml: what the data say filled in, what a person must decide left as `decide`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from ml_assets.ingestion.profiling import ColumnProfile, FileProfile
from ml_assets.ingestion.proposal import Parts, propose_expectations
from ml_assets.spec.calendar import format_duration, parse_duration
from ml_assets.spec.names import DECIDE

MOST_LEVELS = 50  # of a string that becomes a feature


@dataclass(frozen=True)
class Decided:
    """What was decided before: each is a value, or `decide`."""

    every: str = DECIDE
    at: str = DECIDE
    zone: str = DECIDE

    @property
    def length(self) -> timedelta:
        """Give the time between batches, a day while nobody has said."""
        return timedelta(days=1) if self.every == DECIDE else parse_duration(self.every)


@dataclass(frozen=True)
class Draft:
    """All that the text is made of.

    `today` tells a past that ended from one that goes on; `of_one_file` names sources made of one file.
    """

    name: str
    profiles: Sequence[FileProfile]
    parts: Parts
    decided: Decided
    today: date
    of_one_file: frozenset[str] = frozenset()

    @property
    def span(self) -> tuple[date, date]:
        """Give the first and last day of any file; today where no file has one."""
        days = [
            each.date() if isinstance(each, datetime) else each
            for profile in self.profiles
            for column in profile.moments
            for each in (column.lowest, column.highest)
        ]
        return (min(days), max(days)) if days else (self.today, self.today)

    @property
    def holdout_days(self) -> int:
        """Give about 15 % of the past, in whole weeks."""
        first, last = self.span
        return max(14, (last - first).days * 15 // 100 // 7 * 7)


def write_declaration(draft: Draft) -> str:
    """Write defs.yaml."""
    lines = [
        "# Begun by `ml-assets new`. What the data say is filled in; what only a person can know is `decide`, marked",
        f"# TODO. Nothing runs before all are decided: `ml-assets validate {draft.name}` lists those that are left.",
        "type: ml_assets.UseCase",
        "",
        "attributes:",
        f"  name: {draft.name}",
        '  description: "" # the question, when it is asked, and who acts on the answer',
        "  owners: [] # team:NAME or an e-mail address",
        *_calendar(draft),
        "",
        "  sources:",
        *(line for profile in draft.profiles for line in _source(draft, profile)),
        *_examples_and_labels(draft),
        *_features(draft),
        *_model(draft),
        *_monitoring(draft),
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _calendar(draft: Draft) -> Iterator[str]:
    first, last = draft.span
    decided, every = draft.decided, draft.decided.length
    start = first + every - timedelta(days=1)
    is_past = last < draft.today - timedelta(days=90)
    yield (
        "  clock: data # the newest row is older than 90 days: a past that ended"
        if is_past
        else "  clock: wall # batches run as time goes by; data: a past that ended, with an end below"
    )
    yield ""
    yield "  calendar:"
    yield f"    start: {start} # the first batch; the oldest moment of any file is of {first}"
    if is_past:
        drops = max(0, (last - start) // every + 1)
        yield f"    end: {start + drops * every} # the last batch; the newest moment is of {last}"
    yield f"    every: {decided.every}" + _todo(decided.every, "how often is it predicted? 1d or 7d")
    at = decided.at if decided.at == DECIDE else _text(decided.at)
    yield f"    at: {at}" + _todo(decided.at, 'when, on the clock of that zone? as "06:00"')
    yield f"    timezone: {decided.zone}" + _todo(decided.zone, "whose clock? as Asia/Kolkata")


def _source(draft: Draft, profile: FileProfile) -> Iterator[str]:
    is_register = not profile.moments
    yield f"    - name: {profile.name}"
    yield f'      description: "" # {profile.rows:,} rows were given'
    if profile.malformed:
        yield f"      # {profile.malformed:,} lines do not split into the columns of the header: they go to quarantine"
    yield (
        "      arrives: once # no moment in any column: a register; every drop, where it is sent again and again"
        if is_register
        else "      arrives: every drop # once: in the first drop alone; sometimes: when there is something"
    )
    yield f"      when_missing: {'go_on' if is_register else 'wait'} # wait: the drop waits for it; go_on: without it"
    key = ", ".join(profile.key)
    yield (
        f"      key: [{key}] # {profile.key_reason}"
        if key
        else f"      key: [{DECIDE}] # TODO which columns name a row? {profile.key_reason}"
    )
    if not is_register:
        yield from _times(draft, profile)
    if len(profile.null_values) > 1:
        words = ", ".join(_text(value) for value in profile.null_values)
        taken = {"", *(each.value for each in profile.sentinels)}
        why = " # without the words, a column of numbers or dates would not read as such"
        yield f"      null_values: [{words}]" + why * any(value not in taken for value in profile.null_values)
    for each in profile.sentinels:
        said = f"{each.value} stands in {each.column} {each.count:,} times, and nothing else there is below 0"
        yield f"      # {said}: taken for null; take it out if it is one"
    gone = _left_out(draft, profile)
    yield from _columns(draft, profile, gone)
    proposals = [each for each in propose_expectations(profile) if not set(each.columns) & set(gone)]
    if proposals:
        yield "      expectations: # error: failing rows go to quarantine; warning: they are counted and pass"
    for each in proposals:
        yield f"        # {each.why}"
        arguments = ", ".join(f"{name}: {_value(value)}" for name, value in each.arguments.items())
        yield (
            f"        - {{expect: {each.expect}, arguments: {{{arguments}}}, severity: {each.severity}, "
            f"reason: {each.reason}}}"
        )
    yield ""


def _left_out(draft: Draft, profile: FileProfile) -> tuple[str, ...]:
    """Name the columns of an outcome, in a file that makes both examples and outcomes: no column of the examples."""
    return profile.filled_later if profile.name in draft.of_one_file and profile is draft.parts.examples else ()


def _columns(draft: Draft, profile: FileProfile, gone: Sequence[str]) -> Iterator[str]:
    yield "      columns:"
    if profile.name in draft.of_one_file:
        yield "        # TODO one file makes several sources: keep here only what is known at this source's known_at"
    if gone:
        yield f"        # Left out, filled only when it is over: {', '.join(gone)}"
    for column in profile.columns:
        if column.name not in gone:
            yield f"        {column.name}: {_column(draft, profile, column)}"


def _times(draft: Draft, profile: FileProfile) -> Iterator[str]:
    ordered = sorted(profile.moments, key=lambda column: _is_outcome(draft, profile, column.name), reverse=True)
    moments = [_moment(draft, column) for column in ordered]
    yield f"      event_at: {moments[0]} # when it happened; of {', '.join(moments)}"
    yield f"      known_at: {DECIDE} # TODO when could the whole row be known, its last column too?"
    yield f"      #   One of {', '.join(moments)}, + INTERVAL 1 DAY where it comes with a delay, or received: at the"
    yield "      #   batch that brings it. Too early is a leak that no score shows."


def _is_outcome(draft: Draft, profile: FileProfile, name: str) -> bool:
    """Say whether a column is what a source of outcomes is there for, in a file that makes the examples too."""
    return profile.name in draft.of_one_file and profile is not draft.parts.examples and name in profile.filled_later


def _moment(draft: Draft, column: ColumnProfile) -> str:
    if column.type == "timestamp":
        return column.name
    zone = draft.decided.zone
    if zone == DECIDE:
        return f"CAST({column.name} AS TIMESTAMP)"
    return f"timezone('{zone}', CAST({column.name} AS TIMESTAMP))"


def _column(draft: Draft, profile: FileProfile, column: ColumnProfile) -> str:
    parts = [f"type: {column.type}"]
    said = []
    if column.name not in profile.key and column.is_moment and not column.nulls:
        parts.append("required: true")
    if column.type == "timestamp" and not column.is_zoned:
        parts.append(f"zone: {draft.decided.zone}")
        if draft.decided.zone == DECIDE:
            said.append("TODO no offset in the file: whose clock is it? as Asia/Kolkata")
    if column.type == "float" or (column.type == "integer" and column.name not in profile.key):
        parts.append('unit: ""')
    said.append(f"{column.distinct:,} values")
    if column.lowest is not None:
        said.append(f"{column.lowest} to {column.highest}")
    if column.nulls:
        said.append(f"{column.nulls / column.rows:.1%} null")
    if column.note:
        said.append(column.note)
    return f"{{{', '.join(parts)}}} # {'; '.join(said)}"


def _examples_and_labels(draft: Draft) -> Iterator[str]:
    examples, labels = draft.parts.examples, draft.parts.labels
    yield "  examples:"
    yield f"    from: [{examples.name}] # a guess: {draft.parts.why}"
    yield f"    sql: {DECIDE} # TODO what is one thing to predict? Finish sql/examples.sql, then: sql/examples.sql"
    yield ""
    yield "  labels:"
    yield f"    from: [{labels.name}] # a guess"
    yield f"    sql: {DECIDE} # TODO what is a positive? Finish sql/labels.sql, then: sql/labels.sql"
    yield f"    matures_after: {DECIDE} # TODO how long after a prediction is its outcome known for nearly all? as 30d"
    if examples is labels:
        yield "    # One file holds both what is known when predicting and the outcome. Declare it as two sources, each"
        yield "    # with its own columns and known_at: `new NAME --from things=FILE --from outcomes=FILE` begins so."
    yield ""


def feature_columns(draft: Draft) -> list[ColumnProfile]:
    """List the columns of the examples that can be features as they are."""
    examples = draft.parts.examples
    return [
        column
        for column in examples.columns
        if column.name not in (*examples.key, *examples.filled_later)
        and column.nulls < column.rows
        and (
            column.is_number or column.type == "boolean" or (column.type == "string" and column.distinct <= MOST_LEVELS)
        )
    ]


def _features(draft: Draft) -> Iterator[str]:
    columns, zone = feature_columns(draft), draft.decided.zone
    moments = [column for column in draft.parts.examples.moments if column.type == "timestamp"]
    views = [line for name, others in draft.parts.entities.items() for line in _views(draft, name, others)]
    yield "  features: # values as known when predicting: a window counts what was known by then, never what came later"
    if views:
        yield "    views:"
        yield from views
    yield "    expressions:"
    for column in columns:
        yield f"      - {{name: {column.name}, sql: {column.name}}}"
    if not columns:
        yield f"      - {{name: {DECIDE}, sql: {DECIDE}}} # TODO an expression over the columns of sql/examples.sql"
    if moments and zone != DECIDE:
        local = f"timezone('{zone}', {moments[0].name})"
        yield f'      - {{name: local_hour, sql: "hour({local})", unit: hour of day}}'
        yield f'      - {{name: day_of_week, sql: "isodow({local})", unit: day of week, description: 1 is Monday}}'
    yield ""


def _views(draft: Draft, entity: str, others: Sequence[FileProfile]) -> Iterator[str]:
    short, long = _windows(draft)
    for other in others:
        numbers = [column.name for column in other.columns if column.is_number and column.name not in other.key][:3]
        numbers = [name for name in numbers if name != entity]
        if other.moments:
            yield f"      - name: {entity}_{other.name}"
            yield f"        from: {other.name}"
            yield f"        entity: [{entity}] # both files have it"
            yield f"        windows: [{short}, {long}]"
            means = "".join(f", {name}_mean: mean({name})" for name in numbers)
            yield f"        aggregates: {{rows: count(*){means}}}"
        elif other.key == (entity,):
            latest = [column.name for column in other.columns if column.name != entity and column.distinct > 1]
            if latest:
                yield f"      - name: {entity}_{other.name}"
                yield f"        from: {other.name}"
                yield f"        entity: [{entity}]"
                yield f"        latest: [{', '.join(latest[:8])}]"


def _windows(draft: Draft) -> tuple[str, str]:
    return ("28d", "84d") if draft.decided.length > timedelta(days=1) else ("7d", "28d")


def _model(draft: Draft) -> Iterator[str]:
    every = draft.decided.length
    holdout = draft.holdout_days
    examples = draft.parts.examples.rows
    columns = feature_columns(draft)
    groups = [column.name for column in columns if column.type in ("string", "boolean")] or [
        column.name for column in columns if column.distinct <= MOST_LEVELS
    ]
    grouped = groups[0] if groups else (columns[0].name if columns else DECIDE)
    yield "  model:"
    yield f"    holdout: {holdout}d # the newest matured part, on which rungs and gate are measured: 15 % of the past"
    yield "    margin: 0.005 # relative log loss that a more complex rung must gain to be taken"
    yield "    ladder: # from simple to complex; the first is the heuristic to beat"
    heuristic = f"kind: group_history, group_by: [{grouped}], parameters: {{prior_strength: 20}}"
    trees = "rounds: 200, eta: 0.05, max_depth: 3, min_child_weight: 20, colsample_bytree: 0.6"
    yield f"      - {{name: group_history, {heuristic}}}"
    yield "      - {name: logistic_regression, kind: logistic_regression, parameters: {C: 0.1}}"
    yield f"      - {{name: xgboost, kind: xgboost, parameters: {{{trees}}}}}"
    yield from _gate(examples, holdout // max(1, every.days))
    yield ""
    shown = [*draft.parts.examples.key, *(column.name for column in columns)][:6]
    yield "  worklist:"
    yield "    capacity: 20 # how many of a drop somebody can act on"
    yield f"    columns: [{', '.join(shown)}]"
    yield ""


def _gate(examples: int, drops: int) -> Iterator[str]:
    yield "    gate: # differences are relative to the champion's; below any of these a candidate does not serve"
    yield "      min_gain: 0.002"
    yield "      max_loss: 0.02"
    yield "      interval_level: 0.8"
    yield "      resamples: 1000"
    yield "      min_auc: 0.55"
    yield "      max_auc_drop: 0.02"
    yield "      max_ece: 0.1"
    yield f"      min_examples: {max(50, examples * 2 // 100)} # labelled, in the holdout; {examples:,} rows were given"
    yield f"      min_days: {max(2, min(7, drops // 2))} # days of prediction in the holdout, which has {drops}"


def _monitoring(draft: Draft) -> Iterator[str]:
    every = draft.decided.length
    window = 7 * timedelta(days=1) if every == timedelta(days=1) else 4 * every
    weekly = "" if draft.decided.every != DECIDE else "; four drops, 28d, where batches are weekly"
    stale = timedelta(days=draft.holdout_days) + 6 * timedelta(weeks=1)
    yield "  monitoring: # every part has a default; ml_assets/spec/monitoring.py lists them"
    yield f"    window: {format_duration(window)} # what is compared{weekly}"
    if every > timedelta(days=1):
        yield f"    before: {format_duration(6 * window)} # with the drops just before it"
        yield f"    feed_history: {format_duration(3 * window)}"
        yield f"    relearn_after: {format_duration(2 * window)}"
        yield f"    performance_window: {format_duration(2 * window)}"
    yield ""
    yield "  retraining:"
    yield f"    stale_after: {format_duration(stale)} # a new champion's rows are as old as the holdout already"
    if every > timedelta(days=1):
        yield f"    cooldown: {format_duration(2 * window)}"
        yield f"    replay_every: {format_duration(window)}"


def _todo(value: str, question: str) -> str:
    return f" # TODO {question}" if value == DECIDE else ""


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _value(value: object) -> str:
    plain = isinstance(value, str) and value.replace("_", "").isalnum() and not value[0].isdigit()
    if plain and str(value).lower() not in ("true", "false", "yes", "no", "on", "off", "null", "y", "n"):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(_value(each) for each in value)}]"
    return json.dumps(value, ensure_ascii=False)
