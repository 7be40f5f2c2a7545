"""Which files are received in which drop: once recorded, for good.

A drop is open until its features were computed. In an open drop its own file is received as it has landed, with every
file beside it, and with what came late for drops that are closed: files that were not there, or that have other content
now. A closed drop is what was recorded; its files are read from the copies that were made of them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from ml_assets.spec.drop import DropKey, read_key
from ml_assets.spec.received import REQUEUED, ExpectedFile, LandedFile
from ml_assets.stores.landing import drop_named, is_marked, own_files, take_file


class LostCopyError(RuntimeError):
    """The copy of a received file is gone or was changed, and the file has not landed with that content either."""


@dataclass(frozen=True)
class Recorded:
    """A received file as the record of receipts has it."""

    drop: DropKey
    name: str
    sha256: str
    size_bytes: int
    refusal: str | None
    is_late: bool
    modified_ns: int

    def folder(self) -> str:
        """Give the folder it landed in: that of the drop, or the one before its name."""
        return self._parts()[0]

    def path(self) -> str:
        """Give its path below that folder.

        >>> from datetime import date
        >>> Recorded(date(2024, 1, 2), "2024-01-01/eu/orders.csv", "", 0, None, True, 0).path()
        'eu/orders.csv'
        """
        return self._parts()[1]

    def _parts(self) -> tuple[str, str]:
        first, _, rest = self.name.partition("/")
        return (first, rest) if rest and drop_named(first) else (str(self.drop), self.name)


@dataclass(frozen=True)
class Folders:
    """Where files land, and where copies of them are kept."""

    landing: Path
    received: Path


def receive(
    folders: Folders,
    expected: ExpectedFile,
    drops: Sequence[DropKey],
    closed: Collection[DropKey],
    recorded: Sequence[Recorded],
    batch_at: Mapping[DropKey, datetime] | None = None,
) -> list[LandedFile]:
    """Give the files of one source received in each of `drops`, in order of drop and name.

    Parameters
    ----------
    expected
        The names of its files, with their marker.
    closed
        Drops whose features were computed: these keep what was recorded.
    recorded
        Every receipt of the source so far.
    batch_at
        The batch of each of `drops`, where files arrive by the clock on the wall: what comes late is then received in
        the first open drop whose batch is not before it was written. Without it, in the first open drop.

    Raises
    ------
    LostCopyError
        If a closed drop cannot be read again.
    """
    asked = set(drops)
    found = [_again(folders, each) for each in recorded if each.drop in asked and each.drop in closed]
    open_drops = [drop for drop in drops if drop not in closed]
    for drop in open_drops:
        found += [_taken(folders, drop, name, expected) for name in _names(folders.landing / str(drop), expected)]
    if open_drops:
        kept = [each for each in recorded if each.drop in closed]  # a run that failed has received nothing
        for file in _late_files(folders, expected, open_drops[0], closed, kept):
            found.append(replace(file, drop=_received_in(file, open_drops, batch_at)))
    return sorted(_once(found, expected, recorded), key=lambda file: (file.drop, file.name))


def _names(folder: Path, expected: ExpectedFile) -> list[str]:
    """List the whole files of a source in a folder: its own, and those beside it with a label."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    own = own_files(folder, expected)
    names = sorted(path.name for path in folder.iterdir())
    labelled = [name for name in names if expected.is_file(name) and not expected.is_own(name)]
    return [name for name in (*own, *labelled) if is_marked(folder, name, expected)]


def _taken(folders: Folders, drop: DropKey, name: str, expected: ExpectedFile) -> LandedFile:
    modified_ns = _modified_ns(folders.landing / str(drop) / name)
    file = take_file(folders.landing, folders.received, drop, name)
    if file is None:  # it was there a moment ago
        return LandedFile(drop, name, "", 0, folders.landing / str(drop) / name, "file_refused:unreadable:enoent")
    return replace(file, is_late=not expected.is_own(name), modified_ns=modified_ns)


