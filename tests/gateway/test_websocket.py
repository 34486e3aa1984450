"""WebSocketTransport on a real engine: limits, time limits, slow and silent clients, both ends."""

from __future__ import annotations

import builtins
import contextlib
import logging
import queue
import socket
import sys
import threading
import zlib
from typing import Any

import pytest

from carboy.gateway.interface import ChannelClosed
from carboy.net.certificates import generate_adhoc_ssl_context
from carboy.net.tls import TlsStream
from carboy.protocol.websocket.connection import MOST_EMPTY
from certificates import unchecked
from live_engine import GET, Client, eventually, served
from websocket_client import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    RawWebSocket,
    close,
    connected,
    frame,
    handshake,
    refused,
)

PATIENCE = 30


class Endpoint:
    """A gateway that answers each handshake with a WebSocket, and gives it to the test."""

    def __init__(self, accept: bool = True) -> None:
        self.accept = accept
        self.opened: queue.Queue[Any] = queue.Queue()

    def prepare(self, exchange: Any) -> str:
        return "websocket"

    def body_limit(self, exchange: Any) -> None:
        return None

    def wants_stream(self, exchange: Any) -> bool:
        return False

    def answers_later(self, exchange: Any) -> bool:
        return True

    def handle(self, exchange: Any) -> Any:
        changes = threading.Condition()

        def changed() -> None:
            with changes:
                served_side.begun = True
                changes.notify_all()

        websocket = exchange.websocket(changed)
        if websocket is None:
            return "200 OK", [], b"ordinary", None
        if isinstance(websocket, tuple):
            return websocket
        if self.accept:
            websocket.accept()
        served_side = Opened(websocket, changes)
        self.opened.put(served_side)
        return exchange.later(websocket)


class Opened:
    """A WebSocket for a test, which waits for what it gets."""

    def __init__(self, websocket: Any, changes: threading.Condition) -> None:
        self.websocket = websocket
        self.changes = changes
        self.begun = False

    def until(self, condition: Any) -> Any:
        with self.changes:
            assert self.changes.wait_for(condition, PATIENCE), "waited in vain"

    def take(self) -> Any:
        found: list[Any] = []

        def taken() -> bool:
            message = self.websocket.take()
            if message is not None:
                found.append(message)
            return message is not None

        self.until(taken)
        return found[0]

    def closed(self) -> tuple[int, str, bool]:
        self.until(lambda: self.websocket.closed is not None)
        closed = self.websocket.closed
        return closed.code, closed.reason, closed.clean


def opened(endpoint: Endpoint) -> Opened:
    found: Opened = endpoint.opened.get(timeout=PATIENCE)
    found.until(lambda: found.begun)
    return found


def run(endpoint: Endpoint, **settings: Any) -> Any:
    return served(None, gateway=endpoint, **{"linger_timeout": 0.1, **settings})


# --- the handshake


def test_a_refused_handshake_is_an_ordinary_response_and_the_connection_is_kept() -> None:
    with run(Endpoint()) as live, live.client() as client:
        client.send(handshake(Sec_WebSocket_Version="8"))
        reply = client.reply()
        assert (reply.status, reply.headers["Sec-WebSocket-Version"]) == (426, "13")
        assert b"Sec-WebSocket-Version" in reply.body
        client.send(GET)
        assert client.reply().body == b"ordinary"


def test_a_handshake_with_a_body_is_refused() -> None:
    with run(Endpoint()) as live:
        assert refused(live, handshake(Content_Length="3") + b"abc").status == 400
        chunked = handshake(Transfer_Encoding="chunked") + b"3\r\nabc\r\n0\r\n\r\n"
        assert refused(live, chunked).status == 400


def test_malformed_extensions_are_refused() -> None:
    with run(Endpoint()) as live:
        assert refused(live, handshake(Sec_WebSocket_Extensions="a;;b")).status == 400


