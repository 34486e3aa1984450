"""Outgoing HTTP requests in the list of requests: each request on the wire is recorded once."""

from __future__ import annotations

import asyncio
import http.client
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
import requests
import urllib3

from recorded_requests import recorded, told


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/cut":
            return
        moved = self.path == "/moved"
        self.send_response(302 if moved else 404 if self.path == "/none" else 200)
        if moved:
            self.send_header("Location", "/there")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def with_requests(url: str) -> None:
    requests.get(url, timeout=30)


def with_httpx(url: str) -> None:
    httpx.get(url, follow_redirects=True, trust_env=False)


def with_asynchronous_httpx(url: str) -> None:
    async def get() -> None:
        async with httpx.AsyncClient(follow_redirects=True, trust_env=False) as client:
            await client.get(url)

    asyncio.run(get())


def with_urllib3(url: str) -> None:
    with urllib3.PoolManager() as pool:
        pool.request("GET", url, retries=urllib3.Retry(1, connect=0, read=0))


def with_urllib_request(url: str) -> None:
    try:
        with urllib.request.urlopen(url) as response:
            response.read()
    except urllib.error.HTTPError as error:
        error.close()


def with_http_client(url: str) -> None:
    place, _, path = url.removeprefix("http://").rpartition("@")[2].partition("/")
    connection = http.client.HTTPConnection(place)
    try:
        connection.request("GET", f"/{path}")
        connection.getresponse().read()
    finally:
        connection.close()


CLIENTS = pytest.mark.parametrize(
    "get",
    [
        with_requests, with_httpx, with_asynchronous_httpx, with_urllib3, with_urllib_request,
        with_http_client,
    ],
    ids=lambda function: function.__name__,
)  # fmt: skip


@CLIENTS
def test_a_request_is_recorded_once_and_without_secrets(
    server: str, get: Callable[[str], None]
) -> None:
    record = recorded(lambda: get(f"http://{server}/there?x=1&token=hunter2"))
    assert told(record, "http") == [f"GET http://{server}/there?x=1&token=•••••• | 200 OK"]
    assert record.events[0].took > 0
    assert record.summary()["http"] == 1


@CLIENTS
def test_a_redirect_that_is_followed_has_two_requests(
    server: str, get: Callable[[str], None]
) -> None:
    found = told(recorded(lambda: get(f"http://{server}/moved")), "http")
    expected = [f"GET http://{server}/moved | 302 Found", f"GET http://{server}/there | 200 OK"]
    assert found == (expected[:1] if get is with_http_client else expected)


@CLIENTS
def test_a_request_that_fails_has_its_error(server: str, get: Callable[[str], None]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nothing listens there
        closed = f"127.0.0.1:{taken.getsockname()[1]}"

        def view() -> None:
            for url in (f"http://{closed}/", f"http://{server}/cut"):
                with pytest.raises(Exception):  # noqa: PT011 - each client has its own
                    get(url)

        first, second = told(recorded(view), "http")
    assert first.startswith(f"GET http://{closed}/ | ")
    assert "Error" in first
    assert second.startswith(f"GET http://{server}/cut | ")
    assert "Error" in second or "Disconnected" in second


def test_a_password_of_a_url_is_not_shown(server: str) -> None:
    def view() -> None:
        requests.post(f"http://ada:hunter2@{server}/none", data={"a": 1}, timeout=30)

    assert told(recorded(view), "http") == [f"POST http://{server}/none | 404 Not Found"]


def test_a_client_that_is_imported_during_a_request_is_recorded() -> None:
    """In a process of its own, in which nothing is imported yet."""
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from recorded_requests import recorded, told
def view():
    assert not {"requests", "httpx", "urllib3", "sqlalchemy", "psycopg"} & set(sys.modules)
    import requests
    try:
        requests.get("http://127.0.0.1:1/")
    except requests.ConnectionError:
        pass
print(*told(recorded(view), "http"))
"""
    command = [sys.executable, "-c", code, str(Path(__file__).parents[1])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("GET http://127.0.0.1:1/ | NewConnectionError")
