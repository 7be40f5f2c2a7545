"""What lies in the landing folder and is read by nothing: each entry, with why and with what is allowed.

In: the landing folder of a use case, its calendar and the names of its files. Out: `UnreadEntry`s. Entries whose name
begins with a dot are uploads under way and our own working folders; they are left out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from pathlib import Path

from ml_assets.spec.calendar import Calendar
from ml_assets.spec.drop import DropKey
from ml_assets.spec.received import ExpectedFile
from ml_assets.stores.history import LEFT_OUT
from ml_assets.stores.landing import CHECKSUM, drop_of_folder, is_marked, paths_below

_PACKED = (".gz", ".zip", ".bz2", ".xz", ".zst", ".7z")
_UNDER_WAY = (".part", ".tmp", ".partial", ".filepart", ".crdownload")


@dataclass(frozen=True)
class UnreadEntry:
    r"""A file or folder that nothing reads.

    Attributes
    ----------
    name
        Its path below the landing folder; bytes that are no UTF-8 are written as `\xff`.
    drop
        The drop in whose folder it lies; None outside of such a folder.
    message
        What was found, what is allowed and what to do.
    """

    name: str
    drop: DropKey | None
    modified_at: datetime
    message: str

    def __str__(self) -> str:
        """Render as name: message."""
        return f"{self.name}: {self.message}"


def find_unread(landing: Path, calendar: Calendar, files: Sequence[ExpectedFile]) -> list[UnreadEntry]:
    """List what lies in the landing folder and is read by nothing, by name."""
    if not landing.is_dir():
        return []
    return sorted(_find(landing, calendar, files), key=lambda entry: entry.name)


def find_unmarked(landing: Path, calendar: Calendar, files: Sequence[ExpectedFile]) -> list[str]:
    """Say which files wait for their marker, in order of drop."""
    found: list[str] = []
    marked = [file for file in files if file.marker]
    for folder in sorted(landing.iterdir()) if marked and landing.is_dir() else ():
        drop = drop_of_folder(folder)
        if drop is None or folder.is_symlink() or not calendar.is_drop(drop):
            continue
        for file in marked:
            found += [
                f"{name} of {drop} is there, its marker {file.marker_of(name)} is not"
                for name in paths_below(folder)
                if file.is_file(name)
                and not name.endswith(CHECKSUM)
                and not _is_marker(name, file)
                and not is_marked(folder, name, file)
            ]
    return found


def _find(landing: Path, calendar: Calendar, files: Sequence[ExpectedFile]) -> Iterator[UnreadEntry]:
    for path in landing.iterdir():
        if path.name.startswith(".") or path.name == LEFT_OUT:
            continue
        drop = drop_of_folder(path)
        why = _why_no_drop(path, drop, calendar)
        if why is not None:
            yield _entry(path, path.name, None, why)
            continue
        for name in _entries(path, files):
            if not _is_read(name, files):
                yield _entry(path / name, f"{path.name}/{name}", drop, _why_no_file(path / name, files))


def _entries(folder: Path, files: Sequence[ExpectedFile]) -> Iterator[str]:
    """Give what lies in the folder of a drop; files of a sub-folder each, where a source may have some in it."""
    inner = {pattern.partition("/")[0] for file in files for pattern in file.patterns if "/" in pattern}
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir() and not path.is_symlink() and any(fnmatchcase(path.name, part) for part in inner):
            yield from (f"{path.name}/{name}" for name in paths_below(path))
        else:
            yield path.name


def _entry(path: Path, name: str, drop: DropKey | None, why: str) -> UnreadEntry:
    shown = os.fsencode(name).decode("utf-8", "backslashreplace")
    return UnreadEntry(shown, drop, datetime.fromtimestamp(path.lstat().st_mtime, UTC), why)


def _why_no_drop(path: Path, drop: DropKey | None, calendar: Calendar) -> str | None:
    """Say why an entry of the landing folder is not read as a drop; None where it is."""
    such = "a date such as 2024-05-03" if calendar.has_dates else f"a drop such as {calendar.first_drop}"
    name = "2024-05-03" if calendar.has_dates else str(calendar.first_drop)
    if path.is_symlink():
        return "found a link, which is not followed; allowed: a folder with the files themselves"
    if not path.is_dir():
        return f"found a file beside the folders of the drops; allowed: files inside a folder such as {name}"
    if drop is None:
        meant = _meant_date(path.name)
        return f"found a folder whose name is no drop; allowed: {meant or such}"
    if not calendar.is_drop(drop):
        return (
            f"found {'a date' if calendar.has_dates else 'a name'} that is no drop of the calendar; allowed: "
            f"{_steps_of(calendar)} from {calendar.first_drop}"
            + (f" to {calendar.last_drop}, `calendar.end` in defs.yaml" if calendar.last_drop else "")
        )
    return None


def _steps_of(calendar: Calendar) -> str:
    if calendar.is_whole_days:
        return f"every {calendar.mean_length.days} days"
    return f"one every {calendar.step_text}"


def _meant_date(name: str) -> str | None:
    found = re.fullmatch(r"(\d{4})\D?(\d{1,2})\D?(\d{1,2})", name)
    try:
        return found and date(*map(int, found.groups())).isoformat()
    except ValueError:
        return None


def _is_read(name: str, files: Sequence[ExpectedFile]) -> bool:
    """Say whether a file is one of a source, its checksum or its marker."""
    bare = name.removesuffix(CHECKSUM)
    return any(file.is_file(bare) or _is_marker(name, file) for file in files)


def _is_marker(name: str, file: ExpectedFile) -> bool:
    before, stands, after = file.marker.partition("{file}")
    folder, slash, own = name.rpartition("/")
    if not stands:
        return bool(file.marker) and own == file.marker
    is_around = own.startswith(before) and own.endswith(after)
    return is_around and file.is_file(folder + slash + own.removeprefix(before).removesuffix(after))


def _why_no_file(file: Path, files: Sequence[ExpectedFile]) -> str:
    name, file_names = file.name, [each.shown for each in files]
    own = next((each for each in file_names if name.lower().startswith(Path(each).stem)), None)
    allowed = own or ", ".join(file_names)
    if not name.isprintable() or not _is_utf8(name):
        return f"found a name that is not plain UTF-8; allowed: {allowed}"
    if name.lower().endswith(_UNDER_WAY):
        return f"found an upload that has not ended; allowed: {allowed}, renamed when it is whole"
    if name.lower().endswith(_PACKED):
        return f"found a packed file; allowed: {allowed}, unpacked"
    if file.is_dir():
        return f"found a folder; allowed: {allowed}"
    stem, _, suffix = own.partition(".") if own else ("", "", "")
    late = f", or {stem}.LABEL.{suffix} for what comes late" if own and "*" not in own and "?" not in own else ""
    return f"found a name of no source; allowed: {allowed}{late}"


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
