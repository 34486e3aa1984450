"""Whether a worker is ready, and probes at the address of the server."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from admin_commands import Project, project
from carboy import Carboy, Flask
from carboy.cli.admin.client import Client
from carboy.server.admin.place import Place
from carboy.server.readiness import Readiness
from carboy.server.settings import Settings, with_values
from running import PATIENCE, Running, children

__all__ = ["project"]

APP = """
import os, time
from carboy import Carboy

app = Carboy(__name__)

@app.ready
def database():
    if os.path.exists("down"):
        raise ConnectionError("the database is down")

@app.get("/")
def index():
    return "hello"

@app.get("/waits")
def waits():
    while not os.path.exists("go"):
        time.sleep(0.02)
    return "went"
"""


def readiness_of(app: Any) -> Readiness:
    found = Readiness()
    found.take_checks(app)
    found.start()
    return found


def until(done: Callable[[], Any]) -> Any:
    """Wait for what a thread of a check does."""
    tick = threading.Event()
    for _ in range(int(PATIENCE / 0.02)):
        if result := done():
            return result
        tick.wait(0.02)
    raise AssertionError("it did not happen")


def test_a_worker_without_checks_is_ready() -> None:
    assert readiness_of(lambda environ, start: []).reasons() == []
    assert readiness_of(Carboy(__name__)).reasons() == []


@pytest.mark.parametrize(
    ("result", "reason"),
    [(None, ""), (True, ""), ("", ""), (False, "check: returned False"), ("full", "check: full")],
)
def test_a_check_says_no_by_false_or_by_a_text(result: object, reason: str) -> None:
    app = Carboy(__name__)

    @app.ready
    def check() -> object:
        return result

    found = readiness_of(app)
    wanted = [reason] if reason else []
    until(lambda: found.reasons() == wanted)


def test_a_check_has_not_passed_before_it_has_run() -> None:
    app = Carboy(__name__)
    app.ready(lambda: None)
    found = Readiness()
    found.take_checks(app)
    assert found.reasons() == ["<lambda>: has not run yet"]


def test_a_coroutine_function_is_a_check_within_an_application_context() -> None:
    app = Flask(__name__)

    @app.ready
    async def check() -> str:
        from carboy import current_app

        return current_app.name

    found = readiness_of(app)
    until(lambda: found.reasons() == [f"check: {__name__}"])


def test_a_check_that_does_not_end_is_not_begun_again() -> None:
    app = Carboy(__name__)
    calls = []
    go = threading.Event()

    @app.ready(timeout=0.01)
    def check() -> None:
        calls.append(1)
        go.wait(PATIENCE)

    found = readiness_of(app)
    until(lambda: found.reasons() == ["check: has not ended within 0.01 s"])
    assert calls == [1]
    go.set()


def test_a_time_limit_of_a_check_is_positive() -> None:
    with pytest.raises(ValueError, match="The timeout must be a positive number"):
        Carboy(__name__).ready(timeout=0)


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"livez": "live"}, "--livez 'live' is not a path"),
        ({"livez": "/a", "readyz": "/a"}, "must be different"),
        ({"drain_delay": -1.0}, "drain_delay must not be negative"),
        ({"admin": ("none", "/x")}, "--admin none cannot be combined"),
        ({"admin": ("nonsense",)}, "--admin: 'nonsense' is not a place"),
    ],
)
def test_a_setting_that_cannot_work_is_an_error(values: dict[str, Any], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        with_values(Settings(), values)


def probe(folder: Path, path: str) -> tuple[int, str]:
    """The answer of the admin server to a probe."""
    found = next((folder / "carboy").glob("*.admin"))
    status, content = Client(Place(path=str(found))).request("GET", path, None, PATIENCE)
    return status, content.decode()


def serve(project: Project, *args: str) -> Running:
    (project.folder / "shop.py").write_text(APP)
    return project.serve("--livez", "/livez", "--readyz", "/readyz", *args)


@pytest.mark.parametrize("how", [("--workers", "2"), ("--no-supervisor",)])
def test_the_server_is_ready_while_the_checks_pass(project: Project, how: tuple[str, ...]) -> None:
    down = project.folder / "down"
    with serve(project, *how) as server:
        until(lambda: server.get("/readyz") == (200, b"ready\n"))
        until(lambda: probe(project.folder, "/readyz") == (200, "ok\n"))
        down.touch()
        reason = "database: ConnectionError: the database is down\n"
        until(lambda: server.get("/readyz") == (503, reason.encode()))
        status, text = until(lambda: (got := probe(project.folder, "/readyz"))[0] == 503 and got)
        assert text.endswith(reason)
        assert server.get("/livez") == (200, b"ok\n")
        assert probe(project.folder, "/livez") == (200, "ok\n")
        assert server.get("/")[1] == b"hello"
        server.line("This worker is not ready: database: ConnectionError: the database is down.")
        down.unlink()
        until(lambda: server.get("/readyz")[0] == 200)


def test_probes_are_answered_while_all_threads_are_busy(project: Project) -> None:
    with serve(project, "--threads", "2") as server:
        askers = [threading.Thread(target=server.get, args=("/waits",)) for _ in range(8)]
        for each in askers:
            each.start()
        until(lambda: server.get("/readyz") == (200, b"ready\n"))
        assert server.get("/livez") == (200, b"ok\n")
        assert probe(project.folder, "/readyz")[0] == 200
        (project.folder / "go").touch()
        for each in askers:
            each.join(PATIENCE)


@pytest.mark.parametrize("how", ["--supervisor", "--no-supervisor"])
def test_the_server_serves_between_the_signal_and_the_stop(project: Project, how: str) -> None:
    with serve(project, how, "--drain-delay", "600") as server:
        until(lambda: server.get("/readyz")[0] == 200)
        server.send(signal.SIGTERM)
        server.line("serves for another 600 s (--drain-delay), and then stops.")
        until(lambda: server.get("/readyz") == (503, b"the server is about to stop\n"))
        assert probe(project.folder, "/readyz") == (503, "the server is about to stop\n")
        assert probe(project.folder, "/livez")[0] == 200
        assert server.get("/")[1] == b"hello"
        assert server.stop(signal.SIGTERM) == 0  # a second signal ends the wait


@pytest.mark.parametrize("how", ["--supervisor", "--no-supervisor"])
def test_the_server_stops_after_the_delay(project: Project, how: str) -> None:
    with serve(project, how, "--drain-delay", "0.2") as server:
        assert server.stop(signal.SIGTERM) == 0
        assert "serves for another 0.2 s" in server.text()


def test_a_worker_that_is_replaced_does_not_make_the_server_seem_not_ready(
    project: Project,
) -> None:
    with serve(project, "--idle-grace", "600") as server:
        until(lambda: server.get("/readyz")[0] == 200)
        prober = server.connect()  # of a load balancer that keeps its connection
        prober.request("GET", "/livez")
        assert prober.getresponse().read() == b"ok\n"
        server.send(signal.SIGHUP)
        server.line("All workers have been replaced.")
        prober.request("GET", "/readyz")
        response = prober.getresponse()
        assert (response.status, response.read()) == (200, b"ready\n")
        prober.close()


def test_a_worker_of_a_server_that_stops_is_not_ready(project: Project) -> None:
    with serve(project, "--idle-grace", "600") as server:
        until(lambda: server.get("/readyz")[0] == 200)
        probers = [server.connect() for _ in range(2)]
        for each in probers:
            each.request("GET", "/livez")
            assert each.getresponse().read() == b"ok\n"
        server.send(signal.SIGTERM)
        until(lambda: closed(server.address()))
        probers[0].request("GET", "/readyz")
        response = probers[0].getresponse()
        assert (response.status, response.read()) == (503, b"the server is about to stop\n")
        for each in probers:
            each.close()


def test_a_worker_that_starts_during_the_delay_is_not_ready(project: Project) -> None:
    with serve(project, "--drain-delay", "600") as server:
        until(lambda: server.get("/readyz")[0] == 200)
        server.send(signal.SIGTERM)
        server.line("serves for another 600 s (--drain-delay), and then stops.")
        (worker,) = children(server.pid)
        os.kill(worker, signal.SIGKILL)
        server.line("another one takes its place.")
        assert server.get("/readyz") == (503, b"the server is about to stop\n")
        assert server.stop(signal.SIGTERM) == 0


def closed(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, PATIENCE).close()
    except ConnectionRefusedError:
        return True
    return False


def test_ctrl_c_does_not_wait(project: Project) -> None:
    with serve(project, "--drain-delay", "600") as server:
        assert server.stop(signal.SIGINT) == 0
