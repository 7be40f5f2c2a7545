"""What of a drop is handed over as a file, in which format, and to which folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from ml_assets.spec.declared import Declared, Fault
from ml_assets.spec.untyped import list_of, mapping_of

DeliveredTable = Literal["worklist", "predictions"]


class Delivery(Declared):
    """One file a drop: `<folder>/<drop>.<format>`.

    `folder` is below the delivered files of the use case, by default named as the table. An absolute one is whoever
    declares it's own choice, and lies outside the state of the use case.
    """

    table: DeliveredTable
    format: Literal["csv", "parquet"] = "csv"
    folder: str = ""

    @property
    def path(self) -> PurePosixPath:
        """Give the folder, absolute or below the delivered files of the use case."""
        return PurePosixPath(self.folder or self.table)

    @classmethod
    def faults(cls, declared: Mapping[str, Any]) -> Iterator[Fault]:
        """Find folders that lead elsewhere than they say.

        Examples
        --------
        >>> for folder in ("desk", "/srv/desk", "../lake", "~/desk"):
        ...     print(folder, [message for _, message in Delivery.faults({"folder": folder})])
        desk []
        /srv/desk []
        ../lake ["found '../lake'; allowed: a folder below the delivered files, as in desk/late, or an absolute path;
        without .. or ~"]
        ~/desk ["found '~/desk'; allowed: a folder below the delivered files, as in desk/late, or an absolute path;
        without .. or ~"]
        """
        folder = declared.get("folder")
        if not isinstance(folder, str):
            return
        parts = PurePosixPath(folder).parts
        is_odd = not folder.isprintable() or "\\" in folder or ".." in parts or folder.startswith("~")
        if is_odd or ("folder" in declared and parts in ((), ("/",)) and folder != ""):
            allowed = "a folder below the delivered files, as in desk/late, or an absolute path; without .. or ~"
            yield ("folder",), f"found {folder!r}; allowed: {allowed}"


def misplaced_folders(declared: Mapping[str, Any], state: Path) -> Iterator[Fault]:
    """Find absolute folders that lie in the state of this machine, in a use case that may not be sound.

    Examples
    --------
    >>> for folder in ("/srv/data/lake", "/srv/data/delivered/late/desk", "/srv/desk", "desk"):
    ...     found = misplaced_folders({"name": "late", "deliveries": [{"folder": folder}]}, Path("/srv/data"))
    ...     print(folder, [message for _, message in found])
    /srv/data/lake ["found '/srv/data/lake', which lies in the state of this machine; allowed: a folder below the
    delivered files, as in desk/late, or an absolute one outside /srv/data"]
    /srv/data/delivered/late/desk []
    /srv/desk []
    desk []
    """
    own = state / "delivered" / str(declared.get("name"))
    for place, each in enumerate(list_of(declared.get("deliveries"))):
        folder = mapping_of(each).get("folder")
        if not isinstance(folder, str) or not folder.isprintable() or not PurePosixPath(folder).is_absolute():
            continue
        resolved = Path(folder).resolve()
        if resolved.is_relative_to(state.resolve()) and not resolved.is_relative_to(own.resolve()):
            allowed = f"a folder below the delivered files, as in desk/late, or an absolute one outside {state}"
            said = f"found {folder!r}, which lies in the state of this machine; allowed: {allowed}"
            yield ("deliveries", place, "folder"), said


def repeated_files(declared: Mapping[str, Any]) -> Iterator[Fault]:
    """Find deliveries that would write one file, in a use case that may not be sound.

    Examples
    --------
    >>> worklist = {"table": "worklist", "format": "csv"}
    >>> list(repeated_files({"deliveries": [worklist, {"table": "predictions", "folder": "worklist/"}]}))
    [(('deliveries', 1), 'found the files of deliveries[0] again, worklist/<drop>.csv; allowed: a folder of its own')]
    """
    known: dict[tuple[str, str], int] = {}
    for place, each in enumerate(list_of(declared.get("deliveries"))):
        part = mapping_of(each)
        folder, table, kind = part.get("folder") or part.get("table"), part.get("table"), part.get("format", "csv")
        if not (isinstance(folder, str) and isinstance(table, str) and isinstance(kind, str)):
            continue
        target = (str(PurePosixPath(folder)), kind)
        if target in known:
            said = f"found the files of deliveries[{known[target]}] again, {target[0]}/<drop>.{kind}"
            yield ("deliveries", place), f"{said}; allowed: a folder of its own"
        known.setdefault(target, place)
