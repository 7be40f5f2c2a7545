"""`ml-assets review`: how far people are, files in and out, and what its page answers and refuses."""

from __future__ import annotations

import csv
import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from typer.testing import CliRunner, Result

from ml_assets.cli import app
from ml_assets.cli.labels.review_server import ReviewServer
from ml_assets.cli.operate.request_guard import GuardRules
from ml_assets.pipeline.labeling.review_landing import AnswerLanding
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.comment_spam.state import run_steps_until, spam_spec
from ml_assets_tests.reports.hostile import RUNS_CODE

pytestmark = [
    pytest.mark.xdist_group("review_cli"),
    # great_expectations 1.24 imports sre_constants and sre_parse, which Python 3.11 calls deprecated
    pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning"),
]
LAST = date(2023, 1, 20)
TOKEN = "0123456789abcdef-token"  # noqa: S105 - of this test
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("review")
    run_steps_until(root, LAST)
    return root


@pytest.fixture
def state(ran: Path) -> Iterator[UseCaseState]:
    """Give the state, and take away what a test answered."""
    found = UseCaseState("comment_spam", StatePaths(ran))
    yield found
    (found.landing / "2023-01-21" / "review_answers.csv").unlink(missing_ok=True)


@pytest.fixture
def client(state: UseCaseState) -> Iterator[Client]:
    landing = AnswerLanding(spam_spec(), state, datetime(2026, 1, 1, tzinfo=UTC))
    rules = GuardRules(TOKEN, 80, (), "ml-assets review")
    served = ReviewServer(landing, "ana", lambda: datetime(2026, 1, 1, 0, 1, tzinfo=UTC)).app(rules)
    with socket.create_server(("127.0.0.1", 0)) as bound:
        server = uvicorn.Server(uvicorn.Config(served, log_level="error"))
        thread = threading.Thread(target=server.run, args=([bound],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield Client(bound.getsockname()[1])
        server.should_exit = True
        thread.join(10)


@dataclass(frozen=True)
class Answer:
    status_code: int
    text: str
    headers: Mapping[str, str]

    def json(self) -> Any:
        assert self.status_code == 200, self.text
        return json.loads(self.text)


@dataclass(frozen=True)
class Client:
    """Asks as the page does, or as headers say."""

    port: int

    def ask(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> Answer:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            connection.request(method, path, body, {**headers})
            found = connection.getresponse()
            return Answer(found.status, found.read().decode(), dict(found.getheaders()))

    def get(self, path: str, headers: Mapping[str, str] = BEARER) -> Answer:
        return self.ask("GET", path, None, headers)

    def post(self, path: str, body: object, headers: Mapping[str, str] = {}) -> Answer:
        return self.ask("POST", path, json.dumps(body), {"Content-Type": "application/json", **BEARER, **headers})


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["review", "comment_spam", *arguments], terminal_width=160)


def test_answer_is_landed_and_its_score_and_reason_are_told_only_then(client: Client, state: UseCaseState) -> None:
    before = client.get("/tasks").json()
    first = before["tasks"][0]

    after = client.post("/answer", {"example_id": first["example_id"], "label": 1}).json()

    assert not first["answered"]
    assert all(task["told"] is None for task in before["tasks"])
    told = after["tasks"][0]["told"]
    assert told["reason"].startswith("drawn by chance") or told["strategy"] == "diversity"
    assert all(task["told"] is None for task in after["tasks"][1:])
    assert after["lands"] == "answers land in drop 2023-01-21"
    with (state.landing / "2023-01-21" / "review_answers.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["example_id"], row["reviewer"], row["label"]) == (first["example_id"], "ana", "1")
    assert row["answered_at"] == "2023-01-20T04:01:00+00:00"
    undone = client.post("/undo", {"example_id": first["example_id"]}).json()
    assert not undone["tasks"][0]["answered"]


def test_score_is_shown_before_where_that_is_declared(state: UseCaseState) -> None:
    spec = spam_spec()
    assert spec.review is not None
    spec = spec.model_copy(update={"review": spec.review.model_copy(update={"show_score": "before_answer"})})
    landing = AnswerLanding(spec, state, datetime(2026, 1, 1, tzinfo=UTC))

    tasks = ReviewServer(landing, "ana", lambda: datetime(2026, 1, 1, tzinfo=UTC)).state()["tasks"]

    assert all(task["told"] is not None for task in tasks)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Authorization": "Bearer other"}, 401),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
    ],
)
def test_request_of_another_site_or_program_changes_nothing(
    client: Client, state: UseCaseState, headers: dict[str, str], status: int
) -> None:
    example = client.get("/tasks").json()["tasks"][0]["example_id"]

    answer = client.post("/answer", {"example_id": example, "label": 1}, headers)

    assert answer.status_code == status
    assert not (state.landing / "2023-01-21" / "review_answers.csv").exists()


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"example_id": "c99999", "label": 1}, 409, "example_id: found 'c99999'; allowed: an example of the list"),
        ({"example_id": None, "label": True}, 409, "label: found True; allowed: 0, 1, or null"),
        ({"example_id": "c", "label": 2}, 409, "label: found 2; allowed: 0, 1, or null"),
        ([1], 400, "found no JSON object"),
        ({"example_id": "x" * 5000}, 400, "found no JSON object of at most 4096 bytes"),
    ],
)
def test_wrong_answer_is_refused_with_what_is_allowed(client: Client, body: object, status: int, said: str) -> None:
    answer = client.post("/answer", body)

    assert answer.status_code == status
    assert said in answer.text


