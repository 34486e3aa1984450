"""Servers under Werkzeug's names; Werkzeug gives the expected results."""

from __future__ import annotations

import hashlib
import http.client
import inspect
import signal
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import werkzeug.serving

import carboy.serving
from carboy.serving import make_server, run_simple
from certificates import Authority, unchecked
from running import PATIENCE, Running


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['wsgi.multithread']} {environ['wsgi.multiprocess']}".encode()]


@contextmanager
def serving(server: Any) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def get(server: Any) -> str:
    host = server.server_address[0]
    connection = http.client.HTTPConnection(host, server.port, timeout=PATIENCE)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("name", ["run_simple", "make_server"])
def test_parameters_and_defaults_are_werkzeugs(name: str) -> None:
    ours, theirs = (
        [(p.name, p.default, p.kind) for p in inspect.signature(function).parameters.values()]
        for function in ({"run_simple": run_simple, "make_server": make_server}[name],
                         getattr(werkzeug.serving, name))
    )  # fmt: skip
    assert ours == theirs


@pytest.mark.parametrize(
    "options", [{}, {"threaded": True}, {"processes": 2}], ids=["plain", "threaded", "processes"]
)
def test_a_server_in_a_thread_answers_and_can_be_shut_down(options: dict[str, Any]) -> None:
    ours = make_server("127.0.0.1", 0, app, **options)
    theirs = werkzeug.serving.make_server("127.0.0.1", 0, app, **options)
    theirs.server_close()
    with serving(ours):
        assert get(ours) == f"{theirs.multithread} {theirs.multiprocess}"
    assert ours.fileno() == -1


def test_attributes_are_werkzeugs() -> None:
    with (
        make_server("127.0.0.1", 0, app) as ours,
        werkzeug.serving.make_server("127.0.0.1", 0, app) as theirs,
    ):
        for name in ("host", "address_family", "ssl_context", "multithread", "multiprocess"):
            assert getattr(ours, name) == getattr(theirs, name), name
        assert ours.port == ours.server_port == ours.server_address[1] != 0
        assert ours.app is app
        assert ours.fileno() == ours.socket.fileno() > 2


def test_a_unix_socket_is_a_host_and_its_file_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    server = make_server(f"unix://{path}", 0, app)
    assert server.server_address == str(path)
    assert server.address_family == socket.AF_UNIX
    with serving(server), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        client.settimeout(PATIENCE)
        assert client.recv(100).startswith(b"HTTP/1.1 200")
    assert not path.exists()


def test_a_given_descriptor_still_belongs_to_the_caller() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = make_server("127.0.0.1", 0, app, fd=listener.fileno())
        assert server.port == listener.getsockname()[1]
        with serving(server):
            assert get(server) == "False False"
        assert listener.fileno() > 0


def test_a_port_may_be_text_for_make_server_but_not_for_run_simple() -> None:
    make_server("127.0.0.1", "0", app).server_close()  # type: ignore[arg-type]
    werkzeug.serving.make_server("127.0.0.1", "0", app).server_close()  # type: ignore[arg-type]
    for function in (run_simple, werkzeug.serving.run_simple):
        with pytest.raises(TypeError):
            function("127.0.0.1", "0", app)  # type: ignore[operator]


