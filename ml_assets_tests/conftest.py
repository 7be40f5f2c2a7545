"""What holds for every test: one thread, no telemetry, the same examples each time."""

import os

os.environ.update(
    # One thread, before numpy loads: sums come out in one order, and two workers share the cores.
    OMP_NUM_THREADS="1",
    OPENBLAS_NUM_THREADS="1",
    MKL_NUM_THREADS="1",
    DO_NOT_TRACK="true",
    MLFLOW_DISABLE_TELEMETRY="true",
    GX_ANALYTICS_ENABLED="false",
    DAGSTER_DISABLE_TELEMETRY="1",
)

from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadGroupScheduling

    from ml_assets_tests.rehearsal import Rehearsal

settings.register_profile("ci", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("ci")


def drawn(examples: int) -> settings:
    """Draw so many examples, and where each costs much: `ML_ASSETS_DRAWN` multiplies them, as `make test-slow` does."""
    return settings(max_examples=examples * int(os.environ.get("ML_ASSETS_DRAWN", "1")))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: "Producer") -> "LoadGroupScheduling | None":
    """Keep the tests of a group on one worker, which `--dist loadgroup` alone does not do with these versions."""
    from ml_assets_tests.group_scheduling import GroupScheduling

    return GroupScheduling(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> "Rehearsal":
    """Run a served history once, for the modules of the xdist group `models`: they work on copies of it."""
    from ml_assets_tests.served import serve

    return serve(tmp_path_factory.mktemp("served"))