def test_without_the_package_a_handshake_is_a_501_that_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    imported = builtins.__import__

    def missing(name: str, *args: Any) -> Any:
        if name == "carboy.gateway.websocket":
            raise ModuleNotFoundError("No module named 'websockets'", name="websockets")
        return imported(name, *args)

    monkeypatch.delitem(sys.modules, "carboy.gateway.websocket", raising=False)
    with run(Endpoint()) as live, caplog.at_level(logging.ERROR, "carboy.error"):
        monkeypatch.setattr(builtins, "__import__", missing)
        assert refused(live, handshake()).status == 501
        monkeypatch.undo()
    assert "pip install carboy[websocket]" in caplog.text


def test_a_page_of_another_origin_is_refused_if_the_setting_says_so() -> None:
    with run(Endpoint(), websocket_origins="same, https://friend.test") as live:
        for origin in ("http://example.test", "https://friend.test", None):
            with connected(live, Origin=origin):
                pass
        assert refused(live, handshake(Origin="http://evil.test")).status == 403


def test_compression_is_negotiated_unless_it_is_switched_off() -> None:
    offer = {"Sec_WebSocket_Extensions": "permessage-deflate; client_max_window_bits"}
    with run(Endpoint()) as live, connected(live, **offer) as websocket:
        agreed = websocket.reply.headers["Sec-WebSocket-Extensions"]
        assert agreed.startswith("permessage-deflate; server_no_context_takeover")
    with (
        run(Endpoint(), websocket_compression=False) as live,
        connected(live, **offer) as websocket,
    ):
        assert "Sec-WebSocket-Extensions" not in websocket.reply.headers
        websocket.send(frame(TEXT, b"", rsv=4))
        assert websocket.read().code == 1002


def test_compressed_messages_go_both_ways() -> None:
    endpoint = Endpoint()
    text = "compress me " * 100
    with run(endpoint) as live, connected(
        live, Sec_WebSocket_Extensions="permessage-deflate"
    ) as websocket:  # fmt: skip
        context = zlib.compressobj(wbits=-15)
        payload = (context.compress(text.encode()) + context.flush(zlib.Z_SYNC_FLUSH))[:-4]
        websocket.send(frame(TEXT, payload, rsv=4))
        served_side = opened(endpoint)
        assert served_side.take() == text
        served_side.websocket.send(text)
        answer = websocket.read()
        assert (answer.opcode, answer.rsv) == (TEXT, 4)
        inflated = zlib.decompressobj(wbits=-15).decompress(answer.payload + b"\0\0\xff\xff")
        assert inflated.decode() == text


def test_what_is_called_before_the_channel_is_open_is_done_in_its_order() -> None:
    class Eager(Endpoint):
        def handle(self, exchange: Any) -> Any:
            websocket = exchange.websocket(lambda: None)
            websocket.accept("b", [("X-One", "1")])
            websocket.send("first")
            websocket.send(b"second")
            websocket.close(3000)
            return exchange.later(websocket)

    with run(Eager()) as live, connected(live, Sec_WebSocket_Protocol="a, b") as websocket:
        assert websocket.reply.headers["Sec-WebSocket-Protocol"] == "b"
        assert websocket.reply.headers["X-One"] == "1"
        assert websocket.message() == "first"
        assert websocket.message() == b"second"
        assert websocket.read().code == 3000


# --- messages and limits


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(TEXT, "x", mask=None), 1002),
        (frame(TEXT, b"\xff"), 1007),
        (frame(BINARY, b"x" * 1001), 1009),
        (frame(BINARY, b"", fin=False) + frame(CONTINUATION, fin=False) * (MOST_EMPTY + 1), 1008),
    ],
    ids=["mask", "utf-8", "size", "empty"],
)
def test_a_client_that_breaks_a_rule_gets_the_code_and_the_connection_ends(
    data: bytes, code: int
) -> None:
    endpoint = Endpoint()
    with run(endpoint, websocket_max_message=1000) as live, connected(live) as websocket:
        websocket.send(data)
        assert websocket.read().code == code
        assert websocket.ended()
        served_side = opened(endpoint)
        assert served_side.closed()[::2] == (code, False)
        with pytest.raises(ChannelClosed):
            served_side.websocket.send("late")


