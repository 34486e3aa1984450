"""HTTP/2 of the servers under Werkzeug's names."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from carboy.serving.handler import WSGIRequestHandler
from carboy.serving.wsgi_server import make_server
from certificates import Authority, unchecked
from http2_client import Http2Client, connected

AUTHORITY = Authority()


def protocol(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["SERVER_PROTOCOL"].encode(), b" ", body]


@contextmanager
def serving(ssl_context: Any, **options: Any) -> Iterator[Any]:
    server = make_server("127.0.0.1", 0, protocol, ssl_context=ssl_context, **options)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()


class Place:
    """Where a server listens."""

    def __init__(self, server: Any) -> None:
        self.address = server.server_address


def chosen_by(server: Any) -> str | None:
    with connected(Place(server), unchecked()) as sock:
        found: str | None = sock.selected_alpn_protocol()
        return found


@pytest.mark.parametrize("options", [{}, {"threaded": True}, {"processes": 2}], ids=str)
def test_a_server_with_certificate_files_speaks_http_2(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    files = AUTHORITY.sign("localhost").write(tmp_path)
    with serving(files, **options) as server, connected(Place(server), unchecked()) as sock:
        assert sock.selected_alpn_protocol() == "h2"
        client = Http2Client(sock)
        numbers = [client.request(scheme="https") for _ in range(3)]
        assert [client.reply(each).body for each in numbers] == [b"HTTP/2 "] * 3
        assert client.post("/", b"x" * 200_000).body == b"HTTP/2 " + b"x" * 200_000


def test_a_server_with_a_certificate_made_at_the_start_speaks_http_2() -> None:
    with serving("adhoc") as server:
        assert chosen_by(server) == "h2"


def test_a_context_chooses_http_2_unless_its_maker_has_chosen(tmp_path: Path) -> None:
    files = AUTHORITY.sign("localhost").write(tmp_path)
    for made, expected in ((None, "h2"), ("http/1.1", "http/1.1")):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
        if made is not None:
            context.set_alpn_protocols([made])
        with serving(context) as server:
            assert chosen_by(server) == expected


def test_a_context_that_is_assigned_later_chooses_http_2(tmp_path: Path) -> None:
    server = make_server("127.0.0.1", 0, protocol)
    server.ssl_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.ssl_context.load_cert_chain(*AUTHORITY.sign("localhost").write(tmp_path))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        assert chosen_by(server) == "h2"
    finally:
        server.shutdown()
        thread.join()


def test_a_handler_class_gets_requests_of_http_1_only() -> None:
    with serving("adhoc", request_handler=WSGIRequestHandler) as server:
        assert chosen_by(server) == "http/1.1"
