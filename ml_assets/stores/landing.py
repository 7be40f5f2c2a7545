"""The landing folder: what was received in each drop, taken over byte by byte."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Collection
from pathlib import Path

from ml_assets.spec.calendar import Calendar
from ml_assets.spec.drop import DropKey, read_key
from ml_assets.spec.received import REQUEUED, ExpectedFile, LandedFile

CHECKSUM = ".sha256"  # behind the name of a file, the one with its checksum


def take_file(landing: Path, received: Path, drop: DropKey, name: str) -> LandedFile | None:
    """Copy the file `name` landed for `drop` to a name made from its content; None if none landed.

    The copy has a name without glob characters, and stays when the landed file is changed or
    removed: what was once received can always be read again.
    """
    folder = landing / str(drop)
    path = folder / name
    if folder.is_symlink() or any(parent.is_symlink() for parent in path.relative_to(folder).parents if parent):
        return None
    try:
        is_file = stat.S_ISREG(path.lstat().st_mode)  # a link could lead anywhere on this machine
        content = path.read_bytes() if is_file else b""
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = errno.errorcode.get(error.errno or 0, "unknown").lower()
        return LandedFile(drop, name, "", 0, path, f"file_refused:unreadable:{reason}")
    if not is_file:
        return LandedFile(drop, name, "", 0, path, "file_refused:not_a_file")
    sha256 = hashlib.sha256(content).hexdigest()
    said = _said_by_sender(path)
    if said is not None and said != sha256:
        found = f"sha256 {sha256[:12]}..., {name}{CHECKSUM} says {said[:12]}..."
        return LandedFile(drop, name, "", 0, path, "file_refused:checksum_mismatch", found=found)
    copy = received / f"{sha256}.csv"
    if not copy.exists() or hashlib.sha256(copy.read_bytes()).hexdigest() != sha256:
        write_whole(copy, content)
    return LandedFile(drop, name, sha256, len(content), copy)


def _said_by_sender(path: Path) -> str | None:
    """Give the sha256 that a sender wrote beside a file, as `sha256sum` does; None where there is none."""
    try:
        words = path.with_name(f"{path.name}{CHECKSUM}").read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return None
    return words[0].lower() if words else ""


def landed_drops(landing: Path, calendar: Calendar, files: Collection[ExpectedFile]) -> list[DropKey]:
    """List the drops of the calendar in which one of `files` has landed, in order."""
    found: list[DropKey] = []
    for path in landing.iterdir() if landing.is_dir() else ():
        drop = drop_of_folder(path)
        if drop is not None and calendar.is_drop(drop) and any(has_landed(landing, drop, file) for file in files):
            found.append(drop)
    return sorted(found)


def drop_of_folder(folder: Path) -> DropKey | None:
    """Give the drop that a folder is named by; None of another name."""
    return drop_named(folder.name)


def drop_named(name: str) -> DropKey | None:
    """Read the name of a drop; None of another name, also of 20240503 and 2024-W18-5."""
    try:
        return read_key(name)
    except ValueError:
        return None


def has_landed(landing: Path, drop: DropKey, file: ExpectedFile) -> bool:
    """Say whether a file lies in the folder of a drop, each with its marker; a folder that is a link is not followed.

    Where names are patterns, it is enough that one file matches and that every one that matches is whole.
    """
    folder = landing / str(drop)
    if folder.is_symlink():
        return False
    if not file.patterns:
        return (folder / file.name).exists() and is_marked(folder, file.name, file)
    names = own_files(folder, file)
    return bool(names) and all(is_marked(folder, name, file) for name in names)


def own_files(folder: Path, file: ExpectedFile) -> list[str]:
    """List the files that a source has in the folder of a drop, by their path below it, whole or not."""
    if not file.patterns:
        return [file.name] if os.path.lexists(folder / file.name) else []
    names = [name for name in paths_below(folder) if file.is_own(name) and not name.endswith(CHECKSUM)]
    markers = {(Path(name).parent / file.marker_of(Path(name).name)).as_posix() for name in names if file.marker}
    return [name for name in names if name not in markers and name != file.marker]


def paths_below(folder: Path) -> list[str]:
    """List all files below a folder by their path, in order; links to folders are not followed.

    What begins with a dot is an upload under way.
    """
    if folder.is_symlink() or not folder.is_dir():
        return []
    found: list[str] = []
    for at, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = Path(at).relative_to(folder)
        found += [(below / name).as_posix() for name in names if not name.startswith(".")]
    return sorted(found)


def is_marked(folder: Path, name: str, file: ExpectedFile) -> bool:
    """Say whether the file `name` of a source is whole by its marker, or needs none, as one of `requeue`.

    The marker lies beside the file; one for a whole drop in the folder of the drop.
    """
    if not file.marker or REQUEUED in name:
        return True
    beside = (folder / name).parent / file.marker_of(Path(name).name)
    return beside.exists() or ("{file}" not in file.marker and (folder / file.marker).exists())


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all, however the process ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
