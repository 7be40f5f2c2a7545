"""The landing folder: what was received in each drop, taken over byte by byte."""

from __future__ import annotations

import hashlib
import os
from datetime import date
from pathlib import Path

from ml_assets.spec.drops import LandedFile


def take_file(landing: Path, received: Path, drop: date, name: str) -> LandedFile | None:
    """Copy the file `name` landed for `drop` to a name made from its content; None if none landed.

    The copy has a name without glob characters, and stays when the landed file is changed or
    removed: what was once received can always be read again.
    """
    path = landing / drop.isoformat() / name
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    sha256 = hashlib.sha256(content).hexdigest()
    copy = received / f"{sha256}.csv"
    if not copy.exists() or copy.stat().st_size != len(content):
        write_whole(copy, content)
    return LandedFile(drop, name, sha256, len(content), copy)


def landed_drops(landing: Path) -> list[date]:
    """List the drops that have a folder, in order."""
    found = []
    for path in landing.iterdir() if landing.is_dir() else ():
        try:
            found.append(date.fromisoformat(path.name))
        except ValueError:
            continue
    return sorted(found)


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
