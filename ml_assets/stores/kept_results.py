"""Results that are worked out once and kept in files: what a later process would work out again from the same inputs.

A result is named by what it was worked out from, so that it is never out of date: other inputs have another name. The
files may be removed at any time; they are no state, and no backup holds them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from ml_assets.stores.landing import write_whole

T = TypeVar("T")
_MOST = 3  # results kept of one name: the newest


def keep_in_file(
    folder: Path,
    made_from: Sequence[str],
    work: Callable[[], T],
    write: Callable[[T], bytes],
    read: Callable[[bytes], T],
) -> T:
    """Give what `work` gives, read from its file in `folder` where it was worked out before.

    Parameters
    ----------
    made_from
        Names all that the result depends on.
    write, read
        Turn the result into bytes and back. `read` raises ValueError on what it cannot read; then it is worked out.
    """
    name = hashlib.sha256("\n".join(made_from).encode()).hexdigest()[:40]
    file = folder / f"{name}.kept"
    try:
        return read(file.read_bytes())
    except (OSError, ValueError):
        result = work()
    with suppress(OSError):  # a full disk, or one that is only read: it is worked out again the next time
        write_whole(file, write(result))
        forget_oldest(folder, "*.kept", _MOST)
    return result


def forget_oldest(folder: Path, pattern: str, most: int) -> None:
    """Remove files of a folder but the newest `most`; another process may remove them at the same time."""
    found: list[tuple[int, Path]] = []
    for file in folder.glob(pattern):
        with suppress(FileNotFoundError):
            found.append((file.stat().st_mtime_ns, file))
    for _, file in sorted(found)[:-most]:
        file.unlink(missing_ok=True)
