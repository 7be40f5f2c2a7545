"""What of a drop is handed over as a file, in which format, and to which folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import Field

from ml_assets.spec.databases import Address
from ml_assets.spec.declared import Declared, Fault
from ml_assets.spec.raw_yaml import list_of, mapping_of

_FILES = ("csv", "parquet")
DeliveredTable = Literal["worklist", "predictions"]
FOLDERS_VARIABLE = "ML_ASSETS_DELIVERY_FOLDERS"  # of the machine: who may edit a declaration cannot write everywhere


@dataclass(frozen=True)
class DeliveryRoots:
    """Where a machine lets files be delivered: below `state`/delivered/<use case>, and below each of `allowed`."""

    state: Path
    allowed: tuple[Path, ...] = ()

    def refusal(self, use_case: str, folder: Path) -> str | None:
        """Say why a folder is refused, links resolved; None where files may go there.

        Examples
        --------
        >>> roots = DeliveryRoots(Path("/srv/data"), (Path("/srv/desk"),))
        >>> [roots.refusal("late", Path(each)) for each in ("/srv/data/delivered/late/desk", "/srv/desk/late")]
        [None, None]
        >>> print(roots.refusal("late", Path("/srv/data/lake")))
        lies in the state of this machine; allowed: below /srv/data/delivered/late, or outside /srv/data
        >>> print(roots.refusal("late", Path("/etc")))
        is not among the folders of $ML_ASSETS_DELIVERY_FOLDERS; allowed: a folder below the delivered files, as in
        desk/late, or one below /srv/desk
        """
        resolved, own = folder.resolve(), self.state / "delivered" / use_case
        if resolved.is_relative_to(own.resolve()):
            return None
        if resolved.is_relative_to(self.state.resolve()):
            return f"lies in the state of this machine; allowed: below {own}, or outside {self.state}"
        if any(resolved.is_relative_to(root.resolve()) for root in self.allowed):
            return None
        known = " or ".join(str(root) for root in self.allowed) or "one that you add to this variable (now: none)"
        allowed = f"a folder below the delivered files, as in desk/late, or one below {known}"
        return f"is not among the folders of ${FOLDERS_VARIABLE}; allowed: {allowed}"


class Delivery(Declared):
    """What is handed over of a drop: one file, `<folder>/<drop>.<format>`, rows of a database, or a call of a webhook.

    `folder` is below the delivered files of the use case, by default named as the table; an absolute one lies below a
    folder that the machine allows (`DeliveryRoots`). `escape_formulas` writes texts of a CSV file that a spreadsheet
    would run, such as `=HYPERLINK(…)`, with a `'` before them; declare `false` where a program reads the file.
    """

    table: DeliveredTable
    format: Literal["csv", "parquet", "database", "webhook"] = "csv"
    folder: str = ""
    escape_formulas: bool = True
    url: Address | None = None
    into: str = Field(default="", pattern=r"^([A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?)?$")

    @property
    def is_file(self) -> bool:
        """Say whether files are written."""
        return self.format in _FILES

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
        kind = declared.get("format", "csv")
        yield from _address_faults(declared, kind)
        if declared.get("escape_formulas", True) is not True and kind != "csv":
            yield (
                ("escape_formulas",),
                "found with another format; allowed: with format csv, the others keep their types",
            )
        folder = declared.get("folder")
        if not isinstance(folder, str):
            return
        parts = PurePosixPath(folder).parts
        is_odd = not folder.isprintable() or "\\" in folder or ".." in parts or folder.startswith("~")
        if is_odd or ("folder" in declared and parts in ((), ("/",)) and folder != ""):
            allowed = "a folder below the delivered files, as in desk/late, or an absolute path; without .. or ~"
            yield ("folder",), f"found {folder!r}; allowed: {allowed}"


def _address_faults(declared: Mapping[str, Any], kind: object) -> Iterator[Fault]:
    """Find keys of a file for what is none, and an address that is missing or that nobody asks for.

    >>> list(Delivery.faults({"format": "webhook", "folder": "desk"}))
    [(('folder',), 'found with format webhook; allowed: with csv, parquet'), (('url',), 'is required and missing')]
    """
    if kind in _FILES:
        for key in ("url", "into"):
            if declared.get(key):
                yield (
                    (key,),
                    f"found with format {kind}; allowed: with {'database, webhook' if key == 'url' else 'database'}",
                )
        return
    if kind not in ("database", "webhook"):  # told by itself
        return
    if declared.get("folder"):
        yield ("folder",), f"found with format {kind}; allowed: with csv, parquet"
    if not declared.get("url"):
        yield ("url",), "is required and missing"
    if kind == "database" and not declared.get("into"):
        yield ("into",), "is required and missing"
    if kind == "webhook" and declared.get("into"):
        yield ("into",), "found with format webhook; allowed: with database"


def misplaced_folders(declared: Mapping[str, Any], roots: DeliveryRoots) -> Iterator[Fault]:
    """Find absolute folders where this machine lets no file be delivered, in a use case that may not be sound.

    Examples
    --------
    >>> roots = DeliveryRoots(Path("/srv/data"), (Path("/srv/desk"),))
    >>> for folder in ("/srv/data/lake", "/srv/data/delivered/late/desk", "/srv/desk/late", "desk"):
    ...     found = misplaced_folders({"name": "late", "deliveries": [{"folder": folder}]}, roots)
    ...     print(folder, [message for _, message in found])
    /srv/data/lake ["found '/srv/data/lake', which lies in the state of this machine; allowed: below
    /srv/data/delivered/late, or outside /srv/data"]
    /srv/data/delivered/late/desk []
    /srv/desk/late []
    desk []
    """
    for place, each in enumerate(list_of(declared.get("deliveries"))):
        folder = mapping_of(each).get("folder")
        if not isinstance(folder, str) or not folder.isprintable() or not PurePosixPath(folder).is_absolute():
            continue
        refusal = roots.refusal(str(declared.get("name")), Path(folder))
        if refusal is not None:
            yield ("deliveries", place, "folder"), f"found {folder!r}, which {refusal}"


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
        is_file = kind in _FILES
        target = (str(PurePosixPath(folder)), kind) if is_file else (f"{part.get('url')} {part.get('into')}", kind)
        if target in known and is_file:
            said = f"found the files of deliveries[{known[target]}] again, {target[0]}/<drop>.{kind}"
            yield ("deliveries", place), f"{said}; allowed: a folder of its own"
        elif target in known and kind == "database":
            yield (
                ("deliveries", place),
                f"found the table of deliveries[{known[target]}] again; allowed: one of its own",
            )
        known.setdefault(target, place)
