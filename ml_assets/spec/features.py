"""Feature views and row expressions: what is computed of an example, never how."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError

from ml_assets.spec.aggregates import AGGREGATES, added_aggregate, aggregate_names
from ml_assets.spec.declared import Declared, Fault
from ml_assets.spec.duration import Duration, format_duration
from ml_assets.spec.names import Identifier, KeyPath, did_you_mean, not_among
from ml_assets.spec.raw_yaml import list_of, mapping_of, named_parts
from ml_assets.spec.text_features import TextFeature

EXAMPLE_COLUMNS = ("batch_date", "example_id", "prediction_at")
# the last ones a training set has beside the features
TAKEN = (*EXAMPLE_COLUMNS, "label", "split", "label_origin", "label_weight", "label_reason", "label_given_by",
         "sample_weight", "sample_reason")  # fmt: skip
OF_ANY_TYPE = ("count", "distinct", "hours_since_last")  # the others are of a number, or of true and false
OF_ROWS = ("count", "hours_since_last")  # what `*` can be asked of
WHOLE_NUMBERS = ("count", "distinct")
_AGGREGATE = re.compile(r"^\s*(\w+)\s*\((.*)\)\s*$", re.DOTALL)


@dataclass(frozen=True)
class Aggregate:
    """One aggregate of a windowed view: a function over a row expression, `*` for the row itself.

    Nulls and numbers that are not finite never enter. `share` is the mean of a condition; `std` the standard deviation
    of a sample (n - 1), null below two values; `last` the value counted last; `distinct` the number of different
    values; `hours_since_last` the time since the last fact with a value became known, `*` since the last fact.
    Installed packages may add others (`spec.aggregates`).
    """

    name: str
    function: str
    expression: str

    @property
    def counts_rows(self) -> bool:
        """Say whether this is count(*)."""
        return self.expression == "*"


def parse_aggregate(name: str, text: str) -> Aggregate:
    """Read `mean(arrival_delay_min >= 15)` or `count(*)`.

    Examples
    --------
    >>> parse_aggregate("late_share", "mean(arrival_delay_min >= 15)").expression
    'arrival_delay_min >= 15'
    """
    match = _AGGREGATE.match(text)
    if (
        match is None
        or match[1] not in aggregate_names()
        or not match[2].strip()
        or not _is_closed_last(match[2])
        or (match[2].strip() == "*" and match[1] not in OF_ROWS)
    ):
        known = aggregate_names()
        said = f"{', '.join(f'{each}(*)' for each in OF_ROWS)}, or {', '.join(known)} of an expression"
        word = re.match(r"\s*(\w+)", text)
        nearest = did_you_mean(word[1], known) if word and word[1] not in known else ""
        raise ValueError(f"{name}: found {text!r}; allowed: {said}{nearest}")
    if match[1] not in AGGREGATES:
        added_aggregate(match[1])  # an ExtensionError, which is a ValueError, names what cannot be loaded
    return Aggregate(name, match[1], match[2].strip())


def _is_closed_last(inside: str) -> bool:
    """Say whether all that is opened inside is closed there: `mean(a) - (b)` is no mean of an expression."""
    depth, quote = 0, ""
    for sign in inside:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in ("'", '"'):
            quote = sign
        else:
            depth += (sign == "(") - (sign == ")")
            if depth < 0:
                return False
    return depth == 0


def _check_aggregate(text: str) -> str:
    try:
        parse_aggregate("", text)
    except ValueError as error:
        raise ValueError(str(error).removeprefix(": ")) from error
    return text


class FeatureView(Declared):
    """Values of an entity as known at `prediction_at`: windowed aggregates, the latest fact, or a forecast.

    A window w covers the facts with `known_at` in (prediction_at - w, prediction_at]. The latest
    fact is the one with the greatest time of happening (or of becoming known, where that is
    earlier); as old as `max_age`, or older, it is null. `derive` names row expressions over the source's
    columns, so that an entity can be something the source does not store. A null entity matches
    nothing.

    Of a forecast the newest vintage known at `prediction_at` counts, of each series and moment: the one issued last. A
    vintage as old as `max_age` is as if it were not there. `for` names the moment of the example that is asked for, by
    default `prediction_at`. `ahead` covers the moments in (for, for + ahead] with `aggregates`; `latest` takes the last
    moment in (for - within, for], or with `ahead` in (for + ahead - within, for + ahead]. `where` looks at the newest
    vintages, and finds none where the newest does not keep it. `with_age` gives the hours since the vintage was issued,
    `with_lead` those from then to the moment it is for.

    `units` names those of aggregates and latest columns, and `null_means` says what a null
    stands for, where `spec.catalogue` cannot derive it.
    """

    name: Identifier
    like: str | None = None  # written out before a declaration is checked: `spec.shared_parts`
    description: str = ""
    owner: str | None = None
    units: dict[str, str] = Field(default_factory=dict)
    null_means: str | None = None
    source: Identifier = Field(alias="from")
    entity: tuple[Identifier, ...] = ()
    derive: dict[Identifier, str] = Field(default_factory=dict)
    where: str | None = None
    windows: tuple[Duration, ...] = ()
    aggregates: dict[Identifier, Annotated[str, AfterValidator(_check_aggregate)]] = Field(default_factory=dict)
    latest: tuple[Identifier, ...] = ()
    max_age: Duration | None = None
    with_age: bool = False
    moment: Identifier | None = Field(default=None, alias="for")
    ahead: tuple[Duration, ...] = ()
    within: Duration | None = None
    with_lead: bool = False

    @classmethod
    def faults(cls, declared: Mapping[str, Any]) -> Iterator[Fault]:
        """Find a view that is neither windows and aggregates nor latest, and what is named twice."""
        has = {key: bool(declared.get(key)) for key in ("windows", "aggregates", "latest", "ahead")}
        if has["ahead"]:
            yield from _of_time_ahead(has)
        elif has["windows"] != has["aggregates"]:
            given, missing = ("windows", "aggregates") if has["windows"] else ("aggregates", "windows")
            yield (given,), f"windows and aggregates go together; found no {missing}; allowed: both of them"
        elif has["windows"] == has["latest"]:
            found = "both" if has["latest"] else "neither"
            yield (), f"found {found}; allowed: either windows and aggregates, or latest"
        yield from _of_latest_alone(declared, has)
        yield from _misplaced_meanings(declared)
        for key in ("entity", "windows", "ahead", "latest"):
            names = list_of(declared.get(key))
            for place, name in enumerate(names):
                if name in names[:place]:
                    yield (key, place), f"found {name!r} again; allowed: once"

    def parsed_aggregates(self) -> tuple[Aggregate, ...]:
        """Give the aggregates in the order of their declaration."""
        return tuple(parse_aggregate(name, text) for name, text in self.aggregates.items())

    @property
    def spans(self) -> tuple[timedelta, ...]:
        """Give the windows back from `prediction_at`, or those ahead over a forecast."""
        return self.windows or self.ahead

    @property
    def steps(self) -> tuple[timedelta | None, ...]:
        """Give how far ahead of its moment a latest forecast is taken; once without an offset by default."""
        return self.ahead or (None,)

    @property
    def lookback(self) -> timedelta | None:
        """Give how far before `prediction_at` a fact can still matter; None is without bound."""
        return max(self.windows) if self.windows else self.max_age

    def feature_names(self) -> tuple[str, ...]:
        """List the feature columns of this view, in order."""
        if self.aggregates:
            return tuple(
                f"{self.name}_{aggregate}_{format_duration(window)}"
                for window in self.spans
                for aggregate in self.aggregates
            )
        given = [*self.latest, *(["age_h"] if self.with_age else []), *(["lead_h"] if self.with_lead else [])]
        ends = [f"_{format_duration(step)}" if step else "" for step in self.steps]
        return tuple(f"{self.name}_{name}{end}" for end in ends for name in given)


def _of_latest_alone(declared: Mapping[str, Any], has: Mapping[str, bool]) -> Iterator[Fault]:
    """Find what belongs to the latest fact or forecast, where aggregates are asked."""
    if has["ahead"] and has["aggregates"]:
        for key in ("with_age", "within", "with_lead"):
            if declared.get(key):
                yield (key,), f"found {key} beside aggregates; allowed: with latest"
    elif (has["windows"] or has["aggregates"]) and not has["latest"]:
        for key in ("max_age", "with_age"):
            if declared.get(key):
                yield (key,), f"found {key} beside windows; allowed: max_age and with_age belong to latest"


def _of_time_ahead(has: Mapping[str, bool]) -> Iterator[Fault]:
    """Find what `ahead` cannot stand beside, and what it needs."""
    if has["windows"]:
        yield ("windows",), "found both windows and ahead; allowed: windows over facts, or ahead over a forecast"
    if has["aggregates"] == has["latest"]:
        found = "both" if has["latest"] else "neither"
        yield (), f"found {found} beside ahead; allowed: either aggregates, or latest"


def _misplaced_meanings(declared: Mapping[str, Any]) -> Iterator[Fault]:
    """Find units of what a view does not give, and the meaning of a null that never comes."""
    aggregates = mapping_of(declared.get("aggregates"))
    known = [*aggregates, *(str(name) for name in list_of(declared.get("latest")))]
    for name in mapping_of(declared.get("units")):
        if known and name not in known:
            yield ("units", name), not_among(name, known)
    functions = [str(text).partition("(")[0].strip() for text in aggregates.values()]
    if declared.get("null_means") and functions and all(name in WHOLE_NUMBERS for name in functions):
        yield (
            ("null_means",),
            f"found a meaning of null; allowed: where one can come, {' and '.join(WHOLE_NUMBERS)} are 0",
        )


class RowExpression(Declared):
    """A feature computed from one example's own columns and the view features beside them."""

    name: Identifier
    like: str | None = None  # written out before a declaration is checked: `spec.shared_parts`
    sql: str
    description: str = ""
    owner: str | None = None
    unit: str | None = None
    null_means: str | None = None


