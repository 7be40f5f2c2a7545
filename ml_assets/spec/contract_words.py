"""A contract in words that a person reads: what each of its rules asks, and how much it weighs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ml_assets.spec.contract import Expectation, Source
from ml_assets.spec.drop_rules import DistributionRule, FreshnessRule, VolumeRule
from ml_assets.spec.duration import format_duration

_SAID = {
    "expect_column_values_to_be_in_set": "{column} is one of {value_set}",
    "expect_column_values_to_not_be_in_set": "{column} is none of {value_set}",
    "expect_column_values_to_not_be_null": "{column} is there",
    "expect_column_values_to_be_unique": "{column} holds no value twice",
    "expect_column_value_lengths_to_equal": "{column} has {value} characters",
    "expect_column_values_to_match_regex": "{column} matches {regex}",
    "expect_column_pair_values_a_to_be_greater_than_b": "{column_A} is above {column_B}{equal}",
}
_BOUNDED = {
    "expect_column_values_to_be_between": "{column} is {bounds}",
    "expect_column_value_lengths_to_be_between": "{column} has {bounds} characters",
    "expect_table_row_count_to_be_between": "a drop has {bounds} rows",
    "expect_column_mean_to_be_between": "the mean of {column} is {bounds}",
}


class RuleInWords(NamedTuple):
    """One rule of a contract: what it is about, what it asks, how much it weighs, and its reason code."""

    about: str
    asks: str
    severity: str
    reason: str


def rules_in_words(source: Source) -> Iterator[RuleInWords]:
    """Say each rule of a contract, in the order in which they are declared.

    Examples
    --------
    >>> source = Source(name="stops", key=["id"], columns={"id": {"type": "string"}},
    ...                 volume=[{"within": 0.3, "reason": "rows_unusual", "severity": "warning"}])
    >>> for rule in rules_in_words(source):
    ...     rule
    RuleInWords(about='a drop',
                asks='rows within 30% of the median of the same weekday in the 4 weeks before, and at least one',
                severity='warning', reason='rows_unusual')
    """
    for expectation in source.expectations:
        about = "a drop" if expectation.expect.startswith("expect_table") else "a row"
        yield RuleInWords(about, expectation_in_words(expectation), expectation.severity, expectation.reason)
    for rule in source.rules:
        reads = f" (reads {', '.join(rule.reads)})" if rule.reads else ""
        yield RuleInWords("a row", f"not: {' '.join(rule.breaks.split())}{reads}", rule.severity, rule.reason)
    for each in source.drop_rules:
        yield RuleInWords("a drop", drop_rule_in_words(each), each.severity, each.reason)


def expectation_in_words(expectation: Expectation) -> str:
    """Say what an expectation asks; one without words of its own by its name and arguments.

    Examples
    --------
    >>> def said(expect, **arguments):
    ...     return expectation_in_words(Expectation(expect=expect, arguments=arguments, reason="odd"))
    >>> said("expect_column_values_to_be_between", column="seats", min_value=1)
    'seats is 1 or more'
    >>> said("expect_column_pair_values_to_be_equal", column_A="left", column_B="came")
    'column pair values to be equal: column_A left, column_B came'
    """
    given = {name: _text(value) for name, value in expectation.arguments.items()}
    words = _SAID.get(expectation.expect) or _BOUNDED.get(expectation.expect)
    given["bounds"] = _bounds(expectation.arguments)
    given["equal"] = " or equal to it" if expectation.arguments.get("or_equal") else ""
    try:
        said = words.format(**given) if words else ""
    except KeyError:
        said = ""
    if said:
        mostly = expectation.arguments.get("mostly")
        return said if mostly is None else f"{said}, in {mostly:.4g} of the rows"
    name = expectation.expect.removeprefix("expect_").replace("_", " ")
    return f"{name}: " + ", ".join(f"{key} {_text(value)}" for key, value in expectation.arguments.items())


def drop_rule_in_words(rule: VolumeRule | FreshnessRule | DistributionRule) -> str:
    """Say what a rule about a whole drop asks."""
    if isinstance(rule, VolumeRule):
        weeks = f"in the {rule.of_weeks} weeks before" if rule.of_weeks > 1 else "a week before"
        return f"rows within {rule.within:.0%} of the median of the same weekday {weeks}, and at least one"
    if isinstance(rule, FreshnessRule):
        return f"the newest row is at most {format_duration(rule.at_most)} older than the batch"
    reference = f"the {format_duration(rule.reference)} before"
    return f"PSI of {rule.column} beside {reference} at most {rule.max_psi:g}, from {rule.min_rows} rows on"


def _bounds(arguments: Mapping[str, Any]) -> str:
    low, high = arguments.get("min_value"), arguments.get("max_value")
    if low is None or high is None:
        return f"{high} or less" if low is None else f"{low} or more"
    return f"{low} to {high}"


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return str(value)