@pytest.mark.parametrize("serving", [carboy.serving, werkzeug.serving], ids=lambda m: m.__name__)
def test_a_replaced_server_bind_learns_the_port(
    serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, ports = socketserver.TCPServer.server_bind, []

    def server_bind(server: Any) -> None:  # as the live server of Flask-Testing does
        original(server)
        ports.append(server.socket.getsockname()[1])

    monkeypatch.setattr(socketserver.TCPServer, "server_bind", server_bind)
    server = serving.make_server("127.0.0.1", 0, app)
    again = serving.make_server("127.0.0.1", 0, app, fd=server.fileno())
    assert ports == [server.port]
    again.server_close()
    server.server_close()


@pytest.mark.parametrize("serving", [carboy.serving, werkzeug.serving], ids=lambda m: m.__name__)
def test_a_subclass_extends_server_bind_and_server_activate(serving: Any) -> None:
    seen = []

    class Server(serving.BaseWSGIServer):  # type: ignore[misc]
        def server_bind(self) -> None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            super().server_bind()
            seen.append(self.server_address)

        def server_activate(self) -> None:
            super().server_activate()
            seen.append(self.socket.getsockname())

    server = Server("127.0.0.1", 0, app)
    assert seen == [server.server_address] * 2
    assert server.socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    server.server_close()


@pytest.mark.parametrize("module", ["ours", "theirs"])
def test_threads_and_processes_together_are_refused(module: str) -> None:
    make = {"ours": make_server, "theirs": werkzeug.serving.make_server}[module]
    with pytest.raises(ValueError, match="(?i)process"):
        make("127.0.0.1", 0, app, threaded=True, processes=2)


def test_a_port_in_use_ends_the_process_like_werkzeug(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for make in (make_server, werkzeug.serving.make_server):
            with pytest.raises(SystemExit) as end:
                make("127.0.0.1", port, app)
            assert end.value.code == 1
            assert f"Port {port} is in use" in capfd.readouterr().err


def test_a_shutdown_before_serving_makes_serve_forever_return() -> None:
    server = make_server("127.0.0.1", 0, app)
    server.shutdown()
    server.serve_forever()
    assert server.fileno() == -1


def test_shutdown_waits_until_the_running_request_is_answered() -> None:
    running, go_on = threading.Event(), threading.Event()

    def slow(environ: Any, start_response: Any) -> list[bytes]:
        running.set()
        go_on.wait(PATIENCE)
        return app({"wsgi.multithread": 1, "wsgi.multiprocess": 2}, start_response)

    server = make_server("127.0.0.1", 0, slow, threaded=True)
    answers: list[str] = []
    client = threading.Thread(target=lambda: answers.append(get(server)))
    with serving(server):
        client.start()
        running.wait(PATIENCE)
        threading.Thread(target=go_on.set).start()
    client.join(PATIENCE)
    assert answers == ["1 2"]


def test_handle_request_answers_one_request_and_returns() -> None:
    with make_server("127.0.0.1", 0, app) as server:
        answers: list[str] = []
        client = threading.Thread(target=lambda: answers.append(get(server)))
        client.start()
        server.handle_request()
        client.join(PATIENCE)
        assert answers == ["False False"]
        assert server.fileno() > 0


@pytest.mark.parametrize("timeout", [0.0, 0.01])
def test_handle_request_returns_after_its_timeout(timeout: float) -> None:
    with make_server("127.0.0.1", 0, app) as server:
        server.timeout = timeout  # 0.0 is over before the server runs
        for _ in range(3):
            server.handle_request()


SCRIPT = """
from carboy.server import serve
from carboy.serving import make_server, run_simple
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"%r %r" % (environ["wsgi.multithread"], environ["wsgi.multiprocess"])]
if __name__ == "__main__":
    {call}
    print("over")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
@pytest.mark.parametrize(
    ("call", "answer"),
    [
        ("run_simple('127.0.0.1', 0, app)", b"False False"),
        ("run_simple('127.0.0.1', 0, app, threaded=True)", b"True False"),
        ("run_simple('127.0.0.1', 0, app, processes=2)", b"False True"),
        ("serve(app, port=0, workers=2, threads=3, keepalive_timeout=5)", b"True True"),
        ("serve(app, bind='127.0.0.1:0', threads=1)", b"False False"),
    ],
)
def test_a_script_continues_after_the_signal_that_ends_serving(
    tmp_path: Path, call: str, answer: bytes, number: int
) -> None:
    (tmp_path / "script.py").write_text(SCRIPT.format(call=call))
    with Running(cwd=tmp_path, command=("script.py",)) as server:
        assert server.get() == (200, answer)
        assert server.stop(number) == 0
        assert "over" in "".join(server.out)


def test_ctrl_c_ends_serve_forever_quietly(tmp_path: Path) -> None:
    call = "s = make_server('127.0.0.1', 0, app); print(f'http://x:{s.port}/', flush=True); "
    script = SCRIPT.format(call=call + "s.serve_forever()")
    (tmp_path / "script.py").write_text(script)
    with Running(cwd=tmp_path, command=("script.py",)) as server:
        port = int(server.line("http://x:").split(":")[2].strip("/\n"))
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(100)
            assert server.stop(signal.SIGINT) == 0
        assert "Traceback" not in server.text()
        assert "over" in "".join(server.out)


TWICE = """
import _thread
from carboy import Flask

app = Flask(__name__)

@app.get("/fail")
def fail():
    raise RuntimeError("shown or not")

@app.get("/end")
def end():
    _thread.interrupt_main()
    return "ended"

app.run(port=0)
print("second", flush=True)
app.run(port=0, debug=True, use_reloader=False)
print("third", flush=True)
app.run(port=0, debug=False)
"""


def test_each_run_of_an_application_has_its_own_options(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(TWICE)
    with Running(cwd=tmp_path, command=("app.py",)) as server:
        for count, debugged in enumerate((False, True, False), start=1):
            port = int(server.line("Running on http", count).rstrip().rpartition(":")[2])
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
            for _ in range(3):
                connection.request("GET", "/fail", headers={"Accept": "text/html"})
                response = connection.getresponse()
                assert response.status == 500
                assert (b"shown or not" in response.read()) is debugged
            connection.request("GET", "/edn", headers={"Accept": "text/html"})
            response = connection.getresponse()
            assert response.status == 404
            assert (b"The nearest routes are first." in response.read()) is debugged
            connection.request("GET", "/end")
            assert connection.getresponse().read() == b"ended"
            connection.close()
        assert server.wait() == 0


def _serial_of(server: Any) -> str:
    context = unchecked()
    with (
        socket.create_connection(("127.0.0.1", server.port), PATIENCE) as sock,
        context.wrap_socket(sock) as wrapped,
    ):
        wrapped.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert wrapped.makefile("rb").read().startswith(b"HTTP/1.1 200 ")
        der = wrapped.getpeercert(binary_form=True)
        assert der is not None
        return hashlib.sha256(der).hexdigest()


@pytest.mark.parametrize("options", [{}, {"threaded": True}, {"processes": 2}], ids=str)
def test_the_files_of_ssl_context_are_loaded_again_when_they_change(
    tmp_path: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carboy.net.tls_server.LOOK_EVERY", 0.02)
    authority = Authority()
    files = authority.sign("localhost").write(tmp_path)
    server = make_server("127.0.0.1", 0, app, ssl_context=files, **options)
    with serving(server):
        before = _serial_of(server)
        authority.sign("localhost").write(tmp_path)
        until = time.monotonic() + PATIENCE
        while _serial_of(server) == before:
            assert time.monotonic() < until
            time.sleep(0.05)


def test_a_context_that_is_assigned_later_is_used(tmp_path: Path) -> None:
    authority = Authority()
    server = make_server("127.0.0.1", 0, app, ssl_context=authority.sign("a").write(tmp_path))
    later = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    signed = authority.sign("b")
    later.load_cert_chain(*signed.write(tmp_path, "later"))
    server.ssl_context = later
    with serving(server):
        der = ssl.PEM_cert_to_DER_cert(signed.certificate.decode())
        assert _serial_of(server) == hashlib.sha256(der).hexdigest()
