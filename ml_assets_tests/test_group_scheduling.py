"""Tests of one group run on one worker."""

from __future__ import annotations

import os

import pytest

pytestmark = pytest.mark.xdist_group("scheduling")


@pytest.mark.parametrize("name", ["first", "second", "third"])
def test_tests_of_a_group_run_on_one_worker(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "the only one")
    shared = tmp_path_factory.getbasetemp().parent  # the folder of all workers
    (shared / f"{name}_of_a_group").write_text(worker)

    assert {each.read_text() for each in shared.glob("*_of_a_group")} == {worker}
