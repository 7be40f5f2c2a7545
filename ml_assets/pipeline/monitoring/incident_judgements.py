"""What people say of incidents: one closed by hand with a judgement, and how useful alerts were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from ml_assets.decisions.alert_precision import (
    AlertPrecision,
    Judgement,
    alert_precision,
    kind_of,
    month_of,
    overall_precision,
)
from ml_assets.decisions.incidents import Incident
from ml_assets.spec.names import did_you_mean
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets.stores.paths import StatePaths

_LEAST = 4  # letters of an id that may name an incident
_SHOWN = 5


class UnknownIncidentError(LookupError):
    """An id that no incident has, or that several begin with."""


def close_incident(
    paths: StatePaths, begins_with: str, judgement: tuple[bool, str], by: str, now: datetime
) -> Incident:
    """Record what a person says of an incident, and close it for people. Gives the incident.

    It is kept as open for the system as long as what it is about holds, so that nothing is told a second time; when
    that ends, nobody is told, and what is found anew after it opens a new incident. An incident may be judged again:
    the last judgement counts, and all are kept.

    Parameters
    ----------
    begins_with
        The id, or at least four letters of its beginning.
    judgement
        Whether it was useful, and why.

    Raises
    ------
    UnknownIncidentError
        Where no incident, or more than one, has that id.
    ValueError
        Without a note.
    """
    is_useful, note = judgement
    if not note.strip():
        raise ValueError("--note: found nothing; allowed: why it was useful or not, in a few words")
    outbox = AlertOutbox(paths)
    incident = find_incident(outbox, begins_with)
    outbox.judge(Judgement(incident.incident_id, is_useful, note.strip(), by, now.astimezone(UTC).isoformat()))
    return incident


def find_incident(outbox: AlertOutbox, begins_with: str) -> Incident:
    """Find an incident by its id or the beginning of it; raises UnknownIncidentError."""
    known = outbox.incidents()
    found = [each for each in known if each.incident_id.startswith(begins_with)]
    if len(begins_with) >= _LEAST and len(found) == 1:
        return found[0]
    ids = [each.incident_id for each in known]
    if len(found) > 1 and len(begins_with) >= _LEAST:
        several = ", ".join(each.incident_id for each in found[:_SHOWN])
        raise UnknownIncidentError(f"found {begins_with!r}, with which {several} begin; allowed: one of them, whole")
    nearest = did_you_mean(begins_with, ids)
    raise UnknownIncidentError(
        f"found {begins_with!r}; allowed: the id of an incident, which `ml-assets alerts --all` names, or at least "
        f"{_LEAST} letters of its beginning{nearest}"
    )


def open_for_people(outbox: AlertOutbox, use_case: str | None) -> list[Incident]:
    """List the incidents that are open and that no person closed."""
    judged = outbox.judgements()
    return [each for each in outbox.incidents(use_case, open_only=True) if each.incident_id not in judged]


def judgement_sentence(said: Judgement) -> str:
    """Say who judged an incident how, and why."""
    how = "useful" if said.is_useful else "not useful"
    return f"{how}, by {said.judged_by} on {said.judged_at[:10]}: {said.note}"


def plain_usefulness(found: Mapping[str, AlertPrecision | list[AlertPrecision]]) -> dict[str, Any]:
    """Give it as plain values, for JSON."""
    return {
        name: [asdict(each) for each in part] if isinstance(part, list) else asdict(part)
        for name, part in found.items()
    }


def usefulness(paths: StatePaths, use_case: str | None) -> dict[str, Any]:
    """Give how useful the alerts of a use case were: over all, by month in which they opened, and by kind."""
    outbox = AlertOutbox(paths)
    incidents, judgements = outbox.incidents(use_case), outbox.judgements()
    months: list[AlertPrecision] = alert_precision(incidents, judgements, month_of)
    return {
        "all": overall_precision(incidents, judgements),
        "by_month": months,
        "by_kind": alert_precision(incidents, judgements, kind_of),
    }
