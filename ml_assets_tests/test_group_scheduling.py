"""Tests of one group run on one worker."""

from __future__ import annotations

import os

import pytest

pytestmark = pytest.mark.xdist_group("scheduling")


@pytest.mark.parametrize("_number", range(3))
def test_tests_of_a_group_run_on_one_worker(_number: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "the only one")
    seen = tmp_path_factory.getbasetemp().parent / "workers_of_scheduling"  # the folder that workers share
    with seen.open("a") as log:
        log.write(f"{worker}\n")

    assert set(seen.read_text().split("\n")) - {""} == {worker}