def test_answer_by_get_is_refused_and_a_stranger_sees_nothing(client: Client) -> None:
    assert client.get("/answer").status_code == 405
    assert client.get("/tasks", {}).status_code == 401
    page = client.get("/", {"Accept": "text/html"})
    assert (page.status_code, "Token needed" in page.text, "ml-assets review" in page.text) == (401, True, True)


def test_page_runs_its_own_script_alone_and_holds_no_value_of_a_row(client: Client) -> None:
    first, second = client.get("/"), client.get("/")

    policy = first.headers["content-security-policy"]
    nonce = re.findall(r"script-src 'nonce-([\w-]+)'", policy)[0]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert f'<script nonce="{nonce}">' in first.text
    assert nonce not in second.text
    assert "http" not in re.sub(r"<!doctype.*?>", "", first.text.replace("http-equiv", ""))  # nothing from elsewhere
    assert "innerHTML" not in first.text
    assert all(value not in first.text for value in RUNS_CODE)


def test_people_and_how_far_they_are(state: UseCaseState) -> None:
    del state
    shown, told = run(), json.loads(run("--json").stdout)

    assert shown.exit_code == 0, shown.output
    assert "answers land in drop 2023-01-21" in shown.stdout
    assert [each["reviewer"] for each in told["reviewers"]] == ["ana", "ben", "cem"]
    assert all(each["open"] > 0 and each["on_the_way"] == each["landed"] == 0 for each in told["reviewers"])


def test_file_goes_out_and_its_answers_come_in(state: UseCaseState, tmp_path: Path) -> None:
    file = tmp_path / "ben.csv"
    out = run("--as", "ben", "--export", str(file))
    text = file.read_text()
    file.write_text(text.replace(",,", ",1,", 2))

    back, told = run("--import", str(file)), json.loads(run("--json").stdout)

    assert "open examples; fill in `label`" in out.stdout
    assert back.exit_code == 0, back.output
    assert "2 answers of ben land in drop 2023-01-21" in back.stdout
    assert {each["reviewer"]: each["on_the_way"] for each in told["reviewers"]} == {"ana": 0, "ben": 2, "cem": 0}
    rows = (state.landing / "2023-01-21" / "review_answers.csv").read_text().splitlines()
    assert len(rows) == 3


def test_what_cannot_be_done_is_said_in_a_line(tmp_path: Path) -> None:
    wrong = tmp_path / "a.csv"
    wrong.write_text("example_id,reviewer,label\nc1,ana,1\n")

    assert "found the reviewer 'anna'; allowed: ana, ben, cem" in run("--as", "anna").stderr
    assert "found both; allowed: one of both" in run("--export", "a.csv", "--import", "b.csv").stderr
    assert "a.csv:2: example_id: found 'c1'" in run("--import", str(wrong)).stderr
    assert "answers: review_answers" in run("--declare").stdout
