from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from carboy.protocol.events import RequestHead
from carboy.server.logs import access_log
from carboy.server.logs.access_log import AccessLog, Selection
from carboy.server.logs.facts import Record
from carboy.server.logs.redaction import redaction
from carboy.server.logs.slow_log import SlowLog
from carboy.server.logs.writer import Writer
from carboy.server.observing import Observing
from running import Running


class Exchange:
    route = "/notes/<name>"
    id = "an-id"

    def __init__(self, kind: str = "text/plain") -> None:
        from carboy.trace_context import TraceContext

        self.trace = TraceContext("1" * 32, "2" * 16)
        self.response_fields = [("Content-Type", kind)]

    queued_seconds = 0.25


def record(seconds: float, path: str = "/notes/a", status: int = 200, **more: Any) -> Record:
    head = RequestHead("GET", f"{path}?token=x", path, "token=x", 1, "x", b"Host: x\r\n")
    exchange: Any = Exchange(**more)
    return (1.0, "192.0.2.7", head, "", status, 1, seconds, exchange)


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def kept() -> Iterator[Kept]:
    handler = Kept()
    logger = logging.getLogger("carboy.slow")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def test_a_slow_request_is_a_record_with_its_facts(kept: Kept) -> None:
    writer = Writer()
    log = SlowLog(writer, 1.0, redaction(["token"]))
    for each in (
        record(0.9),
        record(1.0),
        record(5, status=101),
        record(5, kind="text/event-stream"),
    ):
        log(each)
    writer.close()
    (found,) = kept.records
    assert found.getMessage() == (
        "Slow request: GET /notes/a?token=*** took 1.000 s (route /notes/<name>, waited 0.250 s for"
        " a thread, id an-id)."
    )
    assert (found.method, found.path, found.route) == ("GET", "/notes/a", "/notes/<name>")
    assert (found.seconds, found.queue, found.request_id) == (1.0, 0.25, "an-id")
    assert found.levelno == logging.WARNING


def test_errors_and_slow_requests_are_logged_at_any_rate() -> None:
    wanted = Selection((), 0.0, 1.0)
    assert [wanted(record(0.1, status=status)) for status in (200, 302, 404, 500)] == (
        [False, False, True, True]
    )
    assert wanted(record(1.0)) and not wanted(record(0.99))
    assert not Selection((), 0.0, 0.0)(record(100.0))


def test_a_part_of_the_other_requests_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    values = iter([0.05, 0.1, 0.5, 0.09])
    monkeypatch.setattr(access_log.random, "random", lambda: next(values))
    wanted = Selection((), 0.1, 0.0)
    assert [wanted(record(0.1)) for _ in range(4)] == [True, False, False, True]


def test_paths_that_are_skipped_are_never_logged() -> None:
    wanted = Selection(("/healthz", "/livez"), 1.0, 1.0)
    assert wanted.chooses
    assert not wanted(record(5.0, "/healthz/db", 500)) and not wanted(record(0.1, "/livez"))
    assert wanted(record(0.1, "/"))


def test_the_usual_settings_choose_nothing() -> None:
    assert not Selection((), 1.0, 1.0).chooses


def test_an_access_log_has_the_settings(tmp_path: Path) -> None:
    writer = Writer()
    observing = Observing(access_log_redact=("token",), access_log_skip=("/healthz",))
    log = AccessLog(writer, "%(path)s %(query)s", str(tmp_path / "log"), "/own", observing)
    for path in ("/healthz", "/own", "/a"):
        log(record(0.1, path))
    writer.close()
    log.close()
    assert (tmp_path / "log").read_text() == "/a token=***\n"


@pytest.mark.parametrize("rate", [-0.1, 1.5])
def test_a_rate_is_from_0_to_1(rate: float) -> None:
    with pytest.raises(ValueError, match="access.log.sample"):
        Observing(access_log_sample=rate)


PROGRAM = """
import threading
from carboy import Carboy, request

app = Carboy(__name__)

@app.get("/slow/<name>")
def slow(name):
    threading.Event().wait(0.05)
    return request.id

@app.get("/healthz")
def healthz():
    return "fine"
"""


def test_a_server_logs_slow_requests_and_formats(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(PROGRAM)
    args = ("run", "hello", "-p", "0", "--slow", "0.05", "--access-log-skip", "/healthz")
    text = "line %(m)s %(path)s %(id)s"
    with Running(*args, "--access-log-format", text, cwd=tmp_path) as server:
        assert server.get("/healthz")[0] == 200
        found = server.get("/slow/one")[1].decode()
        slow = server.line("Slow request: GET /slow/one took 0.")
        assert f"id {found})." in slow and f"[{found}] WARNING" in slow
        assert server.line("line ") == f"line GET /slow/one {found}\n"
        assert server.stop() == 0


def test_no_log_of_a_server_has_a_value_that_is_redacted(tmp_path: Path) -> None:
    program = "def app(environ, start_response):\n    raise ZeroDivisionError\n"
    (tmp_path / "failing.py").write_text(program)
    args = ("run", "failing", "-p", "0", "--slow", "0.000001", "--access-log-redact", "token")
    with Running(*args, "--access-log-format", "json", cwd=tmp_path) as server:
        assert server.get("/error?a=1&token=SECRET")[0] == 500
        server.line("Slow request: GET /error?a=1&token=*** took")
        server.line("The application failed: GET /error?a=1&token=*** HTTP/1.1.")
        server.line('"query":"a=1&token=***"')
        assert server.stop() == 0
        assert "SECRET" not in server.text()


def test_an_unknown_field_is_an_error_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(PROGRAM)
    args = ("run", "hello", "-p", "0", "--access-log-format", "%(methd)s")
    with Running(*args, cwd=tmp_path) as server:
        assert server.wait() == 2
        assert "unknown field %(methd)s. Did you mean %(method)s?" in " ".join(
            server.text().split()
        )


def test_slow_requests_are_logged_without_an_access_log(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(PROGRAM)
    with Running(
        "run", "hello", "-p", "0", "--no-access-log", "--slow", "0.05", cwd=tmp_path
    ) as server:
        server.get("/slow/one")
        server.line("Slow request: GET /slow/one took 0.")
        assert server.stop() == 0
        assert server.out == []
