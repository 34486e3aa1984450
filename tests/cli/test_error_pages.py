"""Error pages in production are plain and safe, under every server and for every error."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest

from running import PATIENCE, Running

APP = """
from carboy import Flask, abort, request

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 1000

@app.get("/boom")
def boom():
    password = "hunter2"
    raise LookupError(f"<i>{password}</i>")

@app.get("/none")
def none():
    return None

@app.get("/abort/<int:code>")
def stop(code):
    abort(code)

@app.get("/argument")
def argument():
    return request.args["hunter2"]

@app.post("/json")
def json():
    return request.get_json()

@app.post("/form")
def form():
    return request.form["hunter2"]

"""
WSGIREF = """
from wsgiref.simple_server import make_server
from app import app
server = make_server("127.0.0.1", 0, app)
print(f"http://127.0.0.1:{server.server_port}/", file=__import__("sys").stderr)
server.serve_forever()
"""
LEAKS = (b"Traceback", b"hunter2", b"app.py", b"<script", b"<i>", b"LookupError", b"carboy/")
REFLECTED = b"/%3Cscript%3E<script>?q=<script>hunter2"
JSON = b"Content-Type: application/json\r\n"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"


def get(target: bytes, *fields: bytes, method: bytes = b"GET", body: bytes = b"") -> bytes:
    size = b"Content-Length: %d\r\n" % len(body) if method in (b"POST", b"PUT") else b""
    lines = (b"%b %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" % (method, target), size)
    return b"".join((*lines, *fields, b"\r\n", body))


OF_THE_APPLICATION = [
    (404, get(REFLECTED)),
    (405, get(b"/boom", method=b"PUT")),
    (500, get(b"/boom")),
    (500, get(b"/none")),
    (400, get(b"/argument")),
    (400, get(b"/json", JSON, method=b"POST", body=b"<script>hunter2")),
    (415, get(b"/json", method=b"POST", body=b"<script>hunter2")),
    (400, get(b"/form", FORM, method=b"POST", body=b"a=<script>")),
    (413, get(b"/form", FORM, method=b"POST", body=b"a" * 1001)),
    *((code, get(b"/abort/%d" % code)) for code in (400, 403, 408, 414, 431, 500, 501, 503, 505)),
]
OF_THE_SERVER = [
    (400, b"<script>hunter2</script>\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\n\r\n"),
    (400, get(b"/", b"<script>: hunter2\r\n")),
    (400, get(b"/", b"Transfer-Encoding: chunked\r\n", method=b"POST", body=b"<script>")),
    (501, get(b"/", b"Transfer-Encoding: gzip, chunked\r\n")),
    (417, get(b"/", b"Expect: <script>\r\n")),
    (413, get(b"/", b"Content-Length: 999999999999\r\n")),
    (414, get(b"/<script>" + b"a" * 20_000)),
    (431, get(b"/", b"X: <script>" + b"a" * 20_000 + b"\r\n")),
    (505, b"GET /<script> HTTP/3.0\r\nHost: x\r\n\r\n"),
]


@pytest.fixture(scope="module", params=["carboy", "wsgiref"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("site")
    (folder / "app.py").write_text(APP)
    (folder / "other.py").write_text(WSGIREF)
    args, command = (("run", "-p", "0"), ("-m", "carboy"))
    if request.param == "wsgiref":
        args, command = ((), ("other.py",))
    with Running(*args, cwd=folder, command=command) as running:
        yield running


def asked(server: Running, raw: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
    with socket.create_connection(server.address(), PATIENCE) as sock:
        sock.sendall(raw)
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    names = dict(field.lower().split(b": ", 1) for field in fields)
    return int(line.split()[1]), names, body


def ids(case: object) -> str:
    return str(case) if isinstance(case, int) else ""


@pytest.mark.parametrize(("code", "raw"), OF_THE_APPLICATION, ids=ids)
def test_error_pages_of_the_application_show_only_the_error(
    server: Running, code: int, raw: bytes
) -> None:
    status, fields, body = asked(server, raw)
    assert status == code
    assert fields[b"content-type"] == b"text/html; charset=utf-8"
    assert int(fields[b"content-length"]) == len(body)
    assert body.startswith(b"<!doctype html>\n<html lang=en>\n<title>%d " % code)
    assert [leak for leak in LEAKS if leak in body] == []


@pytest.mark.parametrize("server", ["carboy"], indirect=True)
@pytest.mark.parametrize(("code", "raw"), OF_THE_SERVER, ids=ids)
def test_errors_of_the_server_are_one_line_of_text(server: Running, code: int, raw: bytes) -> None:
    status, fields, body = asked(server, raw)
    assert status == code
    assert fields[b"content-type"] == b"text/plain; charset=utf-8"
    assert fields[b"server"] == b"carboy"
    assert fields[b"connection"] == b"close"
    assert re.fullmatch(rb"%d [\x20-\x7e]+\n" % code, body)
    assert [leak for leak in LEAKS if leak in body] == []


@pytest.mark.parametrize("target", [REFLECTED, b"/boom", b"/abort/503"])
def test_an_error_has_no_body_for_a_head_request(server: Running, target: bytes) -> None:
    _, fields, body = asked(server, get(target, method=b"HEAD"))
    assert body == b""
    assert int(fields[b"content-length"]) > 0


def test_errors_of_the_application_are_only_in_the_log(server: Running) -> None:
    asked(server, get(b"/boom"))
    assert server.line("LookupError: <i>hunter2</i>")
