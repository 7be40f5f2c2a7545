"""People and the review queue: a page to answer on, files in and out, and how far everybody is."""

from __future__ import annotations

import os
import secrets
import socket
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ml_assets.cli.console import console, fail, next_steps, print_json, say
from ml_assets.cli.tables import TableColumn, print_table
from ml_assets.pipeline.labeling.review_answers import review_of
from ml_assets.pipeline.labeling.review_files import AnswerFileError, export_tasks, read_answer_file
from ml_assets.pipeline.labeling.review_landing import AnswerLanding, OtherAnswersError
from ml_assets.pipeline.labeling.review_tasks import ReviewDesk, ReviewTask
from ml_assets.spec.review import answers_source
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.use_case_state import UseCaseState

_PEOPLE = [TableColumn("reviewer"), TableColumn("open"), TableColumn("on the way"), TableColumn("landed"),
           TableColumn("oldest open", 1)]  # fmt: skip


@dataclass(frozen=True)
class ReviewOptions:
    """What the command was asked for; without a person it shows how far all of them are."""

    reviewer: str
    port: int
    export: str
    answers: str
    as_json: bool


def run_review(spec: UseCaseSpec, state: UseCaseState, asked: ReviewOptions) -> None:
    """Serve the page, write or read a file, or show how far everybody is."""
    review_of(spec)
    landing = AnswerLanding(spec, state, _now())
    try:
        if asked.export:
            _export(spec, ReviewDesk(spec, state).tasks(asked.reviewer), landing, Path(asked.export))
        elif asked.answers:
            _import(spec, ReviewDesk(spec, state).tasks(is_open=False), landing, Path(asked.answers))
        elif asked.reviewer:
            ReviewDesk(spec, state).tasks(asked.reviewer)  # refuses an unknown person before anything is served
            _serve(landing, asked.reviewer, asked.port)
        else:
            _show(spec, ReviewDesk(spec, state).tasks(), landing, as_json=asked.as_json)
    except (AnswerFileError, OtherAnswersError) as error:
        raise fail(str(error)) from error


def show_declaration() -> None:
    """Print a source for answers and a review, to be put into a declaration."""
    source = "".join(f"    {line}\n" if line else "\n" for line in answers_source().splitlines())
    console.print(
        f"  sources:\n{source}\n  review:\n    answers: review_answers\n    question: Is it positive?\n"
        "    capacity: 20 # examples that are newly asked about in a drop\n"
        "    reviewers: {ana: 15, ben: 15} # answers each person gives a drop\n"
        "    shares: {uncertainty: 0.7, random: 0.3} # also: disagreement, diversity, abstained, label_errors",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip


def _now() -> datetime:
    return datetime.now(UTC)


def _export(spec: UseCaseSpec, tasks: Sequence[ReviewTask], landing: AnswerLanding, file: Path) -> None:
    pending = landing.pending(_now())
    still = [each for each in tasks if each.landed is None and (each.example_id, each.reviewer) not in pending]
    for written in export_tasks(spec, still, file):
        say(f"wrote {written}")
    say(f"{len(still)} open examples; fill in `label`, then:")
    next_steps({f"ml-assets review {spec.name} --import {file}": "the answers, into the next drop"})


def _import(spec: UseCaseSpec, tasks: Sequence[ReviewTask], landing: AnswerLanding, file: Path) -> None:
    found = read_answer_file(spec, file, tasks)
    if not found:
        say(f"{file} holds no answer: `label` is empty in every row")
        return
    drop = landing.put([task.answer(label) for task, label in found], _now())
    people = Counter(task.reviewer for task, _ in found)
    say(f"{len(found)} answers of {', '.join(sorted(people))} land in drop {drop}")
    next_steps({f"ml-assets batch {spec.name} --from {drop} --to {drop}": "take them, once the drop has come"})


def _show(spec: UseCaseSpec, tasks: Sequence[ReviewTask], landing: AnswerLanding, *, as_json: bool) -> None:
    pending = landing.pending(_now())
    rows: list[dict[str, Any]] = []
    for name in sorted({task.reviewer for task in tasks} | set(review_of(spec).reviewers)):
        own = [task for task in tasks if task.reviewer == name]
        waiting = {(task.example_id, task.reviewer) for task in own} & pending.keys()
        still = [task for task in own if task.landed is None and (task.example_id, name) not in waiting]
        oldest = min((task.queued_in for task in still), default=None)
        rows.append({"reviewer": name, "open": len(still), "on_the_way": len(waiting),
                     "landed": sum(task.landed is not None for task in own), "oldest_open": oldest})  # fmt: skip
    if as_json:
        print_json({"lands_in": landing.drop_at(_now()), "reviewers": rows})
        return
    print_table(f"lists of people; answers land in drop {landing.drop_at(_now())}", _PEOPLE,
                [list(row.values()) for row in rows])  # fmt: skip
    person = max(rows, key=lambda row: row["open"])["reviewer"]
    next_steps({
        f"ml-assets review {spec.name} --as {person}": "a page to answer on",
        f"ml-assets review {spec.name} --export {spec.name}.csv": "the same as a file; .json is for Label Studio",
    })  # fmt: skip


def _serve(landing: AnswerLanding, reviewer: str, port: int) -> None:
    """Serve the page until interrupted, for whoever has the token that is printed."""
    import uvicorn

    from ml_assets.cli.labels.review_server import ReviewServer
    from ml_assets.cli.operate.request_guard import TOKEN_VARIABLE, GuardRules, TokenError

    with _listening(port) as bound:
        port = bound.getsockname()[1]
        token = os.environ.get(TOKEN_VARIABLE) or secrets.token_urlsafe(24)
        try:
            rules = GuardRules(token, port, (), "ml-assets review")
        except TokenError as error:
            raise fail(str(error)) from error
        app = ReviewServer(landing, reviewer, _now).app(rules)
        shown = f"[bold]http://127.0.0.1:{port}/?token={token}[/]  (for {reviewer}; Ctrl-C ends it)"
        console.print(shown, soft_wrap=True, highlight=False)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", server_header=False))
        server.run(sockets=[bound])


def _listening(port: int) -> socket.socket:
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        found.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise fail(f"--port {port}: {reason}; allowed: a free port from 1024 to 65535, or 0 for any") from error
    return found