class AcceptedFeature(Declared):
    """A feature that a person looked at: its values are known as of the prediction, however much they say of it."""

    name: str
    reason: str = Field(min_length=1, description="why its values are known as of the prediction")


class FeatureSpec(Declared):
    """All features of a use case; `owner` answers for those that name no other."""

    owner: str | None = None
    holidays: str | None = Field(default=None, description="ISO country whose holidays row expressions can ask for")
    views: tuple[FeatureView, ...] = ()
    expressions: tuple[RowExpression, ...] = ()
    text: tuple[TextFeature, ...] = Field(
        default=(), description="texts as counts of hashed words; reading a declaration adds their expressions"
    )
    accepted: tuple[AcceptedFeature, ...] = Field(
        default=(), description="features that rank the outcome well and are right; `accept-feature` records the same"
    )

    def feature_names(self) -> tuple[str, ...]:
        """List every feature column, views first, in order of declaration."""
        names = [name for view in self.views for name in view.feature_names()]
        return (*names, *(expression.name for expression in self.expressions))

    @classmethod
    def faults(cls, declared: Mapping[str, Any]) -> Iterator[Fault]:
        """Find feature names that are taken, and a declaration without any."""
        if not declared.get("views") and not declared.get("expressions") and not _misspelt_parts(declared):
            yield (), "found no feature; allowed: at least one view or expression"
        taken: set[str] = set()
        for path, names in _named_features(declared):
            twice = [name for name in names if name in taken]
            if twice:
                yield path, f"feature names must be unique; found twice: {', '.join(twice)}; allowed: a name once"
            taken.update(names)
            found = [name for name in names if name in TAKEN]
            if found:
                yield path, f"found {', '.join(found)}; allowed: names other than {', '.join(TAKEN)}"


