from __future__ import annotations

import http.client
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from carboy.net.poller import make_poller
from carboy.protocol.machine import Machine
from carboy.server.accepting import Accepting
from carboy.server.connection import CLOSED, HEAD, IDLE, Connection
from carboy.server.deadlines import Deadlines
from carboy.server.descriptors import room_for
from carboy.server.scoreboard import private_row
from carboy.server.settings import Settings
from running import PATIENCE, Running, die_with_parent

APP = """
import os, resource

def app(environ, start_response):
    if environ["PATH_INFO"] == "/limit":
        body = str(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    else:
        files = [open(__file__) for _ in range(8)]
        body = " ".join(os.readlink(f"/proc/self/fd/{n}") for n in range(3))
        [each.close() for each in files]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body.encode()]
"""
LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (SOFT, HARD))
from carboy.cli.main import main
main()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "service.py").write_text(APP)
    return tmp_path


def limited(folder: Path, soft: int, hard: int, *args: str) -> Running:
    program = LIMITED.replace("SOFT", str(soft)).replace("HARD", str(hard))
    return Running("run", "service", "-p", "0", *args, cwd=folder, command=("-c", program))


@pytest.mark.parametrize("workers", ["1", "2"])
def test_closed_standard_descriptors_are_not_used_for_clients(folder: Path, workers: str) -> None:
    path = folder / "s"
    command = f"exec {sys.executable} -m carboy run service -b unix:{path} -w {workers}"
    process = subprocess.Popen(
        ["sh", "-c", f"echo; {command} --access-log-file {folder}/log 0<&- 1>&- 2>&-"],
        cwd=folder, stdout=subprocess.PIPE, preexec_fn=die_with_parent,  # noqa: PLW1509 - one call into the kernel
    )  # fmt: skip
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            while True:
                try:
                    client.connect(str(path))
                    break
                except (FileNotFoundError, ConnectionRefusedError):
                    assert process.poll() is None
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = client.makefile("rb").read()
        assert answer.endswith(b"/dev/null /dev/null /dev/null")
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


def test_the_soft_limit_is_raised_to_the_hard_one(folder: Path) -> None:
    with limited(folder, 64, 512) as server:
        assert server.get("/limit") == (200, b"512")


def test_silent_connections_do_not_exhaust_the_descriptors(folder: Path) -> None:
    with limited(folder, 80, 80) as server:
        silent = [socket.create_connection(server.address(), PATIENCE) for _ in range(120)]
        try:
            assert server.get("/")[0] == 200  # and the application could open files
        finally:
            for each in silent:
                each.close()


def test_some_descriptors_are_reserved() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (400, hard))
        assert room_for(10) == 10
        used = len(os.listdir("/dev/fd"))
        assert 400 - 100 - used - 2 <= room_for(10_000) <= 400 - 100
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Closed:
    """Used instead of Closing: notes which connections are closed."""

    def __init__(self) -> None:
        self.closed: list[Connection] = []

    def close(self, connection: Connection) -> None:
        self.closed.append(connection)


@pytest.fixture
def pairs() -> Iterator[list[tuple[Connection, socket.socket]]]:
    made = []
    for age in (30.0, 20.0, 10.0, 0.0):
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        connection = Connection(ours, Machine(Settings().limits), None, ("", None), 100.0 - age)
        connection.phase = IDLE
        made.append((connection, theirs))
    yield made
    for connection, theirs in made:
        connection.sock.close()
        theirs.close()


def test_a_connection_whose_request_has_just_come_is_not_closed_to_make_room(
    pairs: list[tuple[Connection, socket.socket]],
) -> None:
    settings = Settings()
    connections = {connection.fd: connection for connection, _ in pairs}
    closed: Any = Closed()
    listeners: Any = SimpleNamespace(secure=False)
    accepting = Accepting(
        settings, connections, make_poller("auto"), private_row(), listeners, Deadlines(settings),
        closed,
    )  # fmt: skip
    pairs[0][1].sendall(b"GET / HTTP/1.1\r\n")
    pairs[1][0].phase = HEAD  # it has never sent a byte
    assert accepting._make_room(100.0)
    assert closed.closed == [pairs[1][0]]
    for connection, _ in pairs[1:3]:
        connection.phase = CLOSED
        del connections[connection.fd]
    pairs[3][0].phase = HEAD
    assert not accepting._make_room(100.0)  # one connection has a request, the other one is new


# -- a worker without a free descriptor --------------------------------------------------------

