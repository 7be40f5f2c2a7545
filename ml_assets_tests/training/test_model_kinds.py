import os
import subprocess
import sys
from pathlib import Path

import pytest

from ml_assets.spec.model import ModelCandidate
from ml_assets.training.model_kind import ModelKind
from ml_assets.training.model_kind_conformance import CHECKS, ConformanceError, saves_and_loads
from ml_assets.training.model_kinds import BUILT_IN, model_kind
from ml_assets_tests.training.conftest import CANDIDATES

COUNTED = BUILT_IN["constant"]
DECLARED = CANDIDATES | {
    "feature_value": ModelCandidate(name="naive", kind="feature_value", features=("hour",)),
    "linear_regression": ModelCandidate(name="ridge", kind="linear_regression", parameters={"min_frequency": 20}),
    "poisson_regression": ModelCandidate(name="poisson", kind="poisson_regression", parameters={"min_frequency": 20}),
}
BROKEN = ModelKind("constant", {}, COUNTED.fit, lambda files: COUNTED.load(dict.fromkeys(files, b'{"mean": 0.5}')))


@pytest.mark.parametrize("name", sorted(BUILT_IN))
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_kind_of_this_package_conforms(check: object, name: str) -> None:
    assert callable(check)
    check(BUILT_IN[name], DECLARED.get(name, ModelCandidate(name="plain", kind=name)))


def test_kind_that_loads_something_else_does_not_conform() -> None:
    with pytest.raises(ConformanceError, match="a loaded model scores otherwise"):
        saves_and_loads(BROKEN)


def test_unknown_kind_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="known are constant, group_history, feature_value"):
        model_kind("forest")


KIND_FILE = '''
"""A kind of model of another package: the nearest training rows vote."""
import json
from dataclasses import dataclass

import numpy as np

from ml_assets.training.model_kind import FitRequest, ModelKind
from ml_assets.training.candidate_parameters import candidate_parameters


@dataclass(frozen=True)
class Step:
    column: str
    cut: float
    below: float
    above: float
    kind = "step"

    @property
    def feature_names(self):
        return (self.column,)

    def predict(self, features):
        if self.column not in features.columns:
            raise ValueError(f"feature columns are missing: {self.column}")
        values = features[self.column].to_numpy(dtype=np.float64, na_value=np.nan)
        return np.where(np.isfinite(values) & (values > self.cut), self.above, self.below)

    def to_files(self):
        return {"step.json": json.dumps([self.column, self.cut, self.below, self.above]).encode()}

    def importance(self):
        return {self.column: abs(self.above - self.below)}

    def contributions(self, features):
        return None


def fit(request: FitRequest) -> Step:
    share = candidate_parameters(request.candidate, DEFAULTS)["quantile"]
    column = next(each for each in request.features.columns if request.features[each].dtype.kind in "if")
    values = request.features[column].to_numpy(dtype=np.float64)
    cut = float(np.quantile(values[np.isfinite(values)], share))
    is_above = np.isfinite(values) & (values > cut)
    rate = [float(np.clip(request.labels[rows].mean(), 0.01, 0.99)) for rows in (~is_above, is_above)]
    return Step(column, cut, *rate)


DEFAULTS = {"quantile": 0.5}
KIND = ModelKind("step", DEFAULTS, fit, lambda files: Step(*json.loads(files["step.json"])))
'''
PROGRAM = """
import sys
from ml_assets.spec.model_kinds import kind_fault, model_kind_names, parameters_of
from ml_assets.training.estimators import load_model
from ml_assets.training.model_kind_conformance import CHECKS
from ml_assets.training.model_kinds import model_kind
for check in CHECKS:
    check(model_kind("step"))
print(load_model("step", {"step.json": b'["hour", 1.0, 0.25, 0.75]'}).importance())
print(model_kind_names()[-2:], parameters_of("step"), parameters_of("gone"))
print(kind_fault("gone"))
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Give a folder with an installed package that adds two kinds, of which one cannot be imported."""
    (tmp_path / "step_kind.py").write_text(KIND_FILE)
    described = tmp_path / "step_kind-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: step-kind\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text(
        "[ml_assets.model_kinds]\nstep = step_kind:KIND\ngone = not_installed_anywhere:KIND\n"
    )
    return tmp_path


def test_kind_of_another_package_is_found_fitted_saved_and_loaded(package: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False,
                           env=os.environ | {"PYTHONPATH": str(package)})  # fmt: skip

    assert ended.returncode == 0, ended.stderr
    importance, known, fault = ended.stdout.splitlines()
    assert importance == "{'hour': 0.5}"
    assert known == "['gone', 'step'] ('quantile',) None"
    assert fault == (
        "ml_assets.model_kinds: 'gone' of step-kind (not_installed_anywhere:KIND) cannot be loaded: "
        "ModuleNotFoundError: No module named 'not_installed_anywhere'"
    )
