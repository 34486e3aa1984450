"""sys.stdout and sys.stderr of a server whose output is not read."""

from __future__ import annotations

import http.client
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from running import PATIENCE, Running, die_with_parent

# Routes of one application for Flask and for Carboy: routes that fail, that log and that are slow.
FRAMEWORK = """
import logging, sys, threading, time, traceback
from {package} import {name}, request

app = {name}(__name__)
gathered = threading.Barrier(33)

@app.get("/quick")
def quick():
    return "quick"

@app.get("/slow")
def slow():
    time.sleep(0.01)
    return "slow"

@app.get("/fail")
def fail():
    raise ValueError("x" * 2000)

@app.get("/write")
def write():
    for _ in range(100):
        sys.stderr.write("w" * 500 + "\\n")
        print("p" * 500, flush=True)
        sys.stdout.buffer.write(b"b" * 500 + b"\\n")
    request.environ["wsgi.errors"].write("e" * 500 + "\\n")
    app.logger.error("logged")
    logging.getLogger("other").warning("last resort")
    traceback.print_stack()
    return "written"
"""

KINDS = {
    "flask": FRAMEWORK.format(package="flask", name="Flask"),
    "carboy": FRAMEWORK.format(package="carboy", name="Carboy"),
}


@contextmanager
def unread(
    folder: Path,
    *args: str,
    app: str = "service",
    stdout: int | None = None,
    stderr: int | None = None,
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A server and its port. Its outputs are pipes that are not read, unless others are given."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd = listener.fileno()
        command = [sys.executable, "-m", "carboy", "run", app, "--fd", str(fd), *args]
        process = subprocess.Popen(
            command,
            cwd=folder,
            pass_fds=[fd],
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.PIPE if stderr is None else stderr,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one call into the kernel
            env={**os.environ, "PYTHONPATH": ""},
        )
        try:
            yield process, listener.getsockname()[1]
        finally:
            process.kill()
            process.wait(PATIENCE)
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()


def get(port: int, path: str) -> int:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    with closing(client):
        client.request("GET", path)
        response = client.getresponse()
        response.read()
        return response.status


def at_once(count: int, work: Callable[[], object]) -> list[object]:
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(work())) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    return found


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("kind", KINDS)
def test_outputs_that_are_not_read_block_no_route(tmp_path: Path, kind: str, workers: str) -> None:
    (tmp_path / "service.py").write_text(KINDS[kind])
    with unread(tmp_path, "-w", workers) as (process, port):
        assert at_once(33, lambda: get(port, "/write")) == [200] * 33
        for _ in range(200):
            assert get(port, "/fail") == 500
        for path in ("/slow", "/quick"):
            assert at_once(16, lambda path=path: get(port, path)) == [200] * 16
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


def memory(pid: int) -> int:
    """Bytes of a process that are in memory."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


HELLO = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]
"""


def test_an_access_log_that_is_not_read_takes_bounded_memory_and_lost_lines_are_reported(
    tmp_path: Path,
) -> None:
    (tmp_path / "service.py").write_text(HELLO)
    head = b"GET /" + b"p" * 6000 + b" HTTP/1.1\r\nHost: x\r\n" + b"X: " + b"x" * 7000 + b"\r\n\r\n"
    with unread(tmp_path) as (process, port):
        assert process.stderr is not None
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
            answers = client.makefile("rb")

            def ask(times: int) -> None:
                client.sendall(head * times)
                for _ in range(times):
                    while (line := answers.readline()) != b"\r\n":
                        assert line, "the connection has ended"
                    answers.read(5)

            ask(50)
            before = memory(process.pid)
            for _ in range(300):
                ask(20)
            assert memory(process.pid) - before < 40 * 1024 * 1024
        told = b""
        while b"lost" not in told or not told.endswith(b"\n"):
            assert select.select([process.stderr], [], [], PATIENCE)[0], told
            told += os.read(process.stderr.fileno(), 65536)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        told += process.stderr.read()
        lost = re.findall(rb"(\d+) log lines? (?:was|were) lost \(standard output\): (.*)\.", told)
        assert {reason for _, reason in lost} == {b"they were not read in time"}
        assert process.stdout is not None
        written = process.stdout.read().count(b"\n")
        assert sum(int(count) for count, _ in lost) + written in (6049, 6050, 6051)


ORDINARY = """
import atexit, io, logging, os, sys

logging.basicConfig()
before = logging.getLogger().handlers[0].stream

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/last-words":
        sys.stderr.write("last words\\n")
        os._exit(3)
    if path == "/attributes":
        for stream, original in ((sys.stdout, sys.__stdout__), (sys.stderr, sys.__stderr__)):
            assert isinstance(stream, io.TextIOWrapper) and stream is not original
            for name in ("encoding", "errors", "line_buffering", "write_through", "name", "mode",
                         "newlines", "closed"):
                assert getattr(stream, name) == getattr(original, name), name
            assert stream.fileno() == original.fileno()
            assert stream.isatty() == original.isatty()
            assert stream.writable() and not stream.readable()
            assert stream.buffer.fileno() == original.fileno()
        assert before is sys.stderr
    if path == "/print":
        print("a line", end="")
        print(" in two pieces")
        sys.stderr.writelines(["one\\n", "two\\n"])
        sys.stdout.reconfigure(encoding="ascii", errors="replace")
        print("gr\\xfc\\xdfe \\u20ac", flush=True)
    if path == "/unfinished":
        print("unfinished", end="", file=sys.stderr)
    start_response("200 OK", [("Content-Length", "0")])
    return []

atexit.register(print, "good bye")
"""


