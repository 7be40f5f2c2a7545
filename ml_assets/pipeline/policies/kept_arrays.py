"""Arrays of numbers by name, each in a file that may be lost."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml_assets.stores.landing import write_whole

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class ArraysInFiles(MutableMapping[str, FloatArray]):
    """A mapping from names to arrays of float64, one file each below `folder`."""

    folder: Path

    def __getitem__(self, name: str) -> FloatArray:
        """Read an array; raises KeyError where there is none."""
        try:
            return np.frombuffer(self._file(name).read_bytes(), dtype=np.float64)
        except (OSError, ValueError) as error:
            raise KeyError(name) from error

    def __setitem__(self, name: str, values: FloatArray) -> None:
        """Keep an array; a disk that is full keeps none."""
        with suppress(OSError):
            write_whole(self._file(name), np.ascontiguousarray(values, dtype=np.float64).tobytes())

    def __delitem__(self, name: str) -> None:
        """Forget an array."""
        self._file(name).unlink()

    def __iter__(self) -> Iterator[str]:
        """Name what is kept."""
        return (file.stem for file in self.folder.glob("*.f64"))

    def __len__(self) -> int:
        """Count what is kept."""
        return sum(1 for _ in self)

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.f64"