def test_the_messages_before_the_end_can_be_taken() -> None:
    endpoint = Endpoint()
    with run(endpoint) as live, connected(live) as websocket:
        websocket.send(frame(TEXT, "one") + frame(TEXT, "two") + close(1000))
        served_side = opened(endpoint)
        assert served_side.closed() == (1000, "", True)
        assert [served_side.websocket.take() for _ in range(3)] == ["one", "two", None]


def test_nothing_is_received_while_the_application_takes_no_messages() -> None:
    endpoint = Endpoint()
    messages = 50_000
    sent = 0
    with run(endpoint, websocket_max_queue=4) as live, connected(live) as websocket:
        served_side = opened(endpoint)
        data = frame(BINARY, b"x" * 1000)
        websocket.client.sock.settimeout(1)
        with pytest.raises(TimeoutError):
            while sent < messages:
                websocket.send(data)
                sent += 1
        assert sent < messages
        queued = served_side.websocket._queue
        assert len(queued) == 4
        with served_side.websocket.channel.lock:
            kept = len(served_side.websocket.channel.kept)
        assert kept < 1 << 20
        for _ in range(sent):
            assert served_side.take() == b"x" * 1000


def test_a_queue_of_large_messages_is_limited_by_their_size() -> None:
    endpoint = Endpoint()
    size = 600_000
    with run(endpoint) as live, connected(live) as websocket:
        served_side = opened(endpoint)
        sender = threading.Thread(target=websocket.send, args=(frame(BINARY, b"x" * size) * 8,))
        sender.start()
        served_side.until(lambda: len(served_side.websocket._queue) == 2)
        for _ in range(8):
            assert len(served_side.websocket._queue) <= 2
            assert len(served_side.take()) == size
        sender.join(PATIENCE)


def test_pings_are_answered_while_the_application_is_busy() -> None:
    endpoint = Endpoint()
    with run(endpoint) as live, connected(live) as websocket:
        websocket.send(frame(TEXT, "not taken") + frame(PING, b"a") + frame(PING, b"b"))
        assert [websocket.read().payload for _ in range(2)] == [b"a", b"b"]


def test_a_flood_of_pings_whose_answers_are_not_read_is_not_received() -> None:
    endpoint = Endpoint()
    with run(endpoint, high_water=50_000) as live, connected(live) as websocket:
        served_side = opened(endpoint)
        flood = frame(PING, b"x" * 125) * 500
        websocket.client.sock.settimeout(1)
        with pytest.raises(TimeoutError):
            for _ in range(1000):
                websocket.send(flood)
        channel = served_side.websocket.channel
        with channel.lock:
            assert channel.connection.unsent_bytes < 1 << 20
            assert len(channel.kept) < 1 << 20


def test_full_says_that_the_client_is_slow_and_changed_that_it_has_caught_up() -> None:
    endpoint = Endpoint()
    with run(endpoint, high_water=100_000) as live, connected(live) as websocket:
        served_side = opened(endpoint)
        count = 0
        while not served_side.websocket.full:
            served_side.websocket.send(b"x" * 50_000)
            count += 1
        reader = threading.Thread(target=lambda: [websocket.read() for _ in range(count)])
        reader.start()
        served_side.until(lambda: not served_side.websocket.full)
        reader.join(PATIENCE)
        assert not reader.is_alive()


def test_a_client_that_leaves_is_1006() -> None:
    endpoint = Endpoint()
    with run(endpoint) as live:
        with connected(live):
            served_side = opened(endpoint)
        assert served_side.closed()[::2] == (1006, False)
        with pytest.raises(ChannelClosed):
            served_side.websocket.send("late")
        served_side.websocket.close()  # without effect


def test_a_client_that_leaves_before_the_accept_is_noticed_by_the_accept() -> None:
    endpoint = Endpoint(accept=False)
    with run(endpoint) as live:
        with live.client() as client:
            client.send(handshake())
            served_side = opened(endpoint)
        with contextlib.suppress(ChannelClosed):
            served_side.websocket.accept()
        assert served_side.closed()[0] == 1006


