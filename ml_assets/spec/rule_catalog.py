"""The expectations there are, by name and arguments: a misspelt one is found without loading Great Expectations.

Loading it takes six seconds, and every declaration is checked when definitions load. A test holds
this list to the pinned version.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import date
from functools import cache
from typing import Any

from ml_assets.spec.contract import COLUMN_ARGUMENTS
from ml_assets.spec.declared import Fault
from ml_assets.spec.model_kinds import parameters_of
from ml_assets.spec.names import did_you_mean, not_among
from ml_assets.spec.raw_yaml import list_of, mapping_of
from ml_assets.spec.validation_messages import shown

_SHARED = {"@rows": ("row_condition", "condition_parser"),
           "@bounds": ("min_value", "max_value", "strict_min", "strict_max")}  # fmt: skip
_BOUNDS = ("min_value", "max_value", "value", "mostly")
_ABOUT_THE_RULE = ("description", "meta", "notes")  # any expectation takes these
# name without expect_: required arguments | optional ones
_CATALOG = """
column_distinct_values_to_be_in_set: column value_set | @rows
column_distinct_values_to_contain_set: column value_set | @rows
column_distinct_values_to_equal_set: column value_set | @rows
column_kl_divergence_to_be_less_than: column | @rows partition_object threshold internal_weight_holdout
  tail_weight_holdout bucketize_data min_value max_value
column_max_to_be_between: column | @rows @bounds
column_mean_to_be_between: column | @rows @bounds
column_median_to_be_between: column | @rows @bounds
column_min_to_be_between: column | @rows @bounds
column_most_common_value_to_be_in_set: column value_set | @rows ties_okay
column_pair_values_a_to_be_greater_than_b: column_A column_B | @rows mostly or_equal ignore_row_if
column_pair_values_to_be_equal: column_A column_B | @rows mostly ignore_row_if
column_pair_values_to_be_in_set: column_A column_B value_pairs_set | @rows mostly ignore_row_if
column_proportion_of_non_null_values_to_be_between: column | @rows @bounds
column_proportion_of_unique_values_to_be_between: column | @rows @bounds
column_quantile_values_to_be_between: column quantile_ranges | @rows allow_relative_error
column_stdev_to_be_between: column | @rows @bounds
column_sum_to_be_between: column | @rows @bounds
column_to_exist: column | column_index
column_type_to_be: column type_
column_unique_value_count_to_be_between: column | @rows @bounds
column_value_lengths_to_be_between: column | @rows @bounds mostly
column_value_lengths_to_equal: column value | @rows mostly
column_value_z_scores_to_be_less_than: column threshold double_sided | @rows mostly
column_values_to_be_between: column | @rows @bounds mostly
column_values_to_be_dateutil_parseable: column | @rows mostly
column_values_to_be_decreasing: column | @rows mostly strictly
column_values_to_be_in_set: column value_set | @rows mostly
column_values_to_be_in_type_list: column | @rows mostly type_list
column_values_to_be_increasing: column | @rows mostly strictly
column_values_to_be_json_parseable: column | @rows mostly
column_values_to_be_null: column | @rows mostly
column_values_to_be_of_type: column type_ | @rows mostly
column_values_to_be_unique: column | @rows mostly
column_values_to_match_json_schema: column json_schema | @rows mostly
column_values_to_match_like_pattern: column like_pattern | @rows mostly escape
column_values_to_match_like_pattern_list: column like_pattern_list | @rows mostly match_on escape
column_values_to_match_regex: column | @rows mostly regex
column_values_to_match_regex_list: column regex_list | @rows mostly match_on
column_values_to_match_strftime_format: column strftime_format | @rows mostly
column_values_to_not_be_in_set: column value_set | @rows mostly
column_values_to_not_be_null: column | @rows mostly
column_values_to_not_be_outliers: column | @rows mostly method multiplier
column_values_to_not_match_like_pattern: column like_pattern | @rows mostly escape
column_values_to_not_match_like_pattern_list: column like_pattern_list | @rows mostly escape
column_values_to_not_match_regex: column regex | @rows mostly
column_values_to_not_match_regex_list: column regex_list | @rows mostly
compound_columns_to_be_unique: column_list | @rows mostly ignore_row_if
multicolumn_sum_to_equal: column_list sum_total | @rows mostly ignore_row_if
multicolumn_values_to_be_equal: column_list | @rows mostly ignore_row_if
query_results_to_match_comparison: base_query comparison_data_source_name comparison_query | mostly
select_column_values_to_be_unique_within_record: column_list | @rows mostly ignore_row_if
table_column_count_to_be_between:  | min_value max_value
table_column_count_to_equal: value
table_columns_to_match_ordered_list:  | column_list
table_columns_to_match_set:  | column_set exact_match
table_row_count_to_be_between:  | @rows @bounds
table_row_count_to_equal: value | @rows
table_row_count_to_equal_other_table: other_table_name | @rows
"""


@cache
def expectations() -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Give the required and the optional arguments of each expectation, by its name.

    Examples
    --------
    >>> expectations()["expect_column_value_lengths_to_equal"]
    (('column', 'value'), ('row_condition', 'condition_parser', 'mostly'))
    """
    found: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
    for line in _CATALOG.replace("\n  ", " ").strip().splitlines():
        name, _, arguments = line.partition(":")
        required, _, optional = arguments.partition("|")
        spread = [each for word in optional.split() for each in _SHARED.get(word, (word,))]
        found[f"expect_{name}"] = (tuple(required.split()), tuple(spread))
    return found


