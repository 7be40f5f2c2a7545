"""What lies in a landing folder under a name that is no drop's or no source's."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class NameCase:
    """One entry of a landing folder whose only file name is stops.csv, and whose drops are days of January 2013.

    `path` is below the landing folder; it ends with / where it is a folder, and with @ where it is a link. `message`
    is what is told of it; None where it is read.
    """

    about: str
    path: str
    message: str | None

    def make(self, landing: Path) -> None:
        """Make the entry."""
        path = landing / os.fsdecode(os.fsencode(self.path).rstrip(b"/@"))
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.endswith("@"):
            elsewhere = landing.parent / "elsewhere"
            elsewhere.mkdir()
            (elsewhere / "stops.csv").write_bytes(b"id\nsecret\n")
            path.symlink_to(elsewhere)
        elif self.path.endswith("/"):
            path.mkdir()
            (path / "stops.csv").write_bytes(b"id\na\n")
        else:
            path.write_bytes(b"id\na\n")


_LATE = "allowed: stops.csv, or stops.LABEL.csv for what comes late"
NAMES: tuple[NameCase, ...] = (
    NameCase("the file of a source", "2013-01-02/stops.csv", None),
    NameCase("a late or revised file", "2013-01-02/stops.v2.csv", None),
    NameCase("a late file whose label is a pattern", "2013-01-02/stops.[a-z]*.csv", None),
    NameCase("an upload that hides itself", "2013-01-02/.stops.csv.x7Gq", None),
    NameCase("in capitals", "2013-01-02/STOPS.csv", f"found a name of no source; {_LATE}"),
    NameCase("numbered by hand", "2013-01-02/stops-2.csv", f"found a name of no source; {_LATE}"),
    NameCase("of nobody", "2013-01-02/readme.txt", "found a name of no source; allowed: stops.csv"),
    NameCase("packed", "2013-01-02/stops.csv.gz", "found a packed file; allowed: stops.csv, unpacked"),
    NameCase("an upload under way, or one that broke off", "2013-01-02/stops.csv.part",
             "found an upload that has not ended; allowed: stops.csv, renamed when it is whole"),
    NameCase("a name that is no UTF-8", os.fsdecode(b"2013-01-02/stops.\xff.csv"),
             "found a name that is not plain UTF-8; allowed: stops.csv"),
    NameCase("a folder inside a drop", "2013-01-02/new/", "found a folder; allowed: stops.csv"),
    NameCase("a date without its marks", "20130102/",
             "found a folder whose name is no drop; allowed: 2013-01-02"),
    NameCase("a date of a week", "2013-W01-3/",
             "found a folder whose name is no drop; allowed: a date such as 2024-05-03"),
    NameCase("a date before the calendar", "2012-12-01/",
             "found a date that is no drop of the calendar; allowed: every 1 days from 2013-01-01"),
    NameCase("a folder of no date", "new files/",
             "found a folder whose name is no drop; allowed: a date such as 2024-05-03"),
    NameCase("a file beside the folders", "stops.csv",
             "found a file beside the folders of the drops; allowed: files inside a folder such as 2024-05-03"),
    NameCase("a drop that is a link out of the landing folder", "2013-01-03@",
             "found a link, which is not followed; allowed: a folder with the files themselves"),
)  # fmt: skip
