"""Incidents: which alerts open, which stay open and which close, from what an evaluation found.

An incident is keyed by (use case, monitor, kind). It says one thing when it opens, one when it closes and nothing
between, so that people still read what they are sent. Nothing is measured, stored or sent here.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Literal

Severity = Literal["error", "warning", "info"]
Change = Literal["opened", "closed"]

_LENGTH_OF_DROP = len("2013-07-01")
RANK_OF_SEVERITY: dict[Severity, int] = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class Finding:
    """One thing that an evaluation found wrong, or that people should know of.

    Attributes
    ----------
    monitor
        What found it: `drift/weather_temp_f`, `run/flight_delays_batch`, `gate`.
    kind
        Of which kind it is: `drift`, `broken_feed`, `failed_run`, `promotion`.
    measurement, threshold
        In the unit of the monitor; None where there is no finite number to give.
    doing
        What the system does about it by itself.
    look_at
        The command or page to look at.
    is_event
        It happened and is over, such as a promotion: opened and closed at once, with one message.
    """

    monitor: str
    kind: str
    severity: Severity
    message: str
    measurement: float | None
    threshold: float | None
    doing: str
    look_at: str
    is_event: bool = False


@dataclass(frozen=True)
class Waning(Finding):
    """A finding that is no longer over its threshold, and near: what is open stays open as last told, and none opens.

    Without it, what wavers about a threshold would be told again and again.
    """


@dataclass(frozen=True, kw_only=True)
class Incident(Finding):
    """A finding with a life: as it was last found, and since when.

    Attributes
    ----------
    opened_at, closed_at
        What tells two evaluations apart: a drop such as 2013-07-01, or an ISO moment of the wall where several may
        concern one drop, as runs and verdicts do; closed_at is None while it is open.
    opened_drop, closed_drop
        The drops in which it opened and closed; None where no drop is concerned, as of a code location.
    """

    incident_id: str
    use_case: str
    opened_at: str
    closed_at: str | None = None
    opened_drop: str | None = None
    closed_drop: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Tell incidents of one use case apart."""
        return self.monitor, self.kind

    @property
    def since(self) -> str:
        """When it opened, as people read it: the drop; the wall's moment where no drop is concerned."""
        return self.opened_drop or self.opened_at

    @property
    def until(self) -> str | None:
        """When it closed, as people read it; None while it is open."""
        return self.closed_drop or self.closed_at


@dataclass(frozen=True)
class Changes:
    """What one evaluation changed, each in the order of monitor and kind; an event is among the opened."""

    opened: tuple[Incident, ...] = ()
    still_open: tuple[Incident, ...] = ()
    closed: tuple[Incident, ...] = ()


def reconcile_incidents(
    open_incidents: Iterable[Incident],
    findings: Iterable[Finding],
    *,
    use_case: str,
    at: str,
    scope: tuple[str, ...],
    drop: str | None = None,
) -> Changes:
    """Compare what is found at `at` with what is open.

    A finding without an open incident opens one; an open incident inside the scope that is not found any more closes;
    an incident that stays open says what was found last, without a message, and what it said before where that wanes.
    Of two findings with one key the worse one counts. The order of the arguments is irrelevant, and settling the same
    findings again changes nothing.

    Parameters
    ----------
    open_incidents
        Those of other use cases, and closed ones, are left alone.
    scope
        The prefixes of the monitors that this evaluation looked at: silence of the others means nothing.
    drop
        The drop that is looked at, where `at` is a moment; an `at` that is a drop is that.

    Examples
    --------
    >>> late = Finding("drop/weather", "missing_drop", "error", "weather did not arrive", None, None, "", "")
    >>> (opened,) = reconcile_incidents([], [late], use_case="flights", at="2013-07-01", scope=("drop/",)).opened
    >>> (closed,) = reconcile_incidents([opened], [], use_case="flights", at="2013-07-02", scope=("drop/",)).closed
    >>> closed.opened_at, closed.closed_at
    ('2013-07-01', '2013-07-02')
    """
    known = {
        incident.key: incident
        for incident in sorted(open_incidents, key=lambda one: (one.opened_at, one.incident_id), reverse=True)
        if incident.use_case == use_case and incident.closed_at is None
    }
    drop = at if drop is None and len(at) == _LENGTH_OF_DROP else drop
    found = _worst_by_key(findings)
    events = [_opened(finding, use_case, at, drop) for finding in found.values() if finding.is_event]
    lasting = {key: finding for key, finding in found.items() if not finding.is_event}
    new = [
        _opened(finding, use_case, at, drop)
        for key, finding in lasting.items() if key not in known and not isinstance(finding, Waning)
    ]  # fmt: skip
    kept = [
        one if isinstance(lasting[key], Waning) else replace(one, **asdict(lasting[key]))
        for key, one in known.items() if key in lasting
    ]  # fmt: skip
    gone = [one for key, one in known.items() if key not in lasting and one.monitor.startswith(scope)]
    return Changes(
        opened=_ordered([*new, *events]),
        still_open=_ordered(kept),
        closed=_ordered([replace(incident, closed_at=at, closed_drop=drop) for incident in gone]),
    )


