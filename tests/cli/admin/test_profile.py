"""`carboy profile` with real servers."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from admin_commands import Project, project
from carboy.cli.admin.profiles.command import command as profile
from carboy.cli.admin.status import command as status
from carboy.user_sockets import connect
from running import PATIENCE, Running

__all__ = ["project"]

ASYNC = """
import asyncio, os, time
from carboy import Carboy

app = Carboy(__name__)

@app.get("/spins/<name>")
async def spins(name):
    while not os.path.exists("go"):
        pass
    return "went"
"""
FLASK_LIKE = """
import os, time

def app(environ, start_response):
    environ["carboy.route"] = "/<path>"
    while not os.path.exists("go"):
        time.sleep(0.02)
    start_response("200 OK", [("Content-Length", "4")])
    return [b"went"]
"""
ASGI = """
import asyncio, os, time

def spins():
    while not os.path.exists("go"):
        time.sleep(0.02)

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    scope["carboy.route"] = "/<path>"
    await asyncio.to_thread(spins)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"went"})
"""


@contextmanager
def busy(project: Project, server: Running, path: str = "/waits") -> Iterator[None]:
    """A request runs inside; it ends after that."""
    asking = threading.Thread(target=server.get, args=(path,))
    asking.start()
    for _ in range(1000):
        found = project.value(status, "--timeout", "30")
        if any(each["requests"] for each in found["workers"]):
            break
    else:
        raise AssertionError("no request")
    try:
        yield
    finally:
        (project.folder / "go").touch()
        asking.join(PATIENCE)


def until_all_serve(project: Project) -> list[int]:
    """The process ids of the workers, once all of them serve."""
    for _ in range(1000):
        workers = project.value(status, "--timeout", "30")["workers"]
        if len(workers) == 2 and all(each["state"] == "serving" for each in workers):
            return [each["pid"] for each in workers]
    raise AssertionError(workers)


def begin(project: Project) -> socket.socket:
    """A client that has a profile taken which would take ten minutes."""
    path = next((project.folder / "carboy").glob("*.admin"))
    sock = connect(str(path), PATIENCE)
    sock.sendall(
        b"GET /profile?seconds=600 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    for _ in range(1000):
        found = project.invoke(profile, "0.01s", "--timeout", "60")
        if found.exit_code:
            assert "A profile runs already." in found.output
            return sock
    raise AssertionError("no profile")


def taken(project: Project, *args: str) -> str:
    return project.run(profile, "0.3s", "--timeout", "60", *args)


@pytest.mark.parametrize("how", ["--supervisor", "--no-supervisor"])
def test_a_view_that_waits_is_in_the_samples_of_its_route(project: Project, how: str) -> None:
    with project.serve(how) as server, busy(project, server):
        text = taken(project)
        assert "100.0 %" in text and " /waits\n" in text and "waits (" in text


def test_stacks_are_written_for_other_tools(project: Project) -> None:
    with project.serve("--workers", "2") as server, busy(project, server):
        until_all_serve(project)
        assert "2 workers" in taken(project, "-o", "out.txt", "--route", "/waits")
        lines = Path("out.txt").read_text().splitlines()
        assert lines and all(line.startswith("/waits;") for line in lines)
        assert all(line.rpartition(" ")[2].isdecimal() for line in lines)
        taken(project, "-o", "out.json")
        found = json.loads(Path("out.json").read_text())
        names = [each["name"] for each in found["shared"]["frames"]]
        assert "waits" in names and found["profiles"][0]["name"] == "/waits"
        assert "of the route '/nothing'" in project.error(profile, "0.1s", "--route", "/nothing")


@pytest.mark.parametrize(
    ("code", "path", "route", "function"),
    [
        (ASYNC, "/spins/x", "/spins/<name>", "spins"),
        (FLASK_LIKE, "/x", "/<path>", "app"),
        (ASGI, "/x", "/<path>", "spins"),
    ],
    ids=["async", "wsgi", "asgi"],
)
def test_coroutines_and_threads_of_all_kinds_belong_to_their_route(
    project: Project, code: str, path: str, route: str, function: str
) -> None:
    (project.folder / "shop.py").write_text(code)
    with project.serve() as server, busy(project, server, path):
        found = json.loads(taken(project, "--json"))["workers"][0]
        frames = [each[0] for each in found["frames"]]
        assert route in frames and function in frames


def test_threads_without_a_request_are_shown_if_they_are_asked_for(project: Project) -> None:
    with project.serve():
        assert "No request ran. Use --all-threads" in taken(project)
        text = taken(project, "--all-threads")
        assert "threads were sampled for" in text and "(thread MainThread)" in text


def test_one_worker_is_sampled(project: Project) -> None:
    with project.serve("--workers", "2"):
        workers = until_all_serve(project)
        found = json.loads(taken(project, "--json", "--worker", str(workers[0])))
        assert [each["pid"] for each in found["workers"]] == workers[:1]
        assert "There is no worker 1." in project.error(profile, "1s", "--worker", "1")


def test_there_is_one_profile_at_a_time_and_it_ends_when_its_client_goes_away(
    project: Project,
) -> None:
    with project.serve():
        begin(project).close()
        for _ in range(1000):
            if not project.invoke(profile, "0.01s", "--timeout", "60").exit_code:
                return
        raise AssertionError("the profile has not ended")


def test_a_profile_ends_when_the_server_stops(project: Project) -> None:
    with project.serve() as server:
        with begin(project) as sock, sock.makefile("rb") as answer:
            assert server.stop() == 0
            sock.settimeout(PATIENCE)
            found = answer.read()  # empty if the supervisor was quicker
            assert not found or b"The worker stops." in found or b"It has ended." in found


def test_a_worker_whose_lock_is_held_is_shown_with_its_stacks(project: Project) -> None:
    with project.serve() as server:
        worker = project.value(status)["workers"][0]["pid"]

        def ask() -> None:
            with suppress(OSError, http.client.HTTPException):
                server.get("/lock")

        asking = threading.Thread(target=ask)
        asking.start()
        server.line("locks now")
        for _ in range(1000):
            text = project.error(profile, "0.1s", "--timeout", "0.1")
            if "most recent call first" in text:
                break
        assert f"Worker {worker} has not been sampled" in text and "in lock" in text
        os.kill(worker, signal.SIGKILL)
        asking.join(PATIENCE)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["-o", "x.svg"], "Use a name that ends with .html"),
        (["-o", "missing/x.txt"], "There is no folder 'missing'."),
        (["0s"], "is not a duration"),
        (["11m"], "is not a duration of up to 600 s"),
        (["1h"], "Use for example 10s or 2m."),
        (["--rate", "0"], "0"),
    ],
)
def test_what_cannot_be_done_is_refused_before_samples_are_taken(
    project: Project, args: list[str], told: str
) -> None:
    found = project.invoke(profile, *args)
    assert found.exit_code == 2 and told in found.output


def test_without_a_server_there_is_an_error(project: Project) -> None:
    assert "No Carboy server of this user runs for" in project.error(profile, "1s")
