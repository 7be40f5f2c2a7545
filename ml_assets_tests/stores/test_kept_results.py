"""Results kept in files: worked out once for the same inputs, and again where the file is no good."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_assets.stores.kept_results import keep_in_file


class Worker:
    def __init__(self) -> None:
        self.done = 0

    def work(self) -> str:
        self.done += 1
        return "forty-two"


def read(content: bytes) -> str:
    text = content.decode()
    if text != "forty-two":
        raise ValueError(text)
    return text


def keep(folder: Path, worker: Worker, *made_from: str) -> str:
    return keep_in_file(folder, made_from, worker.work, str.encode, read)


def test_same_inputs_are_worked_out_once(tmp_path: Path) -> None:
    worker = Worker()

    assert [keep(tmp_path, worker, "a", "b") for _ in range(3)] == ["forty-two"] * 3
    assert worker.done == 1
    keep(tmp_path, worker, "a", "c")
    assert worker.done == 2


def test_damaged_file_is_made_again(tmp_path: Path) -> None:
    worker = Worker()
    keep(tmp_path, worker, "a")
    [file] = tmp_path.iterdir()
    file.write_bytes(b"half of")

    assert keep(tmp_path, worker, "a") == "forty-two"
    assert worker.done == 2
    assert file.read_bytes() == b"forty-two"


def test_only_the_newest_three_stay(tmp_path: Path) -> None:
    for name in "abcde":
        keep(tmp_path, Worker(), name)

    assert len(list(tmp_path.iterdir())) == 3


def test_folder_that_cannot_be_written_costs_only_the_work(tmp_path: Path) -> None:
    file = tmp_path / "taken"
    file.write_text("a file where the folder would be")

    assert keep(file, Worker(), "a") == "forty-two"


def test_what_the_work_raises_is_raised(tmp_path: Path) -> None:
    def fail() -> str:
        raise RuntimeError("no rows")

    with pytest.raises(RuntimeError, match="no rows"):
        keep_in_file(tmp_path, ["a"], fail, str.encode, read)
    assert not list(tmp_path.iterdir())
