"""Sends the tests of an xdist group to one worker, so that what they share is set up once.

pytest-xdist 3.8 writes the group of a test behind its node id. pytest 9.2 keeps node ids elsewhere, so the group was
lost, without a word: each worker set up every shared history. Here the group is read from the file of the test. Where
xdist tells the group again, it is used as told.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from xdist.scheduler import LoadGroupScheduling

_GROUP = re.compile(r'pytest\.mark\.xdist_group\("(\w+)"\)')


class GroupScheduling(LoadGroupScheduling):
    """Groups tests as their modules say in `pytestmark`; a test of no group is scheduled by itself."""

    def _split_scope(self, nodeid: str) -> str:
        told = super()._split_scope(nodeid)
        root = Path(str(self.config.rootpath))
        return told if told != nodeid else group_of(root / nodeid.partition("::")[0]) or nodeid


@cache
def group_of(module: Path) -> str | None:
    """Give the group that a test module names, or None.

    >>> group_of(Path(__file__).parent / "test_backfill.py")
    'backfill'
    """
    if module.suffix != ".py" or not module.is_file():
        return None
    found = _GROUP.search(module.read_text())
    return found.group(1) if found else None
