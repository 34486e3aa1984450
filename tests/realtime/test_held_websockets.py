"""WebSocket clients of hold(), over two workers."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from event_client import EventClient
from realtime_server import post, start, until
from running import PATIENCE, Running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with start(tmp_path_factory.mktemp("project")) as running:
        running.address()
        yield running
        assert running.stop() == 0, running.text()


@contextmanager
def opened(server: Running, query: str, **options: Any) -> Iterator[ClientConnection]:
    """A client whose channels are attached."""
    host, port = server.address()
    url = f"ws://{host}:{port}/socket?{query}"
    with connect(url, open_timeout=PATIENCE, **options) as socket:
        assert received(socket)["event"] == "hello"
        yield socket


def received(socket: ClientConnection) -> Any:
    return json.loads(socket.recv(timeout=PATIENCE))


def test_messages_are_json_objects(server: Running) -> None:
    with opened(server, "channel=ws:1") as socket:
        sent = json.loads(post(server.address(), "/publish/ws:1?event=note", "Hello"))["id"]
        assert received(socket) == {
            "channel": "ws:1", "event": "note", "data": "Hello", "id": sent,
        }  # fmt: skip


def test_the_view_gets_the_messages_of_the_client(server: Running) -> None:
    with opened(server, "channel=ws:2&name=ann") as one, opened(server, "channel=ws:2") as other:
        for number in range(100):
            one.send(str(number))
        for client in (one, other):
            assert [received(client)["data"] for _ in range(100)] == [
                f"ann: {number}" for number in range(100)
            ]


def test_messages_that_no_function_takes_are_ignored(server: Running) -> None:
    host, port = server.address()
    url = f"ws://{host}:{port}/socket-for-reading?channel=ws:9"
    with connect(url, open_timeout=PATIENCE) as socket:
        assert received(socket)["data"] == '{"first": true}'
        for _ in range(100):
            socket.send("ignored")
        post(server.address(), "/publish/ws:9", "1")
        assert received(socket)["data"] == "1"


def test_messages_of_any_size_arrive(server: Running) -> None:
    with opened(server, "channel=ws:3") as socket:
        for size in (0, 1, 60, 125, 126, 65_400, 65_536, 400_000):
            post(server.address(), "/publish/ws:3", "x" * size)
            assert received(socket)["data"] == "x" * size


def test_bytes_are_a_binary_message_and_base64_in_a_stream(server: Running) -> None:
    with (
        opened(server, "channel=ws:4") as socket,
        EventClient(server.address(), "/events?channel=ws:4") as stream,
    ):
        post(server.address(), "/publish-bytes/ws:4")
        assert socket.recv(timeout=PATIENCE) == b"\0\xff"
        assert stream.data(1) == ["AP8="]


def test_a_client_continues_after_its_last_message(server: Running) -> None:
    with opened(server, "channel=ws:5") as socket:
        post(server.address(), "/publish/ws:5", "1")
        last = received(socket)["id"]
    post(server.address(), "/publish/ws:5", "2")
    with opened(server, f"channel=ws:5&last_event_id={last}") as socket:
        assert received(socket)["data"] == "2"


def test_a_page_of_another_site_is_refused(server: Running) -> None:
    with (
        pytest.raises(InvalidStatus) as refused,
        opened(server, "channel=ws:6", origin="https://evil.example"),
    ):
        pass
    assert refused.value.response.status_code == 403


def test_a_client_that_has_closed_is_not_counted(server: Running) -> None:
    def count() -> int:
        return int(json.loads(server.get("/subscribers/ws:7")[1])["count"])

    with opened(server, "channel=ws:7"):
        assert count() == 1
    until(lambda: count() == 0, "the client has left")


def test_the_response_of_the_view_sets_header_fields(server: Running) -> None:
    with opened(server, "channel=ws:8") as socket:
        assert socket.response is not None
        assert "X-Worker" in socket.response.headers
        assert "Content-Type" not in socket.response.headers


def test_a_stop_closes_with_1001(tmp_path: Path) -> None:
    with start(tmp_path) as running, opened(running, "channel=room") as socket:
        running.send(signal.SIGTERM)
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=PATIENCE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
        assert running.wait() == 0
