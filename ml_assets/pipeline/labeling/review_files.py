"""The review queue as a file that people fill in elsewhere, and their answers read back: CSV, Label Studio JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from ml_assets.pipeline.labeling.review_answers import review_of
from ml_assets.pipeline.labeling.review_tasks import ReviewTask
from ml_assets.spec.names import did_you_mean
from ml_assets.spec.review import ReviewSpec
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.delivering import escape_formula
from ml_assets.stores.landing import write_whole

KEYS = ("example_id", "reviewer", "queued_in", "label")
CANNOT_TELL = "?"
_SHOWN = 20


class AnswerFileError(ValueError):
    """A file with answers that cannot be taken; nothing of it is. The message has a line for each mistake."""


@dataclass(frozen=True)
class GivenAnswer:
    """An answer of a file: where it stands, about what, by whom, and what it says."""

    place: str
    example_id: str
    reviewer: str
    label: str


def export_tasks(spec: UseCaseSpec, tasks: Sequence[ReviewTask], file: Path) -> list[Path]:
    """Write open tasks to a file by its ending, .csv or .json; give the files written.

    No score is in it: it would anchor people. With .json comes the labeling interface, as `<file>.xml`.

    Raises
    ------
    AnswerFileError
        On another ending.
    """
    if file.suffix == ".csv":
        write_whole(file, _csv_of(tasks).encode())
        return [file]
    if file.suffix == ".json":
        content = [
            {"id": number, "data": {**_keys(task), **_values(task)}} for number, task in enumerate(tasks, 1)
        ]  # fmt: skip
        write_whole(file, json.dumps(content, indent=1, ensure_ascii=False).encode())
        interface = file.with_suffix(".xml")
        write_whole(interface, _interface(review_of(spec), tasks).encode())
        return [file, interface]
    raise AnswerFileError(f"{file}: found the ending {file.suffix!r}; allowed: .csv, or .json for Label Studio")


def read_answer_file(spec: UseCaseSpec, file: Path, tasks: Sequence[ReviewTask]) -> list[tuple[ReviewTask, int | None]]:
    """Read the answers of a file that `export_tasks` wrote and people filled in; what has no label is not answered.

    Raises
    ------
    AnswerFileError
        Naming each line that answers what was not asked, by somebody who was not, or with what is no class.
    """
    reader = {".csv": _from_csv, ".json": _from_json}.get(file.suffix)
    if reader is None:
        raise AnswerFileError(f"{file}: found the ending {file.suffix!r}; allowed: .csv, or .json of Label Studio")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise AnswerFileError(f"{file}: cannot be read: {error}") from error
    given = reader(file.name, text)
    by_key = {(task.example_id, task.reviewer): task for task in tasks}
    found: dict[tuple[str, str], tuple[ReviewTask, int | None]] = {}
    mistakes: list[str] = []
    for each in given:
        key = (each.example_id, each.reviewer)
        if key not in by_key:
            mistakes.append(f"{each.place}: {_unasked(each, by_key)}")
            continue
        if key in found:
            mistakes.append(f"{each.place}: found {each.example_id} of {each.reviewer} again; allowed: once")
        try:
            found[key] = (by_key[key], read_label(review_of(spec), each.label))
        except ValueError as error:
            mistakes.append(f"{each.place}: {error}")
    if mistakes:
        more = f"\nand {len(mistakes) - _SHOWN} more" if len(mistakes) > _SHOWN else ""
        raise AnswerFileError("nothing was taken:\n" + "\n".join(mistakes[:_SHOWN]) + more)
    return list(found.values())


def read_label(review: ReviewSpec, text: str) -> int | None:
    """Read an answer: a class, its name, or `?` for "cannot tell", which is None.

    >>> review = ReviewSpec(answers="a", capacity=1, reviewers={"ana": 2}, shares={"random": 1.0})
    >>> read_label(review, "yes"), read_label(review, "0"), read_label(review, "?")
    (1, 0, None)
    """
    said = text.strip()
    if said == CANNOT_TELL:
        return None
    for label, name in review.classes.items():
        if said in (str(label), f"{label}.0") or said.casefold() == name.casefold():
            return label
    allowed = ", ".join(f"{label} ({name})" for label, name in review.classes.items())
    near = did_you_mean(said, list(review.classes.values()))
    raise ValueError(f"label: found {said!r}; allowed: {allowed}, {CANNOT_TELL} (cannot tell){near}")


def _unasked(given: GivenAnswer, asked: Mapping[tuple[str, str], object]) -> str:
    people = sorted(person for example, person in asked if example == given.example_id)
    if people:
        return f"reviewer: found {given.reviewer!r}; {given.example_id} was asked of {', '.join(people)}"
    near = did_you_mean(given.example_id, [example for example, _ in asked])
    return f"example_id: found {given.example_id!r}; allowed: an example of the review queue{near}"


def _keys(task: ReviewTask) -> dict[str, str]:
    return {"example_id": task.example_id, "reviewer": task.reviewer, "queued_in": str(task.queued_in)}


def _values(task: ReviewTask) -> dict[str, str]:
    """Give what is shown of an example; a column that is named like a key gets another name."""
    return {(f"example_{name}" if name in KEYS else name): value or "" for name, value, _ in task.values}


def _csv_of(tasks: Sequence[ReviewTask]) -> str:
    text = io.StringIO()
    columns = list(dict.fromkeys(name for task in tasks for name in _values(task)))
    writer = csv.DictWriter(text, [*KEYS, *columns], restval="", lineterminator="\r\n")
    writer.writeheader()
    for task in tasks:
        writer.writerow({name: escape_formula(each) for name, each in {**_keys(task), **_values(task)}.items()})
    return text.getvalue()


def _from_csv(name: str, text: str) -> list[GivenAnswer]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    header = reader.fieldnames or []
    missing = [key for key in ("example_id", "reviewer", "label") if key not in header]
    if missing:
        raise AnswerFileError(f"{name}:1: found columns {', '.join(header) or 'none'}; missing: {', '.join(missing)}")
    found = []
    for row in reader:
        label = (row["label"] or "").strip()
        if label:
            place = f"{name}:{reader.line_num}"
            found.append(GivenAnswer(place, _unquoted(row["example_id"]), (row["reviewer"] or "").strip(), label))
    return found


def _unquoted(text: str | None) -> str:
    """Take away the quote that keeps a spreadsheet from reading a text as a formula."""
    said = text or ""
    return said[1:] if said.startswith("'") and escape_formula(said[1:]) == said else said


def _from_json(name: str, text: str) -> list[GivenAnswer]:
    """Read tasks as Label Studio exports them: the newest annotation of each that was not cancelled or skipped."""
    try:
        tasks = json.loads(text)
    except json.JSONDecodeError as error:
        raise AnswerFileError(f"{name}:{error.lineno}: is no JSON: {error.msg}") from error
    if not isinstance(tasks, list):
        raise AnswerFileError(
            f"{name}: found {type(tasks).__name__}; allowed: a list of tasks, as Label Studio exports"
        )
    found = []
    for number, task in enumerate(tasks):
        data = _part(task, "data", dict)
        label = _label_of(_part(task, "annotations", list))
        if label:
            place = f"{name}[{number}]"
            found.append(GivenAnswer(place, str(data.get("example_id", "")), str(data.get("reviewer", "")), label))
    return found


def _label_of(annotations: Sequence[Any]) -> str:
    """Give the choice of the newest annotation; empty where there is none."""
    made = [each for each in annotations if isinstance(each, dict) and not each.get("was_cancelled")]
    for each in sorted(made, key=lambda one: str(one.get("updated_at") or one.get("created_at") or ""), reverse=True):
        for result in _part(each, "result", list):
            choices = _part(_part(result, "value", dict), "choices", list)
            if choices:
                return str(choices[0])
    return ""


def _part(value: Any, key: str, kind: Callable[[], Any]) -> Any:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, type(kind())) else kind()


def _interface(review: ReviewSpec, tasks: Sequence[ReviewTask]) -> str:
    """Write the labeling interface for Label Studio: each value of an example, and a choice of classes."""
    names = list(dict.fromkeys(name for task in tasks for name in _values(task)))
    shown = "\n".join(
        f'  <Header value={quoteattr(name)} size="5"/>\n  <Text name={quoteattr(name)} value={quoteattr("$" + name)}/>'
        for name in names
    )
    choices = "\n".join(f"    <Choice value={quoteattr(name)}/>" for name in (*review.classes.values(), CANNOT_TELL))
    first = quoteattr(names[0] if names else "example_id")
    return (
        f"<View>\n  <Header value={quoteattr(review.question)}/>\n{shown}\n"
        f'  <Choices name="label" toName={first} choice="single" showInLine="true">\n{choices}\n  </Choices>\n</View>\n'
    )
