"""A package that adds to the product, as pip would have installed it: its files, and the names of what it adds."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ml_assets.spec.extensions import extensions, load_extension


def install(folder: Path, files: Mapping[str, str], adds: Mapping[str, Mapping[str, str]]) -> Path:
    """Write a package into `folder`: modules by name, and by entry-point group what each name stands for."""
    for name, text in files.items():
        (folder / name).write_text(text)
    described = folder / "added_package-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: added-package\nVersion: 1.0\n")
    groups = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in of.items()) for group, of in adds.items()
    ]
    (described / "entry_points.txt").write_text("\n".join(groups))
    return folder


@contextmanager
def installed(folder: Path) -> Iterator[None]:
    """Let this process find the package, for as long as the block lasts."""
    sys.path.insert(0, str(folder))
    _forget()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        _forget()


def _forget() -> None:
    extensions.cache_clear()
    load_extension.cache_clear()
