"""Bodies that come after their heads: past the machine's buffer, and from a socket to a file."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import socket
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

from carboy.net.tls_files import Pair
from carboy.net.tls_server import TlsOptions, TlsServer
from carboy.server import splice
from carboy.server.request_body import EARLY, ReceivedBody
from carboy.server.splice import Splice
from certificates import Authority
from live_engine import GET, Client, Live, eventually, served

SPOOLED = 50_000
needs_splice = pytest.mark.skipif(not splice.available, reason="This system has no splice.")


def digest(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """The length and the hash of the body, and whether it is in a file."""
    stream = environ["wsgi.input"]
    data = stream.read()
    start_response("200 OK", [])
    text = f"{len(data)} {hashlib.sha256(data).hexdigest()} {not isinstance(stream, io.BytesIO)}"
    return [text.encode()]


def expected(body: bytes, in_file: bool) -> bytes:
    return f"{len(body)} {hashlib.sha256(body).hexdigest()} {in_file}".encode()


def body_of(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def head(size: int) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size


def in_body(live: Live) -> Any:
    """The connection whose head the engine has read, when it waits for the body."""
    eventually(lambda: any(each.received for each in list(live.engine.connections.values())))
    return next(each for each in list(live.engine.connections.values()) if each.received)


def send_in_two(live: Live, client: Client, head: bytes, rest: bytes) -> None:
    """Send the rest when the engine has read the head."""
    client.send(head)
    in_body(live)
    client.send(rest)


@pytest.fixture(params=["splice", "copy"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "copy":
        monkeypatch.setattr(splice, "available", False)
    elif not splice.available:
        pytest.skip("This system has no splice.")
    return str(request.param)


@pytest.mark.parametrize("size", [1, EARLY, SPOOLED, SPOOLED + 1, 400_000, 3_000_000])
def test_a_body_behind_its_head_arrives_whole(size: int, way: str) -> None:
    body = body_of(size)
    with served(digest, spool_limit=SPOOLED) as live, live.client() as client:
        for _ in range(2):
            send_in_two(live, client, head(size), body)
            assert client.reply().body == expected(body, size > SPOOLED)


@pytest.mark.parametrize("size", [5, 3_000_000])
def test_the_request_behind_a_body_is_answered(size: int, way: str) -> None:
    body = body_of(size)
    with served(digest, spool_limit=SPOOLED) as live, live.client() as client:
        send_in_two(live, client, head(size), body + GET + GET)
        assert client.reply().body == expected(body, size > SPOOLED)
        assert client.reply().body == client.reply().body == expected(b"", False)


def test_a_body_in_many_pieces_arrives_whole(way: str) -> None:
    body = body_of(300_000)
    with served(digest, spool_limit=SPOOLED) as live, live.client() as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.send(head(len(body)))
        at = 0
        for size in (1, 2, 8_000, 60_000, 1, 1, 100_000, 7, 200_000):
            connection = in_body(live)
            client.send(body[at : at + size])
            at += size
            eventually(lambda: connection.received is None or connection.received.size >= at)  # noqa: B023
        assert client.reply().body == expected(body, True)


def test_bodies_of_several_clients_are_not_mixed(way: str) -> None:
    bodies = [body_of(1_000_000 + n)[n:] for n in range(4)]
    with served(digest, spool_limit=SPOOLED) as live:
        answers: dict[int, bytes] = {}

        def upload(n: int) -> None:
            with live.client() as client:
                client.send(head(len(bodies[n])) + bodies[n])
                answers[n] = client.reply().body

        threads = [threading.Thread(target=upload, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == {n: expected(body, True) for n, body in enumerate(bodies)}


def test_an_upload_that_breaks_off_gets_400_and_leaves_no_file(way: str) -> None:
    with served(digest, spool_limit=SPOOLED) as live:
        with live.client() as client:
            client.send(head(400_000) + body_of(200_000))
            received = in_body(live).received
            eventually(lambda: received.size == 200_000)
            assert received.in_file
            client.sock.shutdown(socket.SHUT_WR)
            assert client.rest().startswith(b"HTTP/1.1 400 ")
        eventually(lambda: not live.engine.connections)
        assert received._file.closed
        assert live.get().status == 200


def test_a_client_that_resets_in_its_upload_leaves_no_file(way: str) -> None:
    with served(digest, spool_limit=SPOOLED) as live:
        with live.client() as client:
            client.send(head(400_000) + body_of(200_000))
            received = in_body(live).received
            eventually(lambda: received.size == 200_000)
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        eventually(lambda: not live.engine.connections)
        assert received._file.closed
        assert live.get().status == 200


def test_a_large_body_that_is_only_announced_costs_no_file() -> None:
    body = ReceivedBody(SPOOLED, SPOOLED + 1)
    seen = []
    for size in (EARLY, 1):
        body.write(b"x" * size)
        seen.append(body.in_file)
    assert seen == [False, True]
    body.close()


def test_a_body_within_the_limit_goes_into_memory_whatever_was_announced() -> None:
    for announced in (None, SPOOLED):
        body = ReceivedBody(SPOOLED, announced)
        body.write(b"x" * SPOOLED)
        assert not body.in_file
        body.close()


def test_the_requests_behind_a_body_in_the_same_tls_record_are_answered(tmp_path: Path) -> None:
    authority = Authority()
    authority.sign("localhost").write(tmp_path)
    pair = Pair(str(tmp_path / "server.pem"), str(tmp_path / "server-key.pem"))
    tls = TlsServer(TlsOptions(pairs=(pair,)))
    with (
        served(digest, spool_limit=SPOOLED, wrap=tls) as live,
        socket.create_connection(live.address, 60) as sock,
        authority.client().wrap_socket(sock, server_hostname="localhost") as wrapped,
    ):
        client = Client(wrapped)
        for body in (body_of(5), body_of(8_000), body_of(400_000)):
            send_in_two(live, client, head(len(body)), body + GET + GET)
            assert client.reply().body == expected(body, len(body) > SPOOLED)
            assert client.reply().body == client.reply().body == expected(b"", False)
        client.file.close()


# --- splice


def moved(pipe: Splice, data: bytes, file: Any) -> None:
    """Send the data through a socket pair and the pipe into the file."""
    sender, receiver = socket.socketpair()
    with sender, receiver:
        receiver.setblocking(False)
        while data:
            sent = sender.send(data[:30_000])
            data = data[sent:]
            while sent:
                count = pipe.fill(receiver.fileno(), sent)
                pipe.empty(file, count)
                sent -= count


@needs_splice
def test_bytes_are_moved_behind_those_of_the_file() -> None:
    pipe = Splice()
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(b"first")
        moved(pipe, body_of(200_000), file)
        file.seek(0)
        assert file.read() == b"first" + body_of(200_000)
    pipe.close()


@needs_splice
def test_a_socket_without_bytes_raises_and_one_at_its_end_gives_0() -> None:
    pipe = Splice()
    sender, receiver = socket.socketpair()
    with receiver:
        receiver.setblocking(False)
        with sender, pytest.raises(BlockingIOError):
            pipe.fill(receiver.fileno(), 100)
        assert pipe.fill(receiver.fileno(), 100) == 0
    pipe.close()


@needs_splice
@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOSPC])
def test_a_file_system_without_splice_gets_the_bytes_by_write(
    code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = Splice()
    real = os.splice
    failing: list[int] = []

    def into_sockets_only(source: int, target: int, count: int, **flags: Any) -> int:
        if failing == [target]:
            raise OSError(code, os.strerror(code))
        return real(source, target, count, **flags)

    monkeypatch.setattr(os, "splice", into_sockets_only)
    with tempfile.TemporaryFile(buffering=0) as file:
        failing.append(file.fileno())
        if code == errno.EINVAL:
            moved(pipe, body_of(200_000), file)
        else:
            with pytest.raises(OSError, match="No space"):
                moved(pipe, body_of(100), file)
            failing.clear()
            moved(pipe, body_of(200_000), file)  # without the bytes that were lost
        file.seek(0)
        assert file.read() == body_of(200_000)
    pipe.close()


@needs_splice
def test_a_pipe_of_the_usual_size_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    def refused(*arguments: Any) -> int:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(fcntl, "fcntl", refused)
    pipe = Splice()
    with tempfile.TemporaryFile(buffering=0) as file:
        moved(pipe, body_of(500_000), file)
        file.seek(0)
        assert file.read() == body_of(500_000)
    pipe.close()


@needs_splice
def test_a_disk_that_becomes_full_gets_507_and_the_next_body_is_complete(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = Splice._move
    full = [True]

    def move(self: Any, end: int, file: Any, count: int) -> int:
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, end, file, count)

    monkeypatch.setattr(Splice, "_move", move)
    body = body_of(400_000)
    with served(digest, spool_limit=SPOOLED) as live:
        assert live.ask(head(len(body)) + body).startswith(b"HTTP/1.1 507 ")
        full.clear()
        with live.client() as client:
            client.send(head(len(body)) + body)
            assert client.reply().body == expected(body, True)
