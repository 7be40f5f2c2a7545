"""Serves the review page to one person on this machine: their list, and where their answers land.

It listens on 127.0.0.1 alone and stands behind the request guard of the UI: `Host`, `Origin` and a token are checked.
What changes something is a POST of JSON, which a form of another site cannot send.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ml_assets.cli.operate.request_guard import GuardRules, RequestGuard
from ml_assets.pipeline.labeling.review_answers import review_of
from ml_assets.pipeline.labeling.review_landing import AnswerLanding
from ml_assets.pipeline.labeling.review_tasks import ReviewDesk, ReviewTask
from ml_assets.reports.review_page import review_page, review_policy

_MOST_BYTES = 4096
Clock = Callable[[], datetime]


class ReviewRequestError(ValueError):
    """A request that asks for what there is not."""


class ReviewServer:
    """Answers the requests of the page of one person."""

    def __init__(self, landing: AnswerLanding, reviewer: str, clock: Clock) -> None:
        self._landing, self._reviewer, self._clock = landing, reviewer, clock
        self._spec, self._review = landing.spec, review_of(landing.spec)
        self._desk = ReviewDesk(landing.spec, landing.state)

    def app(self, rules: GuardRules) -> Starlette:
        """Give the application, behind the guard."""
        routes = [
            Route("/", self._page),
            Route("/tasks", self._tasks),
            Route("/answer", partial(self._change, self.answer), methods=["POST"]),
            Route("/undo", partial(self._change, self.undo), methods=["POST"]),
        ]
        found = Starlette(routes=routes)
        found.add_middleware(RequestGuard, rules=rules)
        return found

    def state(self) -> dict[str, Any]:
        """Give all that the page shows: the list with answers, and of answered examples the score and the reason."""
        now = self._clock()
        pending = self._landing.pending(now)
        tasks = [self._task(task, pending) for task in self._desk.tasks(self._reviewer)]
        classes = [{"label": label, "name": name, "key": str(label)} for label, name in self._review.classes.items()]
        lands = f"answers land in drop {self._landing.drop_at(now)}"
        return {
            "reviewer": self._reviewer, "question": self._review.question, "classes": classes, "tasks": tasks,
            "lands": lands,
        }  # fmt: skip

    def answer(self, asked: Mapping[str, Any]) -> None:
        """Write an answer about an example of the list."""
        label = asked.get("label")
        if label is not None and (isinstance(label, bool) or label not in self._review.classes):
            allowed = ", ".join(map(str, self._review.classes))
            raise ReviewRequestError(f"label: found {label!r}; allowed: {allowed}, or null")
        self._landing.put([self._asked(asked).answer(label)], self._clock())

    def undo(self, asked: Mapping[str, Any]) -> None:
        """Take an answer back that no batch has taken."""
        task = self._asked(asked)
        if not self._landing.take_back(task.example_id, self._reviewer, self._clock()) and task.landed is not None:
            raise ReviewRequestError(f"a batch has taken the answer about {task.example_id}; another one corrects it")

    def _asked(self, asked: Mapping[str, Any]) -> ReviewTask:
        for task in self._desk.tasks(self._reviewer):
            if task.example_id == asked.get("example_id"):
                return task
        raise ReviewRequestError(f"example_id: found {asked.get('example_id')!r}; allowed: an example of the list")

    def _task(self, task: ReviewTask, pending: Mapping[tuple[str, str], Mapping[str, str]]) -> dict[str, Any]:
        own = pending.get((task.example_id, task.reviewer))
        answered = own is not None or task.landed is not None
        label = task.landed[0] if task.landed else None
        if own is not None:
            label = int(own["label"]) if own["label"] else None
        told = {
            "score": None if task.score is None else f"{task.score:.3f}", "strategy": task.strategy,
            "reason": task.reason,
        }  # fmt: skip
        is_told = answered or self._review.show_score == "before_answer"
        return {
            "example_id": task.example_id, "example_drop": str(task.example_drop), "queued_in": str(task.queued_in),
            "role": task.role, "answered": answered, "label": label, "is_landed": answered and own is None,
            "values": [{"name": name, "text": text, "made_of": made} for name, text, made in task.values],
            "origins": [vars(each) for each in task.origins], "told": told if is_told else None,
        }  # fmt: skip

    async def _page(self, _: Request) -> Response:
        nonce = secrets.token_urlsafe(16)
        headers = {"Content-Security-Policy": review_policy(nonce), "Cache-Control": "no-store"}
        return HTMLResponse(review_page(self._spec, nonce), headers=headers)

    async def _tasks(self, _: Request) -> Response:
        return await self._answered(self.state)

    async def _change(self, change: Callable[[Mapping[str, Any]], None], request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            return PlainTextResponse(f"Content-Type: found {kind!r}; allowed: application/json\n", 415)
        body = await request.body()
        try:
            asked = json.loads(body) if len(body) <= _MOST_BYTES else None
        except ValueError:
            asked = None
        if not isinstance(asked, dict):
            return PlainTextResponse(f"found no JSON object of at most {_MOST_BYTES} bytes\n", 400)

        def changed() -> dict[str, Any]:
            change(asked)
            return self.state()

        return await self._answered(changed)

    async def _answered(self, work: Callable[[], dict[str, Any]]) -> Response:
        """Work outside of the event loop; what a person can act on is said, with the status of a bad request."""
        try:
            return JSONResponse(await run_in_threadpool(work), headers={"Cache-Control": "no-store"})
        except (LookupError, ValueError) as error:
            return PlainTextResponse(f"{error}\n", 409)
