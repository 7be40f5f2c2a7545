"""Which refused drops of a source nobody has dealt with yet, and what people are told of them.

A source whose file or rows broke the contract leaves a hole in the data: later drops go on without it. A later drop
that is good does not fill the hole. The finding stays until the drop was run again and admitted, until its file landed
again and a later drop received it, or until a person accepted that it will not come.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml_assets.decisions.incidents import Finding
from ml_assets.spec.drop import LATEST, DropKey, read_key

Row = Mapping[str, Any]
MONITOR = "drop/"
KIND = "refused_drop"


@dataclass(frozen=True)
class RefusedStretch:
    """Refused drops of one source that follow each other, by drop; `reasons` of each."""

    source: str
    reasons: Mapping[DropKey, Sequence[str]]

    @property
    def first(self) -> DropKey:
        """The first drop of the stretch: what its incident is named by."""
        return min(self.reasons)

    @property
    def monitor(self) -> str:
        """Name the incident, the same as long as the stretch goes on."""
        return f"{MONITOR}{self.source}/{self.first}"


def refused_stretches(ledger: Iterable[Row], order: Sequence[DropKey]) -> list[RefusedStretch]:
    """Find the stretches of refused drops in a ledger.

    Parameters
    ----------
    ledger
        Rows of `drops`: batch_date, source, state, reasons.
    order
        The drops in order; two that follow each other here belong to one stretch.
    """
    refused = {
        (row["source"], row["batch_date"]): [each for each in row["reasons"] or () if not each.startswith("late: ")]
        for row in ledger if row["state"] == "refused"
    }  # fmt: skip
    found: list[RefusedStretch] = []
    for source in sorted({source for source, _ in refused}):
        reasons: dict[DropKey, Sequence[str]] = {}
        for drop in order:
            if (source, drop) in refused:
                reasons[drop] = refused[source, drop]
            elif reasons:
                found.append(RefusedStretch(source, reasons))
                reasons = {}
        if reasons:
            found.append(RefusedStretch(source, reasons))
    return found


def landed_again(ledger: Iterable[Row]) -> dict[tuple[DropKey, str], DropKey]:
    """Give which drops and sources came again whole, and the first drop that received them and was not refused."""
    found: dict[tuple[DropKey, str], DropKey] = {}
    for row in sorted(ledger, key=lambda row: row["batch_date"]):
        for reason in row["reasons"] or () if row["state"] != "refused" else ():
            name = reason.removeprefix("late: ")
            folder, slash, _ = name.partition("/")
            if name != reason and slash and " file_refused:" not in reason:
                found.setdefault((read_key(folder), row["source"]), row["batch_date"])
    return found


def findings_of_refused(
    use_case: str,
    drop: DropKey,
    stretches: Iterable[RefusedStretch],
    again: Mapping[tuple[DropKey, str], DropKey],
    accepted: Collection[tuple[DropKey, str]],
) -> list[Finding]:
    """Give what is open of the refused drops up to `drop`, a finding a stretch."""
    found: list[Finding] = []
    for stretch in stretches:
        source = stretch.source
        still = [
            each for each in sorted(stretch.reasons)
            if each <= drop and (each, source) not in accepted and again.get((each, source), LATEST) > drop
        ]  # fmt: skip
        if not still:
            continue
        first, last = still[0], still[-1]
        named = f"drop {first}" if first == last else f"{len(still)} drops from {first} to {last}"
        said = "; ".join(dict.fromkeys(reason for each in still for reason in stretch.reasons[each]))
        accept = f"--drop {first}" if first == last else f"--from {first} --to {last}"
        doing = (
            "none of its rows is used; the last good state serves, and later drops go on. This stays open until the "
            "file has landed again in the folder of its drop and a drop has received it; if it will not come: "
            f"ml-assets accept-missing {use_case} --source {source} {accept} --reason TEXT"
        )
        message = f"{source} of {named} broke its contract" + (f": {said}" if said else "")
        look_at = f"ml-assets status {use_case}"
        found.append(Finding(stretch.monitor, KIND, "error", message, None, None, doing, look_at))
    return found
