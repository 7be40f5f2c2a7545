"""Whether the declared calendar is the one that the drops of a state were run with.

A drop that was run holds what was received in one interval. Under another step, time, zone or first day the same name
means another interval, so that features and labels would be of other times than they say. Such a change is refused;
the end of a calendar may change, and all of it while no drop was run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ml_assets.spec.declaration import DECLARATION_FILE, DeclarationError, Located, Mistake, locate_use_case
from ml_assets.spec.drop import DropKey
from ml_assets.spec.marked_yaml import read_marked
from ml_assets.spec.names import spell_path
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.calendar_record import calendar_facts, read_calendar, record_calendar
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import DATA_VARIABLE, StatePaths, delivery_roots
from ml_assets.stores.use_case_state import UseCaseState


class CalendarChangeError(LookupError):
    """A calendar that is not the one that drops were run with."""


@dataclass(frozen=True)
class CalendarChange:
    """One key of the calendar that is not as it was when drops were run: `n_drops` of them, `first` to `last`."""

    key: str
    found: str
    recorded: str
    n_drops: int
    first: str
    last: str

    def message(self) -> str:
        """Say what was found, what is recorded, and what to do."""
        were = f"the drop {self.first} was" if self.n_drops == 1 else f"{self.n_drops} drops were"
        span = "" if self.n_drops == 1 else f" ({self.first} to {self.last})"
        return (
            f"found {self.found!r}, and {were} run with {self.recorded!r}{span}; allowed: {self.recorded!r}, for under "
            "another calendar their names mean other intervals. Change it back; or begin anew, with a use case of "
            f"another name or in another state folder (${DATA_VARIABLE})"
        )


def find_calendar_changes(spec: UseCaseSpec, lake: Lake) -> list[CalendarChange]:
    """Compare the declared calendar with the recorded one; nothing is written."""
    recorded = read_calendar(lake.folder)
    found = calendar_facts(spec.calendar)
    if recorded is None or recorded == found:
        return []
    drops = _drops_that_were_run(lake)
    if not drops:
        return []
    first, last = str(drops[0]), str(drops[-1])
    return [
        CalendarChange(key, value, recorded[key], len(drops), first, last)
        for key, value in found.items()
        if recorded.get(key, value) != value
    ]


def keep_calendar(spec: UseCaseSpec, state: UseCaseState) -> None:
    """Record the calendar that a run works with. The first run decides, or the first of this release.

    Raises
    ------
    CalendarChangeError
        If drops were run with another one.
    """
    lake = state.lake
    changes = find_calendar_changes(spec, lake)
    if changes:
        raise CalendarChangeError(f"{said_of_changes(changes)}. Nothing was run; `ml-assets validate {spec.name}` "
                                  "names the line")  # fmt: skip
    if read_calendar(lake.folder) != calendar_facts(spec.calendar):
        record_calendar(lake.folder, spec.calendar)


def said_of_changes(changes: Sequence[CalendarChange]) -> str:
    """Say which keys changed, where no line of a file is known."""
    return "; ".join(f"calendar.{change.key}: {change.message()}" for change in changes)


def locate_on_state(folder: Path, paths: StatePaths) -> Located:
    """Read the declaration in `folder` as `locate_use_case` does, and refuse a calendar that its state does not allow.

    Raises
    ------
    DeclarationError
        With every mistake; where there is none, with the keys of the calendar that changed.
    """
    found = locate_use_case(folder, delivery_roots(paths))
    changes = find_calendar_changes(found.spec, Lake(paths.lake / found.spec.name))
    if not changes:
        return found
    line_of = read_marked((folder / DECLARATION_FILE).read_bytes()).line_of
    keys = [("calendar", change.key) for change in changes]
    raise DeclarationError(
        folder,
        [
            Mistake(Path(DECLARATION_FILE), line_of(("attributes", *key)), spell_path(key), change.message())
            for key, change in zip(keys, changes, strict=True)
        ],
    )


def _drops_that_were_run(lake: Lake) -> list[DropKey]:
    return sorted(lake.files("drops").drops()) if lake.has("drops") else []
