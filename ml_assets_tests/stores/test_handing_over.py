"""Rows in a database and at a webhook: there once, changed when they change, gone when they go, all or nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ml_assets.spec.deliveries import Delivery
from ml_assets.stores import handing_over
from ml_assets.stores.delivering import DeliveryError, deliver
from ml_assets.stores.paths import StatePaths
from ml_assets_tests.stores.shop import Shop, has_postgres, postgres

DROP, NEXT = date(2024, 3, 1), date(2024, 3, 2)
INTO = Delivery.model_validate({"table": "worklist", "format": "database", "url": "${DESK}", "into": "calls"})
HOOK = Delivery.model_validate({"table": "worklist", "format": "webhook", "url": "${DESK}"})


def rows(*scores: tuple[str, float | None], drop: date = DROP) -> pa.Table:
    return pa.table(
        {
            "batch_date": pa.array([drop] * len(scores), pa.date32()),
            "example_id": pa.array([name for name, _ in scores], pa.string()),
            "score": pa.array([score for _, score in scores], pa.float64()),
            "prediction_at": pa.array([datetime(2024, 3, 1, 4, tzinfo=UTC)] * len(scores), pa.timestamp("us", "UTC")),
            "is_new": pa.array([True] * len(scores)),
            "_read_version": pa.array([1] * len(scores), pa.int64()),
        }
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not has_postgres():
        pytest.skip("PostgreSQL is not installed")
    folder = Path("/tmp") / f"ml_assets_desk_{tmp_path_factory.getbasetemp().name}"  # noqa: S108 - its user has to reach it
    with postgres(folder) as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def desk(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    url = f"sqlite:///{tmp_path / 'desk.db'}" if request.param == "sqlite" else request.getfixturevalue("server")
    monkeypatch.setenv("DESK", url)
    shop = Shop(url)
    shop.run("DROP TABLE IF EXISTS calls")
    return shop


def stored(desk: Shop) -> list[tuple[Any, ...]]:
    found = desk.ask("SELECT batch_date, example_id, score FROM calls ORDER BY 1, 2")
    return [(str(drop), name, score) for drop, name, score in found]


def test_rows_are_inserted_changed_and_removed_and_other_drops_stay(desk: Shop, tmp_path: Path) -> None:
    paths = StatePaths(tmp_path)
    said = deliver(paths, "late", INTO, DROP, rows(("a", 0.5), ("b", 0.25)))
    deliver(paths, "late", INTO, NEXT, rows(("a", 0.75), drop=NEXT))
    deliver(paths, "late", INTO, DROP, rows(("a", 0.125), ("c", None)))
    deliver(paths, "late", INTO, DROP, rows(("a", 0.125), ("c", None)))

    assert said == "calls of ${DESK}"
    assert stored(desk) == [("2024-03-01", "a", 0.125), ("2024-03-01", "c", None), ("2024-03-02", "a", 0.75)]
    assert desk.ask("SELECT count(*) FROM calls WHERE is_new") == [(3,)]


def test_drop_without_rows_takes_back_those_it_had(desk: Shop, tmp_path: Path) -> None:
    deliver(StatePaths(tmp_path), "late", INTO, DROP, rows(("a", 0.5)))

    assert deliver(StatePaths(tmp_path), "late", INTO, DROP, rows()) is None
    assert stored(desk) == []


def test_all_rows_of_a_drop_change_in_one_transaction_or_none(
    desk: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(StatePaths(tmp_path), "late", INTO, DROP, rows(("a", 0.5), ("b", 0.25)))
    real = handing_over.replace_part

    def broken(*arguments: Any) -> None:
        real(*arguments)
        raise handing_over.DatabaseError("the connection broke")

    monkeypatch.setattr(handing_over, "replace_part", broken)
    with pytest.raises(
        DeliveryError, match=r"worklist of 2024-03-01 cannot be delivered to \$\{DESK\}: the connection"
    ):
        deliver(StatePaths(tmp_path), "late", INTO, DROP, rows(("a", 0.9), ("z", 0.9)))

    assert stored(desk) == [("2024-03-01", "a", 0.5), ("2024-03-01", "b", 0.25)]


def test_table_with_other_columns_or_key_is_refused_by_name(desk: Shop, tmp_path: Path) -> None:
    desk.run("CREATE TABLE calls (batch_date DATE, example_id VARCHAR(20), score FLOAT)")
    with pytest.raises(DeliveryError, match=r"calls lacks prediction_at \(timestamp.*\), is_new \(bool\)"):
        deliver(StatePaths(tmp_path), "late", INTO, DROP, rows(("a", 0.5)))

    desk.run("DROP TABLE calls")
    desk.run("CREATE TABLE calls (batch_date DATE, example_id VARCHAR(20) PRIMARY KEY, score FLOAT, "
             "prediction_at TIMESTAMP, is_new BOOLEAN)")  # fmt: skip
    with pytest.raises(DeliveryError, match="has the primary key example_id; allowed: batch_date, example_id"):
        deliver(StatePaths(tmp_path), "late", INTO, DROP, rows(("a", 0.5)))


class Hook(BaseHTTPRequestHandler):
    """Takes calls, and answers with the status that is asked for."""

    status = 200
    taken: list[tuple[dict[str, Any], str]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.taken.append((body, self.headers["Idempotency-Key"]))
        self.send_response(self.status)
        if self.status == 302:
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hook]]:
    handler = type("OneHook", (Hook,), {"taken": [], "status": 200})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("DESK", f"http://127.0.0.1:{server.server_port}/worklist")
    yield handler
    server.shutdown()
    server.server_close()
    thread.join()


def test_webhook_gets_the_rows_once_and_again_when_they_change(hook: type[Hook], tmp_path: Path) -> None:
    paths = StatePaths(tmp_path)
    for score in (0.5, 0.5, 0.75):
        deliver(paths, "late", HOOK, DROP, rows(("a", score), ("b", float("nan"))))
    deliver(paths, "late", HOOK, DROP, rows())

    bodies = [body for body, _ in hook.taken]
    assert [[row["score"] for row in body["rows"]] for body in bodies] == [[0.5, None], [0.75, None], []]
    assert len({key for _, key in hook.taken}) == 3
    assert {name: bodies[0][name] for name in ("use_case", "table", "drop")} == {
        "use_case": "late", "table": "worklist", "drop": "2024-03-01",
    }  # fmt: skip
    assert bodies[0]["rows"][0]["prediction_at"] == "2024-03-01 04:00:00+00:00"
    assert "_read_version" not in bodies[0]["rows"][0]


@pytest.mark.parametrize(("status", "said"), [(500, "it answered 500"), (302, "it answered 302")])
def test_webhook_that_does_not_take_them_fails_and_gets_them_again(
    hook: type[Hook], tmp_path: Path, status: int, said: str
) -> None:
    hook.status = status
    with pytest.raises(DeliveryError, match=said):
        deliver(StatePaths(tmp_path), "late", HOOK, DROP, rows(("a", 0.5)))

    hook.status = 204
    assert deliver(StatePaths(tmp_path), "late", HOOK, DROP, rows(("a", 0.5))) == "${DESK}"
    assert len({key for _, key in hook.taken}) == 1
    assert len(hook.taken) == 2


def test_address_that_is_not_of_the_web_or_not_set_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for value, said in (("file:///etc/passwd", "no address of the web"), ("", r"\$\{DESK\} is not set")):
        monkeypatch.setenv("DESK", value)
        with pytest.raises(DeliveryError, match=said):
            deliver(StatePaths(tmp_path), "late", HOOK, DROP, rows(("a", 0.5)))
