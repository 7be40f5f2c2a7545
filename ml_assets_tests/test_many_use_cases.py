"""Twenty use cases in one location, one of them broken: they load fast and touch nothing of each other."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ml_assets_tests.rehearsal import REPOSITORY

pytestmark = pytest.mark.slow

DECLARED = REPOSITORY / "ml_assets_tests" / "second_use_case" / "late_loans"
BROKEN = "loans_07"
LOOK = """
import json, time
from ml_assets.definitions import use_cases
found = use_cases()
repository = found.get_repository_def()
print(json.dumps({
    "cpu_s": time.process_time(),
    "assets": [key.path for key in repository.asset_graph.get_all_asset_keys()],
    "jobs": [job.name for job in repository.get_all_jobs()],
    "sensors": [sensor.name for sensor in repository.sensor_defs],
    "schedules": [schedule.name for schedule in repository.schedule_defs],
    "ops": [node for job in repository.get_all_jobs() for node in job.graph.node_dict if not job.name.startswith("__")],
}))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Load a project of twenty use cases, in a process of its own; give what it holds and the CPU that it took."""
    project = tmp_path_factory.mktemp("many")
    (project / "ml_assets.toml").touch()
    for number in range(1, 21):
        name = f"loans_{number:02d}"
        folder = Path(shutil.copytree(DECLARED, project / "defs" / name))
        text = (folder / "defs.yaml").read_text().replace("  name: late_loans", f"  name: {name}", 1)
        (folder / "defs.yaml").write_text(text.replace("  calendar:", "  calender:") if name == BROKEN else text)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ML_ASSETS_")}
    environment |= {"PYTHONPATH": str(REPOSITORY), "ML_ASSETS_PROJECT": str(project), "DAGSTER_HOME": str(project)}
    looks = [
        subprocess.run([sys.executable, "-c", LOOK], env=environment, cwd=project, capture_output=True, check=True)
        for _ in range(2)  # the first may have to compile
    ]
    return json.loads(looks[-1].stdout)


def test_twenty_use_cases_load_within_five_seconds_of_cpu(found: dict[str, Any]) -> None:
    assert found["cpu_s"] <= 5


def test_names_do_not_conflict_and_each_begins_with_its_use_case(found: dict[str, Any]) -> None:
    names = {f"loans_{number:02d}" for number in range(1, 21)}

    assert {path[0] for path in found["assets"]} == names
    for kind in ("jobs", "sensors", "schedules"):
        assert [name for name, count in Counter(found[kind]).items() if count > 1] == []
    of_use_cases = [name for kind in ("sensors", "schedules") for name in found[kind]]
    assert [name for name in of_use_cases if not name.startswith("loans_")] == []


def test_broken_one_removes_itself_alone_and_says_so(found: dict[str, Any]) -> None:
    counts = Counter(path[0] for path in found["assets"])

    assert counts.pop(BROKEN) == 1
    assert [BROKEN, "broken_declaration"] in found["assets"]
    assert len(set(counts.values())) == 1
    assert f"{BROKEN}_alerts" in found["sensors"]
    assert f"{BROKEN}_batch" not in found["jobs"]