def test_nothing_can_be_sent_before_the_accept() -> None:
    endpoint = Endpoint(accept=False)
    with run(endpoint) as live, live.client() as client:
        client.send(handshake())
        served_side = opened(endpoint)
        with pytest.raises(RuntimeError, match="Accept it first"):
            served_side.websocket.send("early")
        served_side.websocket.close()
        assert client.reply().status == 403


# --- the close


def test_the_connection_is_kept_until_the_client_has_answered_the_close() -> None:
    endpoint = Endpoint()
    with run(endpoint) as live, connected(live) as websocket:
        served_side = opened(endpoint)
        served_side.websocket.close(4001, "enough")
        answer = websocket.read()
        assert (answer.code, answer.reason) == (4001, "enough")
        assert served_side.closed() == (4001, "enough", False)
        websocket.send(frame(TEXT, "crossing") + frame(PING, b"still there"))
        answer = websocket.read()
        assert (answer.opcode, answer.payload) == (PONG, b"still there")
        websocket.send(close(4001))
        assert websocket.ended()
        served_side.until(lambda: served_side.closed()[2])
        assert served_side.websocket.take() is None


def test_a_client_that_does_not_answer_the_close_is_cut() -> None:
    endpoint = Endpoint()
    with run(endpoint, websocket_close_timeout=0.01) as live, connected(live) as websocket:
        served_side = opened(endpoint)
        served_side.websocket.close()
        assert websocket.read().code == 1000
        assert websocket.ended()
        assert served_side.closed() == (1000, "", False)


def test_a_close_waits_for_messages_that_the_client_has_not_read() -> None:
    endpoint = Endpoint()
    with run(endpoint) as live, connected(live) as websocket:
        served_side = opened(endpoint)
        for _ in range(100):
            served_side.websocket.send(b"x" * 50_000)
        served_side.websocket.close()
        for _ in range(100):
            assert len(websocket.message()) == 50_000
        assert websocket.read().code == 1000


# --- pings of the server


def test_the_server_sends_pings_and_keeps_a_client_that_answers() -> None:
    endpoint = Endpoint()
    settings = {"websocket_ping_interval": 0.01, "websocket_ping_timeout": 20.0}
    with run(endpoint, **settings) as live, connected(live) as websocket:
        ping = websocket.read()
        assert ping.opcode == PING
        websocket.send(frame(PONG, ping.payload) + frame(TEXT, "alive"))
        assert opened(endpoint).take() == "alive"


def test_a_client_that_is_silent_after_a_ping_is_cut() -> None:
    endpoint = Endpoint()
    settings = {"websocket_ping_interval": 0.01, "websocket_ping_timeout": 0.01}
    with run(endpoint, **settings) as live, connected(live) as websocket:
        while (found := websocket.client.file.read(1)) == b"\x89":
            assert websocket.client.file.read(1) == b"\x00"
        assert found == b""
        assert opened(endpoint).closed() == (1006, "The client has not answered a ping.", False)


def test_a_slow_client_is_kept_while_it_takes_bytes_and_is_cut_when_it_takes_none() -> None:
    endpoint = Endpoint()
    with run(endpoint) as live, connected(live) as websocket:
        transport = opened(endpoint).websocket
        for _ in range(100):
            transport.send(b"x" * 200_000)
        assert transport.full
        transport.ping_due()
        kept = transport.channel.unsent
        for _ in range(50):
            assert len(websocket.message()) == 200_000
        eventually(lambda: transport.channel.unsent < kept)
        transport.pong_due()
        assert transport.closed is None
        eventually(lambda: is_cut_now(transport))


def is_cut_now(transport: Any) -> bool:
    """Whether a client that takes nothing is cut; the kernel may still take some for it."""
    transport.pong_due()
    return transport.closed is not None and transport.closed.code == 1006


