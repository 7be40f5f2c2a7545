"""What was received: value types that landing, ingestion and the ledger share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path


@dataclass(frozen=True)
class LandedFile:
    """One received file: what it was called, and the copy that its content names.

    `refusal` is the reason code of what landed but could not be read at all; there is no copy then.
    """

    drop: date
    name: str
    sha256: str
    size_bytes: int
    copy: Path
    refusal: str | None = None


@dataclass(frozen=True)
class Receipt:
    """What reading one landed file gave. Grain: a drop (a source has one file a drop).

    `refusal` is null when the file keeps its contract; else the reason code under which every row
    of it is quarantined. `warning` names what was noticed and let pass.
    """

    drop: date
    name: str
    sha256: str
    size_bytes: int
    rows: int
    refusal: str | None = None
    warning: str | None = None
