from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from ml_assets.training.canonical_skops import canonical_archive, dump_canonical, load_allowed

ONE_FIT = """
import hashlib
from ml_assets_tests.training.conftest import RUNGS, made_up_flights
from ml_assets.training.estimators import fit_rung
frame, labels = made_up_flights()
for kind in sorted(RUNGS):
    for name, content in fit_rung(RUNGS[kind], frame, labels, seed=3, threads=1).to_files().items():
        print(kind, name, hashlib.sha256(content).hexdigest())
"""


def _fitted_scaler() -> object:
    from sklearn.preprocessing import StandardScaler

    return StandardScaler().fit(np.array([[1.0, 2.0], [3.0, 5.0]]))


def _hashes_of_a_fit_in_another_process(hash_seed: str) -> list[str]:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", ONE_FIT]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    return ended.stdout.splitlines()


def test_the_same_fit_gives_the_same_bytes_in_two_processes() -> None:
    one, two = (_hashes_of_a_fit_in_another_process(seed) for seed in ("1", "2"))

    assert one == two
    assert [line.rsplit(" ", 1)[0] for line in one] == [
        "group_history groups.json",
        "group_history columns.json",
        "logistic_regression pipeline.skops",
        "logistic_regression columns.json",
        "xgboost booster.ubj",
        "xgboost columns.json",
    ]


def test_archives_are_deflated_for_a_schema_says_most_things_many_times() -> None:
    archive = dump_canonical(_fitted_scaler())

    with zipfile.ZipFile(io.BytesIO(archive)) as found:
        members = found.infolist()
    assert {member.compress_type for member in members} == {zipfile.ZIP_DEFLATED}
    assert len(archive) < sum(member.file_size for member in members) / 2
    assert canonical_archive(archive) == archive


def test_skops_alone_gives_other_bytes_and_canonical_ones_are_equal() -> None:
    from skops.io import dumps

    one, two = dumps(_fitted_scaler()), dumps(_fitted_scaler())

    assert one != two
    assert canonical_archive(one) == canonical_archive(two)


def test_another_model_gives_other_bytes() -> None:
    from sklearn.preprocessing import StandardScaler

    other = StandardScaler().fit(np.array([[1.0, 2.0], [3.0, 6.0]]))

    assert dump_canonical(other) != dump_canonical(_fitted_scaler())


def test_what_was_rewritten_is_still_a_skops_archive_with_the_same_numbers() -> None:
    from skops.io import loads

    scaler = _fitted_scaler()

    loaded = loads(dump_canonical(scaler), trusted=["numpy.dtype"])

    np.testing.assert_array_equal(loaded.mean_, [2.0, 3.5])
    np.testing.assert_array_equal(loaded.scale_, [1.0, 1.5])


def test_one_array_referred_to_twice_stays_one_array() -> None:
    shared = np.array([1.0, 2.0])

    loaded = load_allowed(
        dump_canonical({"a": shared, "b": shared, "c": shared.copy()}),
        ["builtins.dict", "builtins.str", "builtins.list", "numpy.ndarray"],
    )

    assert loaded["a"] is loaded["b"]
    assert loaded["a"] is not loaded["c"]
    assert loaded["c"].tolist() == [1.0, 2.0]


def test_canonical_input_comes_back_unchanged() -> None:
    once = dump_canonical(_fitted_scaler())

    assert canonical_archive(once) == once


def test_members_carry_no_time_and_no_memory_address() -> None:
    with zipfile.ZipFile(io.BytesIO(dump_canonical(_fitted_scaler()))) as archive:
        members = archive.infolist()

    assert {member.date_time for member in members} == {(1980, 1, 1, 0, 0, 0)}
    names = [member.filename for member in members]
    assert names == sorted(names)
    assert names[0] == "member_00001.npy"


def test_a_type_off_the_list_is_refused_and_named() -> None:
    archive = dump_canonical(_fitted_scaler())

    with pytest.raises(ValueError, match=r"not allowed: .*sklearn\.preprocessing\._data\.StandardScaler"):
        load_allowed(archive, ["builtins.dict", "builtins.str"])


def test_a_function_off_the_list_is_refused() -> None:
    from sklearn.preprocessing import FunctionTransformer

    archive = dump_canonical(FunctionTransformer(np.log1p))

    with pytest.raises(ValueError, match=r"not allowed: .*log1p"):
        load_allowed(archive, ["builtins.dict", "builtins.list", "builtins.str"])
