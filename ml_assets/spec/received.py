"""What was received: value types that landing, ingestion and the ledger share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

BY_A_PERSON = "accepted by a person: "  # begins the reason that the ledger has of a person
FILE_NOTE = "file "  # begins the note that the ledger has of what is odd about a file


@dataclass(frozen=True)
class ExpectedFile:
    """The file of a source in the folder of a drop: its name, and the marker without which it is not whole."""

    name: str
    marker: str = ""

    def marker_of(self, name: str) -> str:
        """Name the marker of the file `name` of this source; empty where none is declared.

        >>> ExpectedFile("orders.csv", "{file}.done").marker_of("orders.v2.csv")
        'orders.v2.csv.done'
        """
        return self.marker.replace("{file}", name)


@dataclass(frozen=True)
class LandedFile:
    """One received file: what it was called, and the copy that its content names.

    Attributes
    ----------
    drop
        The drop in which it was received.
    name
        `<source>.csv`, or `<source>.<anything>.csv`; the drop of its folder stands before it where that is earlier.
    refusal
        The reason code of what landed but could not be read at all; there is no copy then.
    found
        Of a refused file, what was found.
    is_late
        It is not the drop's own file, but came late, revises an earlier one, or was landed beside it.
    modified_ns
        When it was last modified, in ns since 1970: a file that is as old and as large as it was is not read again.
    """

    drop: DropKey
    name: str
    sha256: str
    size_bytes: int
    copy: Path
    refusal: str | None = None
    is_late: bool = False
    modified_ns: int = 0
    found: str | None = None


@dataclass(frozen=True)
class Receipt:
    """What reading one landed file gave. Grain: a received file.

    `refusal` is null when the file keeps its contract; else the reason code under which every row
    of it is quarantined. `warning` names what was noticed and let pass.
    """

    drop: DropKey
    name: str
    sha256: str
    size_bytes: int
    rows: int
    refusal: str | None = None
    warning: str | None = None
    is_late: bool = False
    modified_ns: int = 0
