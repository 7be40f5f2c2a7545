"""Which alerts people found useful: what they say of incidents, and the share of useful ones over time.

Incidents and judgements go in, counts and shares come out. What nobody judged is counted apart, and is neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ml_assets.decisions.incidents import Incident
from ml_assets.stats.proportions import wilson_interval

LEVEL = 0.9


@dataclass(frozen=True)
class Judgement:
    """What a person said of an incident.

    Attributes
    ----------
    is_useful
        Whether it was right to tell them.
    note
        Why, in their words.
    judged_at
        A moment of the wall, ISO, UTC.
    """

    incident_id: str
    is_useful: bool
    note: str
    judged_by: str
    judged_at: str


@dataclass(frozen=True)
class AlertPrecision:
    """The incidents of one month or kind.

    Attributes
    ----------
    opened, judged, useful
        How many there were, how many of these people judged, and how many of those were useful.
    share
        Of the judged ones that were useful; None where none was judged.
    lower, upper
        Wilson's interval of it at 90 %; 0 and 1 where none was judged.
    """

    name: str
    opened: int
    judged: int
    useful: int
    share: float | None
    lower: float
    upper: float


def alert_precision(
    incidents: Iterable[Incident], judgements: Mapping[str, Judgement], name_of: Callable[[Incident], str]
) -> list[AlertPrecision]:
    """Count by what `name_of` gives, such as `month_of` or `kind_of`, in the order of names.

    Events, such as a promotion, are told and are no alarm: they count where somebody judged them.
    """
    named: dict[str, list[Incident]] = {}
    for incident in incidents:
        if not incident.is_event or incident.incident_id in judgements:
            named.setdefault(name_of(incident), []).append(incident)
    return [_count(name, named[name], judgements) for name in sorted(named)]


def overall_precision(incidents: Iterable[Incident], judgements: Mapping[str, Judgement]) -> AlertPrecision:
    """Count all of them."""
    found = alert_precision(incidents, judgements, lambda _: "all")
    return found[0] if found else _count("all", [], judgements)


def month_of(incident: Incident) -> str:
    """Give the month in which an incident opened, by its drop where it has one: `2013-07`."""
    return incident.since[:7]


def kind_of(incident: Incident) -> str:
    """Give the kind of an incident."""
    return incident.kind


def precision_sentence(found: AlertPrecision) -> str:
    """Say it in a sentence.

    >>> precision_sentence(AlertPrecision("all", 12, 5, 4, 0.8, 0.42, 0.96))
    '4 of 5 judged alerts were useful, 80 % (42 to 96 %); 7 of 12 were not judged'
    >>> precision_sentence(AlertPrecision("all", 3, 0, 0, None, 0.0, 1.0))
    'none of 3 alerts was judged'
    """
    left = found.opened - found.judged
    if found.share is None:
        return f"none of {found.opened} alerts was judged" if found.opened else "there was no alert"
    rest = f"{left} of {found.opened} were not judged" if left else "all were judged"
    bounds = f"({found.lower:.0%} to {found.upper:.0%})".replace("% to", " to").replace("%", " %")
    return f"{found.useful} of {found.judged} judged alerts were useful, {found.share:.0%} ".replace("%", " %") + (
        f"{bounds}; {rest}"
    )


def _count(name: str, incidents: list[Incident], judgements: Mapping[str, Judgement]) -> AlertPrecision:
    said = [judgements[each.incident_id] for each in incidents if each.incident_id in judgements]
    useful = sum(each.is_useful for each in said)
    lower, upper = wilson_interval(useful, len(said), LEVEL)
    return AlertPrecision(name, len(incidents), len(said), useful, useful / len(said) if said else None, lower, upper)