@dataclass(frozen=True)
class KnownFeatures:
    """The feature columns a declaration names, as far as its views can be read.

    `open_views` are the beginnings of names that a view gives which cannot be read: nobody knows
    which of those there will be.
    """

    names: tuple[str, ...]
    open_views: tuple[str, ...]

    def may_have(self, name: str) -> bool:
        """Say whether a feature of that name is there, or could be once its view is mended."""
        return name in self.names or name.startswith(self.open_views)


def known_features(declared: Mapping[str, Any]) -> KnownFeatures:
    """Name the features of a declaration that may not be sound.

    Examples
    --------
    >>> known_features({"views": [{"name": "weather", "latest": ["temp_f"], "max_age": "6 hours"}]})
    KnownFeatures(names=(), open_views=('weather_',))
    """
    names: list[str] = []
    for _, found in _named_features(declared):
        names += found
    sound = {place for place, _ in _sound_views(declared)}
    views = [mapping_of(view).get("name") for view in list_of(declared.get("views"))]
    open_views = [f"{name}_" if isinstance(name, str) else "" for place, name in enumerate(views) if place not in sound]
    if (
        _misspelt_parts(declared)
        or not isinstance(declared.get("views", ()), list | tuple)
        or not isinstance(declared.get("expressions", ()), list | tuple)
    ):
        open_views.append("")
    return KnownFeatures(tuple(names), tuple(open_views))


def _misspelt_parts(declared: Mapping[str, Any]) -> list[str]:
    """Name the unknown keys that mean views or expressions: what they hold cannot be known."""
    unknown = [key for key in declared if key not in FeatureSpec.model_fields]
    return [key for key in unknown if did_you_mean(key, ["views", "expressions"])]


def _sound_views(declared: Mapping[str, Any]) -> Iterator[tuple[int, FeatureView]]:
    for place, view in enumerate(list_of(declared.get("views"))):
        try:
            yield place, FeatureView.model_validate(view)
        except ValidationError:
            continue


def _named_features(declared: Mapping[str, Any]) -> Iterator[tuple[KeyPath, tuple[str, ...]]]:
    for place, view in _sound_views(declared):
        yield ("views", place, "name"), view.feature_names()
    for place, name, _ in named_parts(declared.get("expressions")):
        yield ("expressions", place, "name"), (name,)
