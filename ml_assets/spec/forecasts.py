"""Sources that are forecasts: when a value was issued, the moment it is for, and which views read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ml_assets.spec.declared import Declared, Fault
from ml_assets.spec.names import DECIDE
from ml_assets.spec.raw_yaml import list_of, mapping_of, named_parts

if TYPE_CHECKING:
    from ml_assets.spec.contract import Source

OF_FORECASTS = ("for", "ahead", "within", "with_lead")  # keys of a view that only a forecast has a meaning for


class ForecastTimes(Declared):
    """The two times of a row of a forecast, as SQL over its columns.

    A row is one vintage: what was said at `issued_at` of the moment `for`. The columns of the key that neither
    expression reads name the series; a later vintage of the same series and moment replaces the one before, from its
    `known_at` on. The columns that they read belong to the key, or two vintages of one moment would be one row.
    `unrevised` says why a value of it is never revised, such as a tariff that is fixed the day before: then the audit
    does not take it for the outcome.
    """

    issued_at: str = Field(min_length=1)
    valid_at: str = Field(alias="for", min_length=1)
    unrevised: str | None = Field(default=None, min_length=1)

    @classmethod
    def faults(cls, declared: Mapping[str, Any]) -> Iterator[Fault]:
        """Find times that nobody decided on."""
        for key in ("issued_at", "for"):
            if declared.get(key) == DECIDE:
                yield (key,), f"found {DECIDE!r}; allowed: an expression over the columns of a row"


def series_columns(source: Source) -> tuple[str, ...]:
    """Name the columns of the key that say whose forecast a row is: those that neither of its times reads."""
    if source.forecast is None:
        return ()
    read = times_read(source.forecast.issued_at, source.forecast.valid_at, source.columns)
    return tuple(name for name in source.key if name not in read)


def times_read(issued_at: str, valid_at: str, columns: Mapping[str, Any]) -> frozenset[str]:
    """Name the columns that the two times are made of.

    >>> sorted(times_read("run_at", "run_at + to_hours(step_h)", {"run_at": "", "step_h": "", "mw": ""}))
    ['run_at', 'step_h']
    """
    from ml_assets.spec.sql_lineage import columns_of

    return frozenset(name for text in (issued_at, valid_at) for name in columns_of(text, columns))


def forecast_faults(declared: Mapping[str, Any]) -> Iterator[Fault]:
    """Find views that ask a source for what only a forecast has, and views that read a forecast as facts.

    Examples
    --------
    >>> sources = [{"name": "demand", "forecast": {"issued_at": "issued_at", "for": "hour"}}, {"name": "plants"}]
    >>> view = {"name": "mw", "from": "demand", "latest": ["mw"]}
    >>> for path, message in forecast_faults({"sources": sources, "features": {"views": [view]}}):
    ...     print(path[-1], message[:27])
    latest found latest without within
    """
    sources = {name: source for _, name, source in named_parts(declared.get("sources"))}
    forecasts = [name for name, source in sources.items() if source.get("forecast")]
    for place, each in enumerate(list_of(mapping_of(declared.get("features")).get("views"))):
        view, path = mapping_of(each), ("features", "views", place)
        name = view.get("from")
        if name in forecasts:
            yield from (((*path, *where), said) for where, said in _read_as_facts(view, str(name)))
        elif name in sources:
            known = f": {', '.join(forecasts)}" if forecasts else ""
            for key in OF_FORECASTS:
                if view.get(key):
                    said = f"found {key} over {name}, which is no forecast; allowed: with a source that has `forecast`"
                    yield (*path, key), said + known


def _read_as_facts(view: Mapping[str, Any], name: str) -> Iterator[Fault]:
    """Find what a view asks of a forecast that has a meaning for facts alone; places are relative to the view."""
    if view.get("windows"):
        said = (
            f"found windows over {name}, which is a forecast: they would count every vintage; "
            "allowed: ahead with aggregates, or latest with within"
        )
        yield ("windows",), said
    if view.get("latest") and not view.get("within"):
        said = (
            "found latest without within; allowed: within, how long before the moment that is asked for the moment of "
            "the forecast may lie, such as 1h for an hourly forecast"
        )
        yield ("latest",), said
    for aggregate, text in mapping_of(view.get("aggregates")).items():
        if str(text).strip().startswith("hours_since_last"):
            said = f"found {text!r} over {name}, which is a forecast; allowed: with_lead or with_age, beside latest"
            yield ("aggregates", aggregate), said
