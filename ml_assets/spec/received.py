"""What was received: value types that landing, ingestion and the ledger share."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from ml_assets.spec.drop import DropKey

BY_A_PERSON = "accepted by a person: "  # begins the reason that the ledger has of a person
FILE_NOTE = "file "  # begins the note that the ledger has of what is odd about a file
REQUEUED = ".requeued-"  # in the name of a file whose rows a person wants judged again, though they came before


@dataclass(frozen=True)
class ExpectedFile:
    """The files of a source in the folder of a drop: their name, and the marker without which one is not whole.

    Attributes
    ----------
    name
        What the drop's own file is called.
    patterns
        Names with `*` and `?` below the folder of the drop, `eu/orders_*.csv`: what matches is a file of the drop.
        Empty: only `name` is.
    """

    name: str
    marker: str = ""
    patterns: tuple[str, ...] = ()

    def is_own(self, name: str) -> bool:
        """Say whether a file of that name, its path below the folder of a drop, is one that the drop expects.

        >>> [ExpectedFile("orders.csv", "", ("eu/orders_*.csv",)).is_own(name)
        ...  for name in ("eu/orders_1.csv", "eu/old/orders_1.csv", "orders.csv")]
        [True, False, False]
        """
        if not self.patterns or REQUEUED in name:
            return name == self.name and not self.patterns
        parts = PurePosixPath(name).parts
        return name.isprintable() and any(
            len(parts) == len(PurePosixPath(pattern).parts)
            and all(map(fnmatchcase, parts, PurePosixPath(pattern).parts))
            for pattern in self.patterns
        )

    def is_file(self, name: str) -> bool:
        """Say whether a file of that name is one of this source: the drop's own, a labelled or a requeued one.

        >>> [ExpectedFile("stops.csv").is_file(name) for name in ("stops.csv", "stops.v2.csv", "stops-2.csv")]
        [True, True, False]
        """
        if self.is_own(name):
            return True
        stem, _, suffix = self.name.partition(".")
        labelled = name.startswith(f"{stem}.") and name.endswith(f".{suffix}") and not self.patterns
        requeued = name.startswith(f"{stem}{REQUEUED}") and name.endswith(".csv")
        return (labelled or requeued) and name.isprintable()  # lone surrogates, for bytes that are no UTF-8, are not

    def name_of(self, drop: DropKey) -> str:
        """Give the name of a file for a drop that is written here, such as one that a past is split into.

        >>> from datetime import date
        >>> ExpectedFile("orders.csv", "", ("eu/orders_*.csv",)).name_of(date(2024, 1, 2))
        'eu/orders_2024-01-02.csv'
        """
        return self.patterns[0].replace("*", str(drop)).replace("?", "0") if self.patterns else self.name

    @property
    def shown(self) -> str:
        """Give the name for people: the patterns, where there are some."""
        return " or ".join(self.patterns) or self.name

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
        `<source>.csv`, `<source>.<anything>.csv`, or what `file.names` says, by its path below the folder of the drop;
        the drop of that folder stands before it where it is earlier.
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

    @property
    def is_rewritten(self) -> bool:
        """Say whether `requeue` wrote it: as CSV with commas in UTF-8, whatever the source declares."""
        return REQUEUED in self.name


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
