"""The review queue as files: what is written, and what is read back and refused."""

from __future__ import annotations

import csv
import io
import json
from datetime import date
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from ml_assets.pipeline.labeling.review_files import AnswerFileError, export_tasks, read_answer_file
from ml_assets.pipeline.labeling.review_tasks import ReviewTask
from ml_assets_tests.comment_spam.state import spam_spec

SPEC = spam_spec()


def task(example_id: str, reviewer: str, text: str = "so good", role: str = "single") -> ReviewTask:
    values = [("author", "a1", "comments.author"), ("text", text, "comments.text"), ("label", None, "")]
    days = date(2024, 1, 2), date(2024, 1, 3)
    return ReviewTask(example_id, *days, reviewer, role, "random", "by chance", 0.1, 0.73, values, (), None)


TASKS = [task("c1", "ana"), task("c2", "ana", "=1+1"), task("c2", "ben", "=1+1"), task("-7", "ben", "später, öfter")]


def fill_csv(file: Path, labels: dict[tuple[str, str], str]) -> None:
    rows = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"), newline="")))
    with file.open("w", encoding="utf-8-sig", newline="") as target:  # as a spreadsheet saves it
        writer = csv.DictWriter(target, rows[0].keys())
        writer.writeheader()
        writer.writerows({**row, "label": labels.get((row["example_id"], row["reviewer"]), "")} for row in rows)


def test_csv_comes_back_as_it_was_filled_in(tmp_path: Path) -> None:
    file = tmp_path / "tasks.csv"
    export_tasks(SPEC, TASKS, file)
    rows = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"), newline="")))

    fill_csv(file, {("c1", "ana"): "1", ("c2", "ana"): "No Spam", ("c2", "ben"): "?", ("-7", "ben"): "0.0"})
    found = read_answer_file(SPEC, file, TASKS)

    assert [row["text"] for row in rows] == [
        "so good",
        "'=1+1",
        "'=1+1",
        "später, öfter",
    ]  # no formula for a spreadsheet
    assert {"example_label", "label"} <= rows[0].keys()
    assert "0.73" not in file.read_text(encoding="utf-8")  # a score would anchor people
    assert [(each.example_id, each.reviewer, label) for each, label in found] == [
        ("c1", "ana", 1), ("c2", "ana", 0), ("c2", "ben", None), ("-7", "ben", 0)
    ]  # fmt: skip


def test_rows_without_a_label_are_not_answered(tmp_path: Path) -> None:
    file = tmp_path / "tasks.csv"
    export_tasks(SPEC, TASKS, file)

    assert read_answer_file(SPEC, file, TASKS) == []


def test_every_wrong_line_is_named_and_nothing_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "tasks.csv"
    file.write_text("example_id,reviewer,label\nc1,ana,1\nc1,ben,1\nc9,ana,1\nc2,ana,spamm\nc1,ana,0\n")

    with pytest.raises(AnswerFileError) as refused:
        read_answer_file(SPEC, file, TASKS)

    assert str(refused.value).splitlines() == [
        "nothing was taken:",
        "tasks.csv:3: reviewer: found 'ben'; c1 was asked of ana",
        "tasks.csv:4: example_id: found 'c9'; allowed: an example of the review queue",
        "tasks.csv:5: label: found 'spamm'; allowed: 0 (no spam), 1 (spam), ? (cannot tell); nearest: spam",
        "tasks.csv:6: found c1 of ana again; allowed: once",
    ]


def annotated(example_id: str, reviewer: str, *choices: str | None, **more: Any) -> dict[str, Any]:
    """Give a task as Label Studio exports it, with an annotation a choice; None is a skipped one."""
    made = [
        {"created_at": f"2024-01-0{day}T10:00:00Z", "was_cancelled": choice is None, "completed_by": {"id": 1},
         "result": [] if choice is None else [{"from_name": "label", "type": "choices",
                                               "value": {"choices": [choice]}}]}
        for day, choice in enumerate(choices, 1)
    ]  # fmt: skip
    return {"id": 1, "data": {"example_id": example_id, "reviewer": reviewer}, "annotations": made, **more}


def test_label_studio_gets_tasks_with_an_interface_and_its_export_is_read(tmp_path: Path) -> None:
    file, export = tmp_path / "tasks.json", tmp_path / "export.json"
    written = export_tasks(SPEC, TASKS, file)
    tasks = json.loads(file.read_text(encoding="utf-8"))
    export.write_text(json.dumps([
        annotated("c1", "ana", "no spam", "spam"),  # the newest counts
        annotated("c2", "ana", "spam", None), annotated("c2", "ben"), annotated("-7", "ben", "?"),
    ]))  # fmt: skip

    found = read_answer_file(SPEC, export, TASKS)

    assert written == [file, tmp_path / "tasks.xml"]
    assert [each["data"]["example_id"] for each in tasks] == ["c1", "c2", "c2", "-7"]
    assert tasks[3]["data"]["text"] == "später, öfter"
    interface = ET.fromstring((tmp_path / "tasks.xml").read_text(encoding="utf-8"))  # noqa: S314 - written above
    assert [each.get("value") for each in interface.iter("Choice")] == ["no spam", "spam", "?"]
    assert {each.get("value") for each in interface.iter("Text")} == {"$author", "$text", "$example_label"}
    assert [(each.example_id, label) for each, label in found] == [("c1", 1), ("c2", 1), ("-7", None)]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.xlsx", "", "found the ending '.xlsx'; allowed: .csv, or .json of Label Studio"),
        ("a.csv", "id,label\n1,1\n", "a.csv:1: found columns id, label; missing: example_id, reviewer"),
        ("a.json", "{", "a.json:1: is no JSON"),
        ("a.json", '{"a": 1}', "a.json: found dict; allowed: a list of tasks, as Label Studio exports"),
        ("a.json", '[3, {"annotations": [{"result": [{"value": {"choices": ["spam"]}}]}]}]', "example_id: found ''"),
    ],
)
def test_file_of_another_kind_is_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    file = tmp_path / name
    file.write_text(text)

    with pytest.raises(AnswerFileError, match=said.replace("(", r"\(").replace("?", r"\?")):
        read_answer_file(SPEC, file, TASKS)


def test_export_of_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnswerFileError, match=r"found the ending '.txt'"):
        export_tasks(SPEC, TASKS, tmp_path / "a.txt")