@pytest.fixture
def ordinary(tmp_path: Path) -> Path:
    (tmp_path / "service.py").write_text(ORDINARY)
    return tmp_path


def run(folder: Path, *args: str, **env: str) -> Running:
    return Running("run", "service", "-p", "0", "--no-access-log", *args, cwd=folder, env=env)


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_the_streams_have_the_attributes_of_the_originals(
    ordinary: Path, workers: str, unbuffered: str
) -> None:
    with run(ordinary, "-w", workers, PYTHONUNBUFFERED=unbuffered) as server:
        assert server.get("/attributes") == (200, b""), server.text()


def test_printed_text_is_complete_and_in_order(ordinary: Path) -> None:
    with run(ordinary, PYTHONUNBUFFERED="", PYTHONIOENCODING="utf-8:surrogateescape") as server:
        assert server.get("/print")[0] == 200
        server.line("two\n")
        assert server.stop() == 0
        assert server.err[-3:-1] == ["one\n", "two\n"]
        assert server.out[0] == "a line in two pieces\n"
        assert server.out[-1] == "good bye\n"


def test_text_written_right_before_the_process_ends_is_complete(ordinary: Path) -> None:
    with run(ordinary) as server:
        with pytest.raises((OSError, http.client.HTTPException)):
            server.get("/last-words")
        server.line("last words")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_incomplete_line_is_written_at_the_end(ordinary: Path, workers: str) -> None:
    with run(ordinary, "-w", workers) as server:
        assert server.get("/unfinished")[0] == 200
        assert server.stop() == 0
        assert "unfinished" in "".join(server.err)


LIBRARY = """
import io, logging, sys, threading
from carboy.serving.wsgi_server import make_server
{before}
kept = []
def app(environ, start_response):
    kept.append(sys.stderr)
    start_response("200 OK", [])
    return []

server = make_server("127.0.0.1", 0, app)
thread = threading.Thread(target=server.serve_forever)
thread.start()
import urllib.request
urllib.request.urlopen(f"http://127.0.0.1:{{server.port}}/").read()
server.shutdown()
thread.join()
{after}
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # restored, and the stream that was kept still leads to the same place
        ("", "assert sys.stderr is sys.__stderr__ is not kept[0]; kept[0].write('right\\n')"),
        # the application's own stream is left alone
        (
            "mine = sys.stderr = io.StringIO()",
            "assert kept[0] is mine is sys.stderr; sys.__stderr__.write('right\\n')",
        ),
        # set while the server ran
        (
            "class Tee(io.StringIO): pass\nsys.stderr = io.StringIO(); sys.stderr = sys.__stderr__",
            "sys.stderr.write('right\\n')",
        ),
        # existing handlers follow the stream, and are restored
        (
            "logging.basicConfig()",
            "assert logging.getLogger().handlers[0].stream is sys.__stderr__;"
            " logging.warning('right')",
        ),
    ],
    ids=["restored", "left-alone", "changed", "handlers"],
)
def test_a_server_in_a_program_restores_the_streams(before: str, after: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIBRARY.format(before=before, after=after)],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "right\n" in done.stderr


def test_a_terminal_is_still_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(
        HELLO.replace("def app", "import sys\n\ndef app").replace(
            "    start_response", "    assert sys.stderr.isatty()\n    start_response"
        )
    )
    master, slave = os.openpty()
    try:
        with unread(tmp_path, stdout=slave, stderr=slave) as (_, port):
            assert get(port, "/") == 200
    finally:
        os.close(master)
        os.close(slave)


def test_a_process_ends_while_it_writes_to_an_output_that_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(
        HELLO + "\nimport atexit, sys\n"
        "atexit.register(lambda: [sys.stderr.write('x' * 9999 + '\\n') for _ in range(100)])\n"
        "def fill(environ, start_response):\n"
        "    [print('x' * 9999, file=sys.stderr) for _ in range(100)]\n"
        "    return app(environ, start_response)\n"
    )
    with unread(tmp_path, "-w", "2", app="service:fill") as (process, port):
        assert get(port, "/") == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


def test_a_supervisor_whose_output_is_not_read_replaces_workers(tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(
        HELLO + "\nimport os, signal, sys\n"
        "def fill(environ, start_response):\n"
        "    [print('x' * 9999, file=sys.stderr) for _ in range(100)]\n"
        "    if environ['PATH_INFO'] == '/die':\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return app(environ, start_response)\n"
    )
    with unread(tmp_path, "-w", "1", app="service:fill") as (process, port):
        for _ in range(2):
            assert get(port, "/") == 200
            with pytest.raises((OSError, http.client.HTTPException)):
                get(port, "/die")
        assert get(port, "/") == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
