"""`carboy run` with ASGI applications, as a user starts it."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from running import Running

APP = """\
import asyncio

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        print("started", flush=True)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("ended", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/slow":
        print("slow request", flush=True)
        await asyncio.sleep(1)
    loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": loop.encode()})
"""
FAILS = """\
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        raise ConnectionError("The database does not answer.")
"""
ONE_PROCESS = ("--no-supervisor",)
SUPERVISED = ("--workers", "2")


def write(folder: Path, text: str = APP, name: str = "app.py") -> None:
    (folder / name).write_text(text)


@pytest.mark.parametrize("options", [(), ONE_PROCESS, SUPERVISED], ids=" ".join)
def test_it_is_served_logged_and_stopped(options: tuple[str, ...], tmp_path: Path) -> None:
    write(tmp_path)
    with Running("run", "app:app", "--port", "0", *options, cwd=tmp_path) as server:
        assert server.get()[0] == 200
        server.line('"GET / HTTP/1.1" 200')
        assert server.stop() == 0
        count = 2 if options == SUPERVISED else 1
        # Two processes may write between a word and the end of its line.
        out = "".join(server.out)
        assert [out.count(word) for word in ("started", "ended")] == [count, count]
        assert "Traceback" not in server.text()


@pytest.mark.parametrize("options", [(), ONE_PROCESS, SUPERVISED], ids=" ".join)
def test_a_lifespan_that_fails_ends_the_start_with_its_error(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    write(tmp_path, FAILS)
    with Running("run", "app:app", "--port", "0", *options, cwd=tmp_path) as server:
        assert server.wait() == 1
        assert "The application failed to start: Traceback" in server.text()
        assert "ConnectionError: The database does not answer." in server.text()
        assert "http://" not in server.text()


@pytest.mark.parametrize("options", [(), ONE_PROCESS], ids=" ".join)
def test_a_stop_waits_for_requests_and_then_ends_the_lifespan(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    write(tmp_path)
    with Running("run", "app:app", "--port", "0", *options, cwd=tmp_path) as server:
        connection = server.connect()
        connection.request("GET", "/slow")
        server.line("slow request")
        server.send(signal.SIGTERM)
        response = connection.getresponse()
        assert response.status == 200
        assert response.getheader("Connection") == "close"
        response.read()
        connection.close()
        assert server.wait() == 0
        server.line("ended")


@pytest.mark.parametrize("options", [(), ONE_PROCESS], ids=" ".join)
def test_sighup_serves_the_new_code(options: tuple[str, ...], tmp_path: Path) -> None:
    write(tmp_path)
    with Running("run", "app:app", "--port", "0", *options, cwd=tmp_path) as server:
        server.line("started")
        server.get()
        write(tmp_path, APP.replace("loop.encode()", "b'new code'"))
        server.send(signal.SIGHUP)
        server.line("started", 2)
        server.line("ended")
        assert server.get()[1] == b"new code"
        assert server.stop() == 0


def test_the_kind_of_loop_can_be_chosen(tmp_path: Path) -> None:
    pytest.importorskip("uvloop")
    write(tmp_path)
    for loop, used in (("asyncio", b"asyncio"), ("uvloop", b"uvloop")):
        options = ("--port", "0", "--loop", loop, *ONE_PROCESS)
        with Running("run", "app:app", *options, cwd=tmp_path) as server:
            assert server.get()[1] == used


def test_uvloop_that_is_not_installed_is_an_error(tmp_path: Path) -> None:
    write(tmp_path)
    hidden = "from importlib.machinery import PathFinder as u; found = u.find_spec\n"
    hidden += "u.find_spec = lambda name, *more: name != 'uvloop' and found(name, *more) or None\n"
    write(tmp_path, hidden + APP)
    options = ("--port", "0", "--loop", "uvloop", *ONE_PROCESS)
    with Running("run", "app:app", *options, cwd=tmp_path) as server:
        assert server.wait() == 1
        assert (
            "Error: The event loop uvloop is not installed. Use: pip install uvloop."
            in server.text()
        )


BOTH = """\
def app(*args):
    if len(args) == 2:
        args[1]("200 OK", [])
        return [b"wsgi"]
    return asgi(*args)

async def asgi(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"asgi"})
"""


@pytest.mark.parametrize("interface", ["wsgi", "asgi"])
def test_the_interface_of_an_application_with_both_can_be_chosen(
    interface: str, tmp_path: Path
) -> None:
    write(tmp_path, BOTH)
    options = ("--port", "0", "--interface", interface, *ONE_PROCESS)
    with Running("run", "app:app", *options, cwd=tmp_path) as server:
        assert server.get()[1] == interface.encode()


def test_serve_serves_it_from_python(tmp_path: Path) -> None:
    write(tmp_path)
    text = (
        "from carboy.server import serve\nfrom app import app\nserve(app, port=0, loop='asyncio')"
    )
    write(tmp_path, text, "program.py")
    with Running(cwd=tmp_path, command=("program.py",)) as server:
        server.line("Serving on")
        assert server.get()[1] == b"asyncio"
        assert server.stop() == 0
        server.line("ended")
