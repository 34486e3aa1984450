"""Extensions of ASGI: trailers, parts of files, and the facts about a TLS connection."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from carboy.gateway.asgi_parts import FilePart
from carboy.net.certificates import generate_adhoc_ssl_context
from carboy.net.tls import TlsStream
from live_asgi import Message, Receive, Send, body, only_http, served_asgi, start
from live_engine import GET, Live, eventually

TE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: TE, close\r\nTE: deflate;q=0.5, Trailers\r\n\r\n"


# --- trailers


def trailers(*fields: tuple[bytes, bytes], more: bool = False) -> Message:
    return {"type": "http.response.trailers", "headers": fields, "more_trailers": more}


def with_trailers(*messages: Message, **headers: Any) -> Any:
    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        assert scope["extensions"]["http.response.trailers"] == {}
        await send({**start(), "trailers": True, **headers})
        for message in messages:
            await send(message)

    return app


FIELDS = (b"x-digest", b"abc"), (b"server-timing", b"db;dur=1")


@pytest.mark.parametrize("in_parts", [False, True])
def test_a_client_that_accepts_trailers_gets_them_after_the_last_chunk(in_parts: bool) -> None:
    parts = [body(b"one", more=True), body(b"two")] if in_parts else [body(b"onetwo")]
    app = with_trailers(*parts, trailers(FIELDS[0], more=True), trailers(FIELDS[1]))
    with served_asgi(app, record=True) as live:
        head, _, content = live.ask(TE).partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head
    assert content.endswith(b"0\r\nx-digest: abc\r\nserver-timing: db;dur=1\r\n\r\n")
    assert content.startswith(b"3\r\none\r\n3\r\ntwo\r\n" if in_parts else b"6\r\nonetwo\r\n")


def test_a_client_that_does_not_accept_trailers_gets_the_response_without_them() -> None:
    app = with_trailers(body(b"one"), trailers(*FIELDS))
    with served_asgi(app) as live, live.client() as client:
        for _ in range(2):
            client.send(GET)
            reply = client.reply()
            assert (reply.status, reply.body) == (200, b"one")


@pytest.mark.parametrize(
    "data",
    [
        TE.replace(b"HTTP/1.1", b"HTTP/1.0"),
        TE.replace(b"GET", b"HEAD"),
    ],
    ids=["HTTP/1.0", "HEAD"],
)
def test_a_response_that_is_not_chunked_has_no_trailers(data: bytes) -> None:
    with served_asgi(with_trailers(body(b"one"), trailers(*FIELDS))) as live:
        assert b"x-digest" not in live.ask(data)


def test_a_response_with_a_length_has_no_trailers() -> None:
    app = with_trailers(body(b"one"), trailers(*FIELDS), headers=[(b"content-length", b"3")])
    with served_asgi(app) as live:
        assert live.ask(TE).endswith(b"\r\n\r\none")


FAILING = {
    "Set `trailers`": [body(b"x", more=True), trailers(*FIELDS)],
    "Trailers follow": [body(b"x", more=True), trailers(*FIELDS)],
    "is complete already": [body(b"x"), body(b"y", more=True)],
    "content-length cannot be a trailer": [body(b"x"), trailers((b"content-length", b"1"))],
    "Set-Cookie cannot be a trailer": [body(b"x"), trailers((b"Set-Cookie", b"a=b"))],
    "control character": [body(b"x"), trailers((b"x-a", b"b\r\nc: d"))],
    "without completing its response": [body(b"x")],
}


@pytest.mark.parametrize("text", FAILING)
def test_a_wrong_message_is_an_error_that_cuts_the_response(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = with_trailers(*FAILING[text], trailers=not text.startswith("Set `"))
    with served_asgi(app) as live:
        assert not live.ask(TE).endswith(b"\r\n\r\n")  # the end of the last chunk is missing
    assert text in caplog.text


# --- parts of files


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 4)
    return path


def part(file: Any, more: bool = False, **options: int) -> Message:
    return {"type": "http.response.zerocopysend", "file": file, "more_body": more, **options}


@pytest.mark.skipif(not hasattr(os, "sendfile"), reason="needs sendfile")
@pytest.mark.parametrize("length", [False, True], ids=["in chunks", "with a length"])
def test_parts_of_files_and_other_parts_of_a_body_keep_their_order(
    file: Path, length: bool
) -> None:
    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        assert scope["extensions"]["http.response.zerocopysend"] == {}
        await send(start(200, *([(b"content-length", b"45")] if length else [])))
        with file.open("rb") as opened:
            opened.seek(65)
            await send(part(opened, more=True, count=3))  # from the position of the file
            await send(body(b"-", more=True))
            await send(part(opened, more=True, count=4))  # which has moved
            await send(part(opened, more=True, offset=48, count=10))
            await send(part(opened, more=True, count=0))
            descriptor = os.dup(opened.fileno())
        os.lseek(descriptor, 97, os.SEEK_SET)
        await send(part(descriptor, more=True, count=26))
        assert os.lseek(descriptor, 0, os.SEEK_CUR) == 97 + 26
        os.close(descriptor)
        await send(body(b"!"))

    with served_asgi(app, record=True) as live, live.client() as client:
        for _ in range(2):
            client.send(GET)
            reply = client.reply()
            assert reply.body == b"ABC-DEFG0123456789abcdefghijklmnopqrstuvwxyz!"
        eventually(lambda: [record[5] for record in live.records] == [45, 45])


def test_a_part_of_a_file_may_be_the_whole_response(file: Path) -> None:
    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start())
        with file.open("rb") as opened:
            await send(part(opened, offset=1000))

    with served_asgi(app) as live, live.client() as client:
        for method in ("GET", "HEAD", "GET"):
            client.request(method, "/")
            reply = client.reply(method)
            assert reply.body == (b"" if method == "HEAD" else file.read_bytes()[1000:])


@pytest.fixture(scope="module")
def context() -> ssl.SSLContext:
    return generate_adhoc_ssl_context()


@pytest.mark.parametrize("transport", ["plain", "TLS", "without sendfile"])
def test_large_parts_wait_for_a_slow_client(
    tmp_path: Path, transport: str, context: ssl.SSLContext
) -> None:
    path = tmp_path / "large"
    data = os.urandom(1 << 20) * 3
    path.write_bytes(data)
    sent = 0

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send(start())
        for number in range(10):
            with path.open("rb") as opened:
                await send(part(opened, more=True, offset=number))
            await send(body(b"between", more=True))
            sent += 1
        await send(body())

    expected = hashlib.sha256()
    for number in range(10):
        expected.update(data[number:] + b"between")
    settings: dict[str, Any] = {"sendfile": transport != "without sendfile"}
    if transport == "TLS":
        settings["wrap"] = partial(TlsStream, context=context)
    with served_asgi(app, **settings) as live, connected(live, transport == "TLS") as client:
        client.send(GET)
        reply = client.reply()
        assert hashlib.sha256(reply.body).digest() == expected.digest()
        assert sent == 10


def connected(live: Live, tls: bool) -> Any:
    from server.test_channels import over_tls

    if not tls:
        return live.client()
    from contextlib import contextmanager

    return contextmanager(over_tls)(live)


def test_descriptors_of_parts_are_closed_when_the_client_leaves(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"x" * 20_000_000)
    failed = threading.Event()

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start())
        try:
            with path.open("rb") as opened:
                while True:
                    await send(part(opened, more=True, offset=0))
        except OSError:
            failed.set()

    def descriptors() -> int:
        links = [Path("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")]
        return sum(os.path.realpath(link) == str(path) for link in links)

    with served_asgi(app) as live:
        with live.client() as client:
            client.send(GET)
            client.until(b"xxxx")
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        assert failed.wait(60)
    assert descriptors() == 0


def test_a_file_that_becomes_shorter_cuts_the_response(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"x" * 20_000_000)
    begun = threading.Event()

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start())
        with path.open("rb") as opened:
            await send(part(opened, more=True))
            begun.set()
            await send(body(b"end"))

    with served_asgi(app, high_water=50_000_000) as live, live.client() as client:
        client.send(GET)
        assert begun.wait(60)
        os.truncate(path, 5)
        received = b""
        with pytest.raises(ConnectionResetError):
            while piece := client.sock.recv(1_000_000):
                received = piece
        assert not received.endswith(b"end\r\n0\r\n\r\n")


def test_what_is_not_a_regular_file_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reading, writing = os.pipe()
    try:
        with pytest.raises(OSError, match="not a regular file"):
            FilePart(part(reading))
    finally:
        os.close(reading)
        os.close(writing)
    with (tmp_path / "empty").open("wb") as opened:
        with pytest.raises(ValueError, match="0 or more"):
            FilePart(part(opened, offset=-1))
        with pytest.raises(ValueError, match="0 or more"):
            FilePart(part(opened, count=-1))

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(part(1))

    with served_asgi(app) as live:
        assert live.get().status == 500
    assert "before http.response.start" in caplog.text


# --- TLS


def scopes(found: list[Any]) -> Any:
    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        found.append(scope["extensions"].get("tls"))
        await send(start())
        await send(body(b"x"))

    return app


def test_the_scope_has_the_facts_about_the_connection(context: ssl.SSLContext) -> None:
    from carboy.net.tls_facts import _certificates
    from server.test_channels import over_tls

    found: list[Any] = []
    with served_asgi(scopes(found), wrap=partial(TlsStream, context=context)) as live:
        for client in over_tls(live):
            client.send(GET)
            client.reply()
            sock: Any = client.sock
            shown = ssl.DER_cert_to_PEM_cert(sock.getpeercert(binary_form=True))
            name = sock.cipher()[0]
    assert name.startswith("TLS_AES")
    assert found == [
        {
            "server_cert": shown,
            "client_cert_chain": [],
            "client_cert_name": None,
            "client_cert_error": None,
            "tls_version": 0x0304,
            "cipher_suite": {"TLS_AES_256_GCM_SHA384": 0x1302, "TLS_AES_128_GCM_SHA256": 0x1301}[
                name
            ],
        }
    ]
    assert _certificates[context] == shown


def test_a_scope_without_tls_lacks_the_extension() -> None:
    found: list[Any] = []
    with served_asgi(scopes(found)) as live:
        assert live.get().status == 200
    assert found == [None]