def incident_id_of(use_case: str, monitor: str, kind: str, opened_at: str) -> str:
    """Give the id of an incident: the same wherever and however often it is worked out.

    Examples
    --------
    >>> incident_id_of("flights", "gate", "refused_candidate", "2013-07-01")
    'c48f73821177636b'
    """
    text = "\x1f".join((use_case, monitor, kind, opened_at))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def message_of(incident: Incident, change: Change) -> tuple[str, str]:
    """Write the title and the body of the one message about this change, as plain text.

    The body says what, since when, the measurement against its threshold, what the system does by itself, and where
    to look; a line without anything to say is left out. Of what has closed it says that it is over, and what it was.
    """
    what = f"{incident.kind.replace('_', ' ')} ({incident.monitor})"
    title = f"{incident.use_case}: closed: {what}" if change == "closed" else f"{incident.use_case}: {what}"
    measured = measured_against(incident)
    if change == "closed":
        lines = [
            ("", f"over: what was told is not found any more as of {incident.until}"),
            ("from", incident.since),
            ("closed", incident.until or ""),
            ("told was", incident.message),
            ("measured last", measured),
        ]
    else:
        lines = [
            ("", incident.message),
            *([("at", incident.since)] if incident.is_event
              else [("severity", incident.severity), ("since", incident.since)]),
            ("measured", measured),
            ("what happens by itself", incident.doing),
            ("look at", incident.look_at),
        ]  # fmt: skip
    body = "\n".join(f"{label}: {text}" if label else text for label, text in lines if text)
    return " ".join(title.split()), body


def measured_against(finding: Finding) -> str:
    """Write a measurement and its threshold; empty where there is no measurement."""
    if finding.measurement is None:
        return ""
    threshold = "" if finding.threshold is None else f", threshold {finding.threshold:.6g}"
    return f"{finding.measurement:.6g}{threshold}"


def _worst_by_key(findings: Iterable[Finding]) -> dict[tuple[str, str], Finding]:
    worst: dict[tuple[str, str], Finding] = {}
    finite = [replace(one, measurement=_finite(one.measurement), threshold=_finite(one.threshold)) for one in findings]
    # The text of the finding decides among equally bad ones: any total order does.
    for finding in sorted(finite, key=lambda one: (RANK_OF_SEVERITY[one.severity], repr(one))):
        worst.setdefault((finding.monitor, finding.kind), finding)
    return worst


def _opened(finding: Finding, use_case: str, at: str, drop: str | None) -> Incident:
    incident_id = incident_id_of(use_case, finding.monitor, finding.kind, at)
    closed_at, closed_drop = (at, drop) if finding.is_event else (None, None)
    return Incident(**asdict(finding), incident_id=incident_id, use_case=use_case, opened_at=at, closed_at=closed_at,
                    opened_drop=drop, closed_drop=closed_drop)  # fmt: skip


def _ordered(incidents: list[Incident]) -> tuple[Incident, ...]:
    return tuple(sorted(incidents, key=lambda incident: incident.key))


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