def test_a_client_whose_messages_are_not_taken_is_not_cut() -> None:
    endpoint = Endpoint()
    with run(endpoint, websocket_max_queue=1) as live, connected(live) as websocket:
        websocket.send(frame(TEXT, "one") + frame(TEXT, "two"))
        served_side = opened(endpoint)
        transport = served_side.websocket
        served_side.until(lambda: transport._paused)
        transport.ping_due()
        transport.pong_due()
        assert transport.closed is None
        assert served_side.take() == "one"
        assert served_side.take() == "two"


def test_a_websocket_under_tls() -> None:
    context = generate_adhoc_ssl_context()
    endpoint = Endpoint()
    with (
        run(endpoint, wrap=lambda sock: TlsStream(sock, context)) as live,
        socket.create_connection(live.address, PATIENCE) as plain,
        unchecked().wrap_socket(plain) as sock,
    ):
        client = Client(sock)
        client.send(handshake() + frame(TEXT, "early"))
        assert client.reply().status == 101
        websocket = RawWebSocket(client)
        served_side = opened(endpoint)
        assert served_side.take() == "early"
        for size in (1, 1000, 500_000):
            websocket.send(frame(BINARY, b"x" * size))
            served_side.websocket.send(served_side.take())
            assert websocket.message() == b"x" * size
        served_side.websocket.close()
        assert websocket.read().code == 1000
        client.file.close()


def test_no_pings_are_sent_if_the_interval_is_0() -> None:
    endpoint = Endpoint()
    with run(endpoint, websocket_ping_interval=0.0) as live, connected(live):
        served_side = opened(endpoint)
        websockets = live.engine.responder.websockets
        assert not websockets._pings
        assert served_side.websocket.closed is None


def test_nothing_is_due_for_a_websocket_that_has_ended() -> None:
    endpoint = Endpoint()
    with run(endpoint) as live:
        websockets = live.engine.responder.websockets
        with connected(live) as websocket:
            served_side = opened(endpoint)
            assert served_side.websocket in websockets._pings
            websocket.send(close())
            assert websocket.read().opcode == CLOSE
            served_side.closed()
        for each in (websockets._pings, websockets._pongs, websockets._closes):
            eventually(lambda due=each: not due)


# --- a stop


def test_a_stop_closes_with_1001_and_ends_when_the_client_has_answered() -> None:
    endpoint = Endpoint()
    with run(endpoint) as live, connected(live) as websocket:
        served_side = opened(endpoint)
        live.engine.stop(graceful=True)
        assert websocket.read().code == 1001
        assert served_side.closed()[0] == 1001
        websocket.send(close(1001))
        live.join()


def test_a_client_that_ignores_the_stop_is_cut_after_the_close_timeout() -> None:
    endpoint = Endpoint()
    with run(endpoint, websocket_close_timeout=0.01) as live, connected(live) as websocket:
        opened(endpoint)
        live.engine.stop(graceful=True)
        assert websocket.read().code == 1001
        live.join()


def test_a_websocket_that_is_accepted_during_a_stop_is_closed_with_1001() -> None:
    endpoint = Endpoint(accept=False)
    with run(endpoint) as live, live.client() as client:
        client.send(handshake())
        served_side = opened(endpoint)
        live.engine.stop(graceful=True)
        eventually(lambda: served_side.websocket._stopped)
        served_side.websocket.accept()
        assert client.reply().status == 101
        assert client.file.read(4) == b"\x88\x02\x03\xe9"
        client.send(close(1001))
        live.join()


# --- the log


def test_the_access_log_has_one_line_with_the_status_101() -> None:
    endpoint = Endpoint()
    with run(endpoint, record=True) as live, connected(live, "/logged") as websocket:
        websocket.send(close())
        assert websocket.read().opcode == CLOSE
        assert websocket.ended()
        eventually(lambda: live.records)
        assert len(live.records) == 1
        _, _, head, _, status, size, _, _ = live.records[0]
        assert (head.path, status, size) == ("/logged", 101, 4)