def unknown_rules(declared: Mapping[str, Any]) -> Iterator[Fault]:
    """Find expectations and candidates' parameters that nobody knows, in a use case that may not be sound."""
    for place, source in enumerate(list_of(declared.get("sources"))):
        for position, each in enumerate(list_of(mapping_of(source).get("expectations"))):
            rule = mapping_of(each)
            if isinstance(rule.get("expect"), str):
                for path, message in _wrong_rule(rule["expect"], rule.get("arguments", {})):
                    yield ("sources", place, "expectations", position, *path), message
    for place, each in enumerate(list_of(mapping_of(declared.get("model")).get("candidates"))):
        candidate = mapping_of(each)
        known = parameters_of(str(candidate.get("kind")))
        for name, value in mapping_of(candidate.get("parameters")).items():
            path = ("model", "candidates", place, "parameters", name)
            if known is not None and name not in known:
                yield path, not_among(name, known) if known else f"found {name!r}; allowed: none"
            elif isinstance(value, str | bool) or (isinstance(value, float) and not math.isfinite(value)):
                yield path, f"found {shown(value)}; allowed: a finite number"


def _wrong_rule(name: str, declares: object) -> Iterator[Fault]:
    if name not in expectations():
        allowed = "a Great Expectations name, as in expect_column_values_to_be_in_set"
        yield ("expect",), f"found {name!r}; allowed: {allowed}{did_you_mean(name, expectations())}"
        return
    required, optional = expectations()[name]
    arguments = mapping_of(declares)
    if not isinstance(declares, Mapping):
        return
    for argument in arguments:
        if argument not in (*required, *optional, *_ABOUT_THE_RULE):
            yield ("arguments", argument), not_among(argument, (*required, *optional))
    for argument, value in arguments.items():
        if argument in COLUMN_ARGUMENTS and not isinstance(value, str):
            yield ("arguments", argument), f"found {shown(value)}; allowed: the name of a column"
        elif argument in _BOUNDS and (
            isinstance(value, bool) or not isinstance(value, int | float | str | date | None)
        ):
            yield ("arguments", argument), f"found {shown(value)}; allowed: one value"
    for argument in required:
        if argument not in arguments:
            yield ("arguments", argument), f"is required by {name} and missing"
