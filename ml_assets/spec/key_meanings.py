"""What each key of a declaration means, in plain words: the reference, the schema for editors and hovers read it here.

A key is described where it is declared: by the `description` of its field, or under Attributes of its class. What is
described in neither place stands below, by class and key; a test holds that no key is without a meaning and none has
two.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

_MEANINGS: Mapping[str, Mapping[str, str]] = {
    "UseCaseSpec": {
        "name": "name of the use case; the same as that of its folder",
        "description": "the question that is answered, when it is asked, and who acts on the answer",
        "owners": "who answers for it: `team:NAME` or an e-mail address",
        "clock": "`wall`: batches run as time goes by. `data`: history is the present, for a past that has ended",
        "calendar": "when batches run",
        "sources": "the feeds of facts, each with its contract",
        "examples": "the rows to predict",
        "labels": "the outcomes, as they became known",
        "labeling": "labeling functions and annotators, where gold labels are few",
        "review": "which examples people are asked about, how many, and where their answers land",
        "sampling": "which of the matured rows are trained on, and who is on one side of the split alone",
        "features": "what is known of an example when it is predicted",
        "model": "the models that are tried, the holdout, and the gate",
        "worklist": "the list of examples that people act on in each drop",
        "acted_on": "`worklist`: what people do about its examples may change outcomes; reports then compare both",
        "deliveries": "what is handed over to people and systems after each drop",
        "monitoring": "what is watched, and how much noise is allowed",
        "retraining": "when a model is trained again",
        "retention": "how long old versions are kept",
        "experiments": "challengers that serve a share of the traffic",
    },
    "Bar": {
        "metric": "a metric of the task: for `regression` mse, mae, r2 or rank_correlation, for example",
        "at_least": "what a candidate has to reach",
        "at_most": "what a candidate may not exceed",
    },
    "Augmentation": {"share": "rows that are made: of the other class (`smote`), or of all rows (`perturbation`)"},
    "Sampling": {"half_life": "age at which a row counts half as much, with `time_weighted`"},
    "TextFeature": {
        "name": "how its features begin: `<name>_000` and on",
        "column": "the text column of the examples",
        "tokens": "what is counted: `words`, or `trigrams`, three characters in a row",
        "dimensions": "how many features there are; two tokens with the same hash are counted together",
    },
    "Calendar": {
        "start": "date of the first batch; of months and quarters, its day of the month is that of each batch, and the "
        "last day of a month stands for the last of each",
        "end": "date of the last batch; without it batches go on",
        "every": "time between batches: `1d` or `7d`; a part of a day, from `15min` to `12h`; `weekday`, "
        "`month` or `quarter`",
        "at": "time of day of the batch, on the clock of `timezone`, or a list of several; of parts of a day, the time "
        "of the first batch",
        "cron": "days and times of the batches as a cron expression, instead of `every` and `at`",
        "timezone": "name of the time zone, as in the IANA list; its changes of clocks are followed",
    },
    "Source": {
        "name": "name of the source, and of its files: `<drop>/<name>.csv`",
        "like": "`USE_CASE/SOURCE` of another use case of the project: all that is not written here is as there",
        "without": "reasons of expectations and rules that are not taken along by `like`",
        "description": "what its rows are",
        "arrives": "`every_drop`: a file is expected in each drop. `once`: in the first. `sometimes`: now and then",
        "until": "the last drop in which a file is expected",
        "when_missing": "`wait`: a drop waits for its file. `go_on`: after the batch it runs without, with an alert",
        "upload": "how it is known that a file is whole",
        "file": "how its files are written and named; without it: CSV in UTF-8 with commas, `<name>.csv`",
        "extract": "the database that `ml-assets extract` lands its rows from",
        "asset": "key of a Dagster asset that writes its files, parts separated by `/`: lineage continues from it",
        "key": "the columns that name a row; a later row with the same key replaces it from then on",
        "event_at": "SQL over the columns of a row: when it happened",
        "known_at": "SQL over the columns of a row: when all of it was known; `received`: at the batch that brings it",
        "forecast": "the rows are forecasts, each a vintage: what was issued when, of which moment",
        "null_values": "texts that mean null in every column",
        "columns": "the columns by name; what else a file holds is left out and noted",
        "expectations": "what must hold of rows or of a whole drop, by the names of Great Expectations",
        "rules": "further rules, in SQL",
        "volume": "how many rows a drop may have, compared with earlier drops",
        "freshness": "how old the newest row of a drop may be",
        "distribution": "how far a column may lie from earlier drops",
    },
    "ForecastTimes": {
        "issued_at": "SQL over the columns of a row: when it was issued; made of columns of the key",
        "valid_at": "SQL over the columns of a row: the moment it is for; made of columns of the key",
        "unrevised": "why its values are never revised; without it the audit takes such a forecast for the outcome",
    },
    "Column": {
        "type": "how the text is read; what does not read so is quarantined as `unreadable:<column>`",
        "description": "what the column holds",
        "unit": "unit of its numbers",
        "required": "a row without a value is quarantined as `missing:<column>`; columns of the key are so always",
        "zone": "time zone of timestamps without an offset",
        "ambiguous": "which moment a local time means that clocks showed twice",
        "years": "first and last plausible year; a moment outside is quarantined as `implausible_year:<column>`. By "
        "default 1900 to 2200",
        "null_values": "texts that mean null in this column, in addition to those of its source",
        "date_order": "how dates are written other than as 2024-12-31: `day_first` 31.12.2024 or 31/12/2024, "
        "`month_first` 12/31/2024; a time may follow, also with AM or PM",
        "epoch": "the value is a number of seconds, milliseconds or microseconds since 1970 in UTC",
    },
    "Expectation": {
        "expect": "name of an expectation of Great Expectations",
        "arguments": "its arguments, by name",
        "severity": "`error` quarantines rows or refuses the drop; `warning` counts them and lets them pass",
        "reason": "the code under which rows are quarantined or counted",
    },
    "Rule": {
        "breaks": "SQL that is true of a row that breaks the rule; it sees other rows of the drop by window functions",
        "reads": "other sources that the SQL reads, as known by the drop",
        "severity": "`error` quarantines the row; `warning` counts it and lets it pass",
        "reason": "the code under which rows are quarantined or counted",
    },
    "DropRule": {
        "severity": "`error` refuses the drop; `warning` notes it and lets it pass",
        "reason": "the code under which the drop is refused or noted",
    },
    "VolumeRule": {
        "within": "how far the rows may be from the median of the same weekday, as a share of it",
        "of_weeks": "how many weeks before are looked at",
    },
    "FreshnessRule": {"at_most": "how long before the batch the newest row may have happened"},
    "DistributionRule": {
        "column": "the column whose values are compared",
        "reference": "how far back the drops go that it is compared with",
        "max_psi": "the largest population stability index that passes",
        "min_rows": "rows on either side below which nothing is judged",
    },
    "SqlTable": {"sources": "the sources that the SELECT reads, each with its validated rows of one drop"},
    "Labels": {"matures_after": "how long after a prediction its outcome counts as known"},
    "Worklist": {
        "routes": "which examples the machine decides, and which go to people",
        "capacity": "how many examples of a drop people can act on",
        "rank_by": "weights of the score and of objectives; the list holds the highest sums",
        "columns": "features and columns of examples that are shown beside the score",
    },
    "Delivery": {
        "table": "the table that is handed over",
        "format": "`csv` or `parquet`: a file a drop. `database`: rows of a table, inserted or updated in one "
        "transaction. `webhook`: a call with the rows as JSON",
        "url": "the variable of the environment that holds the address of the database or webhook",
        "into": "the table of the database, with its schema where that is not the default; made where it is missing",
        "folder": "where files go: below the delivered files of the use case, or an absolute folder that the machine "
        "allows. By default named as the table",
        "escape_formulas": "write a `'` before texts of a CSV file that a spreadsheet would run as a formula",
    },
    "LabelingSpec": {
        "classes": "the classes that votes and labels have",
        "functions": "the rules that vote",
        "annotators": "a source with the answers of people",
    },
    "LabelingFunction": {
        "name": "name of the function",
        "sql": "SQL over the columns of an example that gives a class, or null to abstain",
        "version": "number that is raised when the rule changes its meaning",
        "owner": "who answers for it",
        "description": "what it looks for",
    },
    "Annotators": {
        "source": "the source with one row an answer",
        "guideline": "column with the version of the guideline that people answered by",
        "scale": "how far two answers differ: `nominal` all alike, `ordinal` by rank, `interval` by number",
    },
    "FeatureSpec": {
        "owner": "who answers for features that name no other",
        "views": "values of an entity as known at the prediction",
        "expressions": "SQL over one example and the view features beside it",
    },
    "FeatureView": {
        "name": "begins the names of its features",
        "like": "`USE_CASE/VIEW` of another use case of the project: all that is not written here is as there",
        "description": "what the view is about",
        "owner": "who answers for it",
        "units": "units of its columns, by name",
        "null_means": "what a null stands for",
        "source": "the source whose rows are looked at",
        "entity": "the columns by which rows and examples belong together",
        "derive": "SQL over the columns of the source, by name of the column that it makes",
        "where": "SQL: only rows of which it is true count",
        "windows": "how far back from the prediction facts count; each makes a feature of each aggregate",
        "aggregates": "what is made of the facts of a window: name of the feature and function, as `mean(is_late)`",
        "latest": "columns of the newest fact",
        "max_age": "a newest fact older than this is null",
        "with_age": "also give the age of the newest fact, in hours; of a forecast since it was issued",
        "moment": "of a forecast: the target time, a timestamp of the example; by default `prediction_at`",
        "ahead": "of a forecast: how far ahead of that moment it is aggregated, or where its `latest` is taken",
        "within": "of a forecast with `latest`: the longest time by which its value may precede the target time",
        "with_lead": "of a forecast with `latest`: also give the hours from its issue to the moment it is for",
    },
    "RowExpression": {
        "name": "name of the feature",
        "like": "`USE_CASE/EXPRESSION` of another use case of the project: all that is not written here is as there",
        "sql": "SQL over the columns of the example and the view features",
        "description": "what it says",
        "owner": "who answers for it",
        "unit": "unit of its numbers",
        "null_means": "what a null stands for",
    },
    "AcceptedFeature": {"name": "name of the feature"},
    "ModelSpec": {
        "augmentation": "rows that are made of training rows whenever a model is fitted",
        "holdout": "the newest matured part of the past, on which candidate and champion are compared",
        "seed": "where random numbers begin; the same seed gives the same model",
        "folds": "windows before the holdout, on which candidates are chosen",
        "tuning": "what a search for parameters may cost",
        "imbalance": "how rare positives are weighed in training",
        "calibration": "how scores are made probabilities after training",
        "abstain": "when the model gives no score and the baseline serves",
        "candidates": "the models that are tried, from simple to complex; the first is the baseline to beat",
        "gate": "what a candidate has to keep to become champion",
        "objectives": "amounts that are predicted in addition to the score",
        "prior_correction": "a shift of all scores when positives become rarer or more frequent",
        "behaviours": "what a model must do or must not, tried on examples it has not seen",
        "sensitive": "columns by whose groups a model must not differ too much",
    },
    "Folds": {"count": "how many windows", "length": "how long each is"},
    "Tuning": {"trials": "most sets of parameters that are tried", "minutes": "most minutes that it takes"},
    "ModelCandidate": {
        "name": "name of the model in tables and reports",
        "parameters": "parameters of its kind",
        "group_by": "features by whose values `group_history` counts",
        "warm_start": "go on from the champion's trees instead of starting anew",
    },
    "Range": {
        "low": "least value that is tried",
        "high": "largest value that is tried",
        "log": "draw evenly by the logarithm",
    },
    "Sensitive": {
        "column": "the column whose groups are compared",
        "metric": "the measure that must not differ",
        "max_difference": "how far two groups may differ",
        "min_group": "groups with fewer labelled examples are shown, not judged",
    },
    "GateRule": {
        "resamples": "how often days are drawn for the interval",
        "guardrails": "measures that may not get worse, whatever the loss gains",
    },
    "Guardrail": {"measure": "name of a measure in `evaluation_measures`"},
    "Objective": {"name": "name of the amount", "description": "what it is"},
    "Behaviour": {
        "name": "name of the behaviour",
        "kind": "what is asked: `invariance` the score stays, `direction` it moves, `labelled_cases` it tells cases "
        "apart, `perturbation` it tolerates noise, `out_of_range` it abstains",
        "description": "why it must be so",
        "direction": "where the score must move",
        "tolerance": "a change of the score that counts as none",
        "cases": "examples that a person labelled",
        "severity": "`error` refuses the candidate; `warning` notes it",
    },
    "Case": {"values": "features by name; the others are as usual"},
    "MonitoringSpec": {
        "window": "the newest drops that are compared",
        "reference_window": "the drops just before, that they are compared with",
        "feed_history": "how far back a feed is compared with its own past",
        "relearn_after": "how long a changed feed stays unusual before it is the new usual",
        "false_alarm_every": "how often all monitors together may alarm where nothing changed",
        "persistence": "how often in a row a monitor has to be over its threshold",
        "costs": "what a wrong decision costs",
        "known_changes": "changes that people know of, shown in charts and reports",
        "performance_window": "the newest matured part on which quality is judged",
        "keep_reports": "how many pages of drift are kept",
    },
    "Persistence": {"k": "drops over the threshold that make an alarm", "of": "drops that are looked at"},
    "Costs": {"false_alarm": "cost of acting in vain", "missed": "cost of not acting where one should have"},
    "KnownChange": {"date": "when it happened", "what": "what changed"},
    "RetrainingSpec": {
        "cooldown": "least time between two retrainings",
        "stale_after": "a champion older than this is trained again",
        "min_alarmed_importance": "share of what the champion leans on that has to drift before it is trained again",
        "first_after": "how much matured past the first model needs",
        "replay_every": "how many drops a replay takes at once",
    },
    "Experiment": {
        "name": "name of the experiment",
        "description": "what it tries, and why",
        "kind": "`canary` looks for harm; `ab` looks for a difference in either direction",
        "guardrails": "measures that may not get worse, whatever the loss gains",
    },
    "ExperimentGuardrail": {
        "measure": "`brier` squared error, `cost` by monitoring.costs, `abstained` share without a score",
        "max_worse": "how much worse it may get, in its own unit",
    },
}


# values of keys that no shipped declaration has, for the reference
_EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "Bar": {"metric": "mae", "at_least": 0.1, "at_most": 15},
    "Calendar": {"cron": "0 6,18 * * 1-5"},
    "Intervals": {"by": "origin"},
    "Upload": {"stable_for": "2min", "marker": "_SUCCESS"},
    "FileFormat": {"quote": "'", "thousands": ".", "title_lines": 2, "sheet": "Orders"},
    "Source": {"null_values": ["", "NA"], "asset": "shop/orders", "like": "flight_delays/weather",
               "without": ["station_incomplete"]},
    "Column": {"zone": "Asia/Kolkata", "years": [1850, 2100], "null_values": ["-"]},
    "LabelingSpec": {"owner": "team:risk"},
    "LabelingFunction": {
        "name": "many_links", "sql": "CASE WHEN links > 3 THEN 1 END", "owner": "team:risk",
        "description": "Comments with more than three links are spam.",
    },
    "Annotators": {
        "from": "answers", "example": "comment_id", "annotator": "annotator", "label": "is_spam",
        "guideline": "guideline_version",
    },
    "FeatureSpec": {"owner": "team:delays"},
    "FeatureView": {
        "owner": "team:delays", "where": "NOT is_cancelled", "for": "departure_at", "ahead": ["6h", "24h"],
        "within": "1h", "like": "flight_delays/carrier",
    },
    "ForecastTimes": {
        "issued_at": "run_at", "for": "run_at + to_hours(step_h)", "unrevised": "tariffs are fixed a day before",
    },
    "RowExpression": {"owner": "team:delays", "like": "flight_delays/dew_spread"},
    "AcceptedFeature": {"name": "booked_days_ahead", "reason": "the booking is stored before the batch"},
    "ReviewSpec": {
        "answers": "review_answers", "capacity": 30, "two_reviewers": 0.1, "decides": "team:moderation",
        "examples_of": "7d", "columns": ["text", "author"],
    },
    "Sampling": {
        "rows": 50_000, "by": ["label", "carrier"], "half_life": "90d", "importance": "amount", "groups": ["customer"],
    },
    "TextFeature": {"name": "words", "column": "text"},
    "Routes": {"max_risk": 0.1, "escalate": 10},
    "ModelSpec": {"metrics": ["f1_at_half"]},
    "ModelCandidate": {"features": ["carrier", "local_hour"]},
    "WarmStart": {"rounds": 50, "replay_share": 0.3},
    "Sensitive": {"column": "branch", "max_difference": 0.1},
    "Delivery": {
        "table": "predictions", "folder": "desk/late", "format": "parquet", "url": "${DESK_DATABASE}",
        "into": "desk.late_flights",
    },
    "RetrainingSpec": {"periodic": "0 5 * * 1", "cost": 200},
}  # fmt: skip


def example_of(model: type[BaseModel], key: str) -> Any:
    """Give a value of a key that no shipped declaration has; None where there is none."""
    return _EXAMPLES.get(model.__name__, {}).get(key)


def meaning_of(model: type[BaseModel], field: str) -> str:
    """Give the meaning of a field in plain words, by the class that declares it; empty where nobody wrote one.

    >>> from ml_assets.spec.retention import Retention
    >>> meaning_of(Retention, "candidates")
    'Files of models that were refused, tried or abandoned.'
    """
    described = model.model_fields[field].description
    if described:
        return described
    for each in model.__mro__:
        found = _attributes_of(each).get(field) or _MEANINGS.get(each.__name__, {}).get(field)
        if found:
            return found
    return ""


def repeated_meanings(model: type[BaseModel]) -> list[str]:
    """List the fields of a class that are described both in place and here, and those that it does not have."""
    own = _MEANINGS.get(model.__name__, {})
    in_place = {name for name, field in model.model_fields.items() if field.description} | set(_attributes_of(model))
    return [f"{model.__name__}.{name}" for name in own if name in in_place or name not in model.model_fields]


def unknown_classes(models: Iterable[type]) -> list[str]:
    """List the classes that have meanings or examples here and are none of `models`."""
    names = {model.__name__ for model in models}
    return sorted({*_MEANINGS, *_EXAMPLES} - names)


def _attributes_of(model: type) -> dict[str, str]:
    """Read the section Attributes of a docstring; names that share a text each have it."""
    _, _, section = (inspect.getdoc(model) or "").partition("Attributes\n----------\n")
    found: dict[str, str] = {}
    names: list[str] = []
    for line in section.splitlines():
        if not line.strip():
            break
        if re.match(r"\w", line):
            names = [name.strip() for name in line.split(",")]
        else:
            for name in names:
                found[name] = f"{found.get(name, '')} {line.strip()}".strip()
    return found
