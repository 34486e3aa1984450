"""WebSockets of five ASGI frameworks, with the clients of the package websockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from importlib import import_module

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from frameworks.witness import Witness
from live_asgi import served_asgi
from live_engine import Live, eventually
from running import PATIENCE

FRAMEWORKS = ("blacksheep", "fastapi", "litestar", "quart", "starlette")
LARGE = 300_000


class Served:
    """An application that is served, and its witness."""

    def __init__(self, framework: str, live: Live, witness: Witness) -> None:
        self.framework = framework
        self.live = live
        self.witness = witness

    def connect(self, path: str, *subprotocols: str) -> ClientConnection:
        return connect(
            f"ws://127.0.0.1:{self.live.port}{path}",
            subprotocols=[Subprotocol(name) for name in subprotocols] or None,
            open_timeout=PATIENCE,
            close_timeout=PATIENCE,
        )


@pytest.fixture(scope="module", params=FRAMEWORKS)
def app(request: pytest.FixtureRequest) -> Iterator[Served]:
    pytest.importorskip(request.param)
    witness = Witness()
    made = import_module(f"frameworks.on_{request.param}").application(witness)
    with served_asgi(made) as live:
        yield Served(request.param, live, witness)


def test_text_and_bytes_are_echoed(app: Served) -> None:
    with app.connect("/echo") as client:
        for message in ("ä", b"\x00\xff", "x" * LARGE, b"x" * LARGE, ""):
            client.send(message)
            assert client.recv(PATIENCE) == message


def test_messages_keep_their_order(app: Served) -> None:
    with app.connect("/echo") as client:
        for number in range(50):
            client.send(str(number))
        assert [client.recv(PATIENCE) for _ in range(50)] == [str(number) for number in range(50)]


def test_a_subprotocol_is_chosen(app: Served) -> None:
    with app.connect("/echo", "a", "b") as client:
        assert client.subprotocol == "b"
    with app.connect("/echo", "a") as client:
        assert client.subprotocol is None


def test_the_application_closes_with_a_code_and_a_reason(app: Served) -> None:
    with app.connect("/echo") as client:
        client.send("close")
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(PATIENCE)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "asked")


def test_the_application_learns_that_the_client_has_closed(app: Served) -> None:
    expected = "closed" if app.framework == "quart" else "closed 3000"
    with app.connect("/echo") as client:
        client.send("x")
        client.recv(PATIENCE)
        client.close(3000)
    eventually(lambda: expected in app.witness.events)


def test_the_application_learns_that_the_client_has_gone(app: Served) -> None:
    with app.connect("/echo") as client:
        client.send("x")
        client.recv(PATIENCE)
        client.socket.shutdown(socket.SHUT_RDWR)
    eventually(lambda: count(app, "closed") == count(app, "connected"))


def count(app: Served, event: str) -> int:
    """How many connections of the application, also of earlier tests, have begun or ended."""
    return sum(each.startswith(event) for each in app.witness.events)


def test_a_refused_handshake_is_answered_with_a_403(app: Served) -> None:
    with pytest.raises(InvalidStatus) as refused:
        app.connect("/refuses")
    assert refused.value.response.status_code == 403


def test_an_unknown_path_is_refused(app: Served) -> None:
    with pytest.raises(InvalidStatus) as refused:
        app.connect("/nowhere")
    assert refused.value.response.status_code in (403, 404)


def test_an_exception_closes_the_connection_and_is_logged(
    app: Served, caplog: pytest.LogCaptureFixture
) -> None:
    with app.connect("/breaks") as client:
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(PATIENCE)
        assert closed.value.rcvd is not None
        codes = {"litestar": 4500, "quart": 1000}  # as these frameworks close it themselves
        assert closed.value.rcvd.code == codes.get(app.framework, 1011)
    eventually(lambda: "broken socket" in caplog.text)