def _late_files(
    folders: Folders, expected: ExpectedFile, before: DropKey, closed: Collection[DropKey], recorded: Sequence[Recorded]
) -> list[LandedFile]:
    """Find what landed for closed drops and was not received with them.

    A file with the size and time of its receipt is that file, unless the system says that it was changed since all of
    them were last read: whoever writes it can set the time of change, and not that.
    """
    newest: dict[tuple[str, str], Recorded] = {}
    for each in sorted(recorded, key=lambda each: each.drop):
        newest[each.folder(), each.path()] = each
    contents = {each.sha256 for each in recorded}
    found: list[LandedFile] = []
    with _Looks(folders, expected.name) as looks:
        for drop in sorted(drop for drop in closed if drop < before):
            folder = folders.landing / str(drop)
            for name in _names(folder, expected):
                last = newest.get((str(drop), name))
                if last and (REQUEUED in name or looks.is_unchanged(folder / name, last)):
                    continue
                file = _taken(folders, drop, name, expected)
                # a file of its own is news when it differs from what it last was; a labelled one when nobody said it
                said = {last.sha256} if last else set[str]()
                if not expected.is_own(name) and REQUEUED not in name:
                    said |= contents
                is_told = file.refusal is not None and last is not None and last.refusal == file.refusal
                if file.sha256 not in said and not is_told:
                    found.append(replace(file, name=f"{drop}/{name}", is_late=True))
        looks.is_nothing_new = not found
    return found


class _Looks:
    """When all files that landed for closed drops were last found to be the recorded ones, by the clock of the files.

    It is the time of an empty file beside the copies; without that file every file is read once more.
    """

    def __init__(self, folders: Folders, file_name: str) -> None:
        self._file = folders.received / ".looked" / f"{folders.landing.name}.{file_name}"
        self._begun = self._file.with_name(f".{self._file.name}.{os.getpid()}.tmp")
        self._last_ns, self._has_read, self.is_nothing_new = _modified_ns(self._file), False, False

    def __enter__(self) -> Self:
        return self

    def is_unchanged(self, path: Path, last: Recorded) -> bool:
        """Say whether a file is the recorded one without reading it."""
        stat = path.lstat()
        if (last.size_bytes, last.modified_ns) != (stat.st_size, stat.st_mtime_ns):
            return False
        if stat.st_ctime_ns < self._last_ns:
            return True
        if not self._has_read:
            self._begun.parent.mkdir(parents=True, exist_ok=True)
            self._begun.touch()
            self._has_read = True
        return False

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._has_read and self.is_nothing_new and kind is None:
            self._begun.replace(self._file)
        self._begun.unlink(missing_ok=True)


def _received_in(
    file: LandedFile, open_drops: Sequence[DropKey], batch_at: Mapping[DropKey, datetime] | None
) -> DropKey:
    if batch_at is None:
        return open_drops[0]
    written = datetime.fromtimestamp(file.modified_ns / 1e9, UTC)
    return next((drop for drop in open_drops if written <= batch_at[drop]), open_drops[-1])


def _once(files: Iterable[LandedFile], expected: ExpectedFile, recorded: Sequence[Recorded]) -> Iterable[LandedFile]:
    """Leave out labelled files whose content was received before, or lies in another file of these."""
    files = list(files)
    contents = {each.sha256: each.drop for each in sorted(recorded, key=lambda each: each.drop, reverse=True)}
    own = {file.sha256 for file in files if not file.is_late}
    for file in sorted(files, key=lambda file: (file.drop, file.name)):
        name = file.name.partition("/")[2] if drop_named(file.name.partition("/")[0]) else file.name
        is_labelled = file.is_late and not expected.is_own(name) and REQUEUED not in name
        if is_labelled and file.refusal is None:
            first = contents.setdefault(file.sha256, file.drop)
            if file.sha256 in own or first < file.drop:
                continue
            own.add(file.sha256)
        yield file


def _again(folders: Folders, receipt: Recorded) -> LandedFile:
    copy = folders.received / f"{receipt.sha256}.csv"
    refusal = None if receipt.sha256 else receipt.refusal  # what could be read is judged again, by its contract
    file = LandedFile(
        receipt.drop, receipt.name, receipt.sha256, receipt.size_bytes, copy, refusal, receipt.is_late,
        receipt.modified_ns,
    )  # fmt: skip
    if not receipt.sha256:
        return file
    if not copy.exists() or hashlib.sha256(copy.read_bytes()).hexdigest() != receipt.sha256:
        folder, name = read_key(receipt.folder()), receipt.path()
        landed = take_file(folders.landing, folders.received, folder, name)
        if landed is None or landed.sha256 != receipt.sha256:
            raise LostCopyError(
                f"{receipt.name} as received in drop {receipt.drop} cannot be read again: {copy} is gone or changed, "
                f"and {folders.landing / receipt.folder() / name} does not hold it; put back the file with sha256 "
                f"{receipt.sha256}"
            )
    return file


def _modified_ns(path: Path) -> int:
    try:
        return path.lstat().st_mtime_ns
    except OSError:
        return 0