FRAMEWORK = """
from carboy import Flask, Response, abort, flash, get_flashed_messages, redirect, request, session

app = Flask(__name__)
app.secret_key = "key"
kept = []


@app.get("/exhaust")
def exhaust():
    try:
        while True:
            kept.append(open("/dev/null"))
    except OSError as error:
        return error.strerror


@app.get("/open")
def open_file():
    return open("/dev/null").read()


@app.get("/session")
def count():
    session["n"] = session.get("n", 0) + 1
    flash("noted")
    return f"{session['n']} {get_flashed_messages()}"


@app.post("/form")
def form():
    return "|".join([*request.form.values(), *(each.read().decode() for each in request.files.values())])


@app.post("/json")
def json():
    return request.get_json()


@app.get("/fields")
def fields():
    response = Response(f"{request.accept_mimetypes.best} {request.authorization.username}")
    response.set_cookie("a", request.cookies["b"], max_age=5)
    response.content_security_policy.default_src = "'self'"
    response.cache_control.max_age = 5
    return response


@app.get("/tag")
def tag():
    response = Response("text")
    response.set_etag("a")
    return response.make_conditional(request)


@app.get("/forbidden")
def forbidden():
    abort(403)


@app.get("/away")
def away():
    app.logger.warning("away")
    return redirect("/")


wrapped = lambda environ, start_response: app(environ, start_response)
"""  # noqa: E501 - the lines of another file
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PARTS = {"Content-Type": "multipart/form-data; boundary=-"}
PART = b'---\r\nContent-Disposition: form-data; name="f"; filename="n"\r\n\r\nfile\r\n-----\r\n'
JSON = {"Content-Type": "application/json"}
FIELDS = {"Accept": "text/html;q=0.5, */*", "Authorization": "Basic YTpi", "Cookie": "b=c"}
TAG = {"If-None-Match": '"a"'}
ASKED: list[tuple[str, str, dict[str, str], bytes, int, bytes]] = [
    ("GET", "/missing", {}, b"", 404, b"<h1>Not Found</h1>"),
    ("PUT", "/open", {}, b"", 405, b"<h1>Method Not Allowed</h1>"),
    ("GET", "/open", {}, b"", 500, b"<h1>Internal Server Error</h1>"),
    ("GET", "/session", {}, b"", 200, b"1 ['noted']"),
    ("POST", "/form", FORM, b"a=b%20", 200, b"b "),
    ("POST", "/form", PARTS, PART, 200, b"file"),
    ("POST", "/json", JSON, b'{"a": 1}', 200, b'{"a":1}'),
    ("POST", "/json", JSON, b'{"a": ', 400, b"<h1>Bad Request</h1>"),
    ("GET", "/fields", FIELDS, b"", 200, b"text/html a"),
    ("GET", "/tag", TAG, b"", 304, b""),
    ("GET", "/forbidden", {}, b"", 403, b"<h1>Forbidden</h1>"),
    ("GET", "/away", {}, b"", 302, b"Redirecting..."),
    ("GET", "/away", {"Upgrade": "h2c", "Connection": "Upgrade"}, b"", 302, b"Redirecting..."),
]


@pytest.mark.parametrize("name", ["app", "wrapped"])
@pytest.mark.parametrize("workers", [("--no-supervisor",), ("-w", "1", "--supervisor")], ids=str)
def test_a_worker_without_a_free_descriptor_answers_and_logs_errors(
    tmp_path: Path, workers: tuple[str, ...], name: str
) -> None:
    (tmp_path / "service.py").write_text(FRAMEWORK)
    program = LIMITED.replace("SOFT", "300").replace("HARD", "300")
    args = ("run", f"service:{name}", "-p", "0", "--threads", "4", *workers)
    with Running(*args, cwd=tmp_path, command=("-c", program)) as server:
        client = http.client.HTTPConnection(*server.address(), timeout=PATIENCE)
        client.request("GET", "/exhaust")
        assert client.getresponse().read() == b"Too many open files"
        for method, path, headers, body, status, expected in ASKED:
            client.request(method, path, body, headers)
            response = client.getresponse()
            content = response.read()
            assert (response.status, expected in content) == (status, True), (path, content)
        client.close()
        server.line("OSError: [Errno 24] Too many open files: '/dev/null'")
        assert "During handling" not in server.text()


CALLABLES = """
kept = []


def exhaust():
    try:
        while True:
            kept.append(open("/dev/null"))
    except OSError as error:
        return error.strerror.encode()


def body_of(path):
    return {"/exhaust": exhaust, "/open": lambda: open("/dev/null").read()}.get(path, lambda: b"ok")()


def wsgi(environ, start_response):
    body = body_of(environ["PATH_INFO"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    body = body_of(scope["path"])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body})
"""  # noqa: E501 - the lines of another file


@pytest.mark.parametrize("name", ["wsgi", "asgi"])
def test_other_applications_are_served_without_a_free_descriptor(tmp_path: Path, name: str) -> None:
    (tmp_path / "service.py").write_text(CALLABLES)
    program = LIMITED.replace("SOFT", "300").replace("HARD", "300")
    args = ("run", f"service:{name}", "-p", "0", "--threads", "4", "--no-supervisor")
    with Running(*args, cwd=tmp_path, command=("-c", program)) as server:
        client = http.client.HTTPConnection(*server.address(), timeout=PATIENCE)
        for path, status, body in (
            ("/exhaust", 200, b"Too many open files"),
            ("/open", 500, b"500 Internal Server Error"),
            ("/", 200, b"ok"),
        ):
            client.request("GET", path)
            response = client.getresponse()
            assert (response.status, response.read()[: len(body)]) == (status, body)
        client.close()
        server.line("OSError: [Errno 24] Too many open files: '/dev/null'")
        assert "During handling" not in server.text()
