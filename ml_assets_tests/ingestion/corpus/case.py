"""One small file of the corpus: what lands, under which contract, and what has to become of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ml_assets.spec.contract import Column, Source

COLUMNS: dict[str, Any] = {"id": "string", "seen_at": "timestamp", "kg": "float", "n": "integer"}
HEADER = "id,seen_at,kg,n\n"
AT = "2013-01-01T10:00:00Z"


def row(name: str = "a", at: str = AT, kg: str = "1.5", n: str = "1") -> str:
    """Give one line of a file of the usual contract."""
    return f"{name},{at},{kg},{n}\n"


@dataclass(frozen=True)
class Case:
    """A landed file and what is required of it.

    Attributes
    ----------
    group, about
        Its place and its words in the table of the corpus.
    content
        The bytes that land.
    accepted
        Rows that become facts.
    quarantined
        Reason code and rows of each; every row that is not accepted is here.
    refused
        Why the whole file is refused; None where it is not.
    noted
        What the receipt notes of the file.
    values
        Column and values of the accepted rows, in order of their key, where they matter.
    columns, source
        The contract, where it is another one.
    """

    group: str
    about: str
    content: bytes
    accepted: int = 0
    quarantined: dict[str, int] = field(default_factory=dict[str, int])
    refused: str | None = None
    noted: str | None = None
    values: tuple[str, tuple[Any, ...]] | None = None
    columns: dict[str, Any] | None = None
    source: dict[str, Any] = field(default_factory=dict[str, Any])

    def contract(self) -> Source:
        """Declare the source."""
        declared = {
            name: Column.model_validate(kind if isinstance(kind, dict) else {"type": kind})
            for name, kind in (self.columns or COLUMNS).items()
        }
        return Source.model_validate({"name": "stops", "key": ["id"], "columns": declared, **self.source})


def case(group: str, about: str, text: str | bytes, accepted: int = 0, /, **more: Any) -> Case:
    """Give a case; text is UTF-8."""
    return Case(group, about, text.encode() if isinstance(text, str) else text, accepted, **more)
