"""Connections that switch to another protocol: bytes both ways, ends, slow clients, stops."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from carboy.gateway.interface import ChannelClosed
from carboy.net.certificates import generate_adhoc_ssl_context
from carboy.net.tls import TlsStream
from carboy.protocol import LocalProtocolError
from carboy.server import channels
from live_channels import HANDSHAKE, SWITCHED, Calls, Echo, served_channels, switch
from live_engine import GET, Live, eventually
from server.test_channels import leave, leave_with_reset, over_tls

POLLERS = ["epoll", "selectors"]


def at_once(call: Callable[[], None]) -> None:
    call()


@pytest.fixture(params=["the leader", "another thread", "another thread, the long way"])
def post(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Where the application uses its channel, with and without what copies a longer way."""
    if request.param.endswith("the long way"):
        monkeypatch.setattr(channels, "pass_on", lambda *args: False)
        monkeypatch.setattr(channels, "send_gathered", lambda *args: False)
    if request.param == "the leader":
        yield at_once
    else:
        with Calls() as calls:
            yield calls.post


@pytest.fixture(scope="module")
def context() -> ssl.SSLContext:
    return generate_adhoc_ssl_context()


@contextmanager
def echoing(post: Any = at_once, **settings: Any) -> Iterator[tuple[Live, list[Echo]]]:
    made: list[Echo] = []

    def make(exchange: Any) -> Echo:
        made.append(Echo(post))
        return made[-1]

    with served_channels(make, record=True, **settings) as live:
        yield live, made


# --- bytes


@pytest.mark.parametrize("poller", POLLERS)
def test_bytes_come_back_and_the_log_has_one_line(poller: str, post: Any) -> None:
    with echoing(post, poller=poller) as (live, made):
        with live.client() as client:
            switch(client)
            for size in (1, 10, 300_000):
                sender = threading.Thread(target=client.send, args=(b"x" * size,))
                sender.start()
                assert client.file.read(size) == b"x" * size
                sender.join()
            assert live.records == []
            client.sock.shutdown(socket.SHUT_WR)
            assert client.rest() == b""
        eventually(lambda: live.records and not live.engine.connections)
        ((_, _, head, _, status, size, seconds, _),) = live.records
        assert (head.request_line(), status, size) == ("GET / HTTP/1.1", 101, 300_011)
        assert seconds > 0
        assert made[0].got == ["ended"]


def test_bytes_that_came_with_the_request_are_the_first_ones(post: Any) -> None:
    with echoing(post) as (live, _), live.client() as client:
        switch(client, b"GET /not-a-request HTTP/1.1\r\n\r\n" + b"y" * 2000)
        assert client.file.read(31) == b"GET /not-a-request HTTP/1.1\r\n\r\n"
        assert client.file.read(2000) == b"y" * 2000


@pytest.mark.parametrize("poller", POLLERS)
def test_bytes_that_came_before_the_answer_are_read_after_it(poller: str) -> None:
    with Calls() as calls, echoing(calls.post, poller=poller) as (live, _):
        go = threading.Event()
        calls.post(lambda: bool(go.wait(60)))
        with live.client() as client:
            client.send(HANDSHAKE)
            eventually(lambda: live.engine.connections)
            (connection,) = live.engine.connections.values()
            eventually(lambda: connection.exchange)
            client.send(b"early")
            channel: Any = connection.exchange.channel  # type: ignore[union-attr]
            eventually(lambda: channel.input_waits)
            client.sock.shutdown(socket.SHUT_WR)
            go.set()
            assert client.rest() == SWITCHED + b"early"


def test_input_and_output_continue_after_thousands_of_small_pieces(post: Any) -> None:
    with echoing(post) as (live, _), live.client() as client:
        switch(client)
        for number in range(1000):
            client.send(b"%03d" % number)
            assert client.file.read(3) == b"%03d" % number


def test_many_clients_at_once_get_their_own_bytes(post: Any) -> None:
    problems: list[str] = []

    def talk(number: int) -> None:
        with live.client() as client:
            switch(client)
            for size in [1, 100, 70_000] * 10:
                data = bytes([number]) * size
                client.send(data)
                if client.file.read(size) != data:
                    problems.append(f"client {number}, {size} bytes")

    with echoing(post) as (live, _):
        clients = [threading.Thread(target=talk, args=(number,)) for number in range(20)]
        for each in clients:
            each.start()
        for each in clients:
            each.join(60)
        assert not any(each.is_alive() for each in clients)
    assert problems == []


# --- ends


@pytest.mark.parametrize("poller", POLLERS)
def test_what_a_client_sent_before_it_ended_its_side_comes_back(poller: str, post: Any) -> None:
    with echoing(post, poller=poller, high_water=10_000) as (live, made):
        with live.client() as client:
            switch(client)
            received: list[bytes] = []
            reader = threading.Thread(target=lambda: received.append(client.rest()))
            reader.start()
            client.send(b"z" * 500_000)
            client.sock.shutdown(socket.SHUT_WR)
            reader.join(60)
            assert received == [b"z" * 500_000]
        assert made[0].got == ["ended"]


@pytest.mark.parametrize("poller", POLLERS)
def test_a_reset_of_the_client_is_noticed(
    poller: str, post: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with echoing(post, poller=poller) as (live, made):
        with live.client() as client:
            switch(client)
            leave_with_reset(client)
            eventually(lambda: "gone" in made[0].got)
        eventually(lambda: not live.engine.connections and live.records)
        assert live.records[0][4] == 101
        with pytest.raises(ConnectionError, match="has gone"):
            made[0].channel.send(b"x")
    assert not caplog.records


class Holding(Echo):
    """Does not end its side when the client has."""

    def echo(self) -> None:
        if self.channel.gone:
            self.got.append("gone")
        elif self.channel.open:
            with contextlib.suppress(ChannelClosed):  # the test may finish it at any moment
                data, more = self.channel.read()
                self.got.append(data if more else "ended")


@contextmanager
def holding(**settings: Any) -> Iterator[tuple[Live, list[Holding]]]:
    made: list[Holding] = []

    def make(exchange: Any) -> Holding:
        made.append(Holding(at_once))
        return made[-1]

    with served_channels(make, record=True, **settings) as live:
        yield live, made


@pytest.mark.parametrize("poller", POLLERS)
def test_a_client_that_has_closed_is_gone_when_something_is_sent(poller: str) -> None:
    with holding(poller=poller, linger_timeout=0.1) as (live, made):
        with live.client() as client:
            switch(client)
            leave(client)
        eventually(lambda: "ended" in made[0].got)
        assert "gone" not in made[0].got
        made[0].channel.send(b"x")  # the closed socket answers with a reset
        eventually(lambda: "gone" in made[0].got)
        eventually(lambda: [record[4] for record in live.records] == [101])
    assert made[0].got == ["ended", "gone"]


@pytest.mark.parametrize("poller", POLLERS)
def test_a_client_that_has_ended_its_side_still_gets_what_is_sent(poller: str) -> None:
    turns = 0

    def count() -> None:
        nonlocal turns
        turns += 1

    with holding(poller=poller, trace=count) as (live, made), live.client() as client:
        switch(client)
        client.sock.shutdown(socket.SHUT_WR)
        eventually(lambda: "ended" in made[0].got)
        before = turns
        made[0].channel.send(b"still ")
        assert client.file.read(6) == b"still "
        assert turns - before < 5  # the end of the client's side does not keep the leader busy
        made[0].channel.send(b"here")
        made[0].channel.finish()
        assert client.rest() == b"here"


def test_finish_sends_what_is_kept_and_waits_for_the_end_of_the_client() -> None:
    with holding(high_water=10_000) as (live, made), live.client() as client:
        switch(client)
        client.send(b"not read by the application")
        channel = made[0].channel
        eventually(lambda: b"not read by the application" in made[0].got)
        client.send(b"nor this")
        channel.send(b"x" * 5_000_000)
        channel.finish()
        with pytest.raises(ConnectionError, match="complete already"):
            channel.send(b"y")
        assert client.rest() == b"x" * 5_000_000
        eventually(lambda: live.records)
        assert live.records[0][4:6] == (101, 5_000_000)
        leave(client)
        eventually(lambda: not live.engine.connections)


def test_cut_closes_at_once_and_loses_what_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    with holding(high_water=10_000) as (live, made), live.client() as client:
        switch(client)
        channel = made[0].channel
        channel.send(b"x" * 50_000_000)
        channel.cut()
        channel.cut()
        assert (channel.open, channel.gone) == (False, True)
        eventually(lambda: not live.engine.connections)
        size = 0
        try:
            while piece := client.sock.recv(1_000_000):
                size += len(piece)
        except ConnectionResetError:
            pass
        assert size < 50_000_000
        assert [record[4] for record in live.records] == [101]
    assert not caplog.records


def test_cut_before_a_response_closes_without_one() -> None:
    class Cuts(Echo):
        def upgrade(self) -> None:
            self.channel.cut()

    with served_channels(lambda exchange: Cuts(at_once), record=True) as live:
        assert live.ask(GET) == b""
        assert [record[4] for record in live.records] == [499]


def test_a_failure_after_the_switch_cuts_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    with holding() as (live, made), live.client() as client:
        switch(client)
        made[0].channel.fail(ValueError("broken"))
        assert client.closed()
        assert "the connection was cut" in caplog.text


def test_what_does_not_switch_protocols_is_refused_and_can_be_answered() -> None:
    problems: list[str] = []

    class Tries(Echo):
        def upgrade(self) -> None:
            for status, headers in (
                ("101 Switching Protocols", [("Upgrade", "other")]),
                ("101 Switching Protocols", []),
                ("101 Switching Protocols", [("Upgrade", "echo"), ("Content-Length", "0")]),
                ("200 OK", [("Upgrade", "echo")]),
            ):
                try:
                    self.channel.upgrade(status, headers)
                except LocalProtocolError as error:
                    problems.append(str(error))
            self.channel.whole("400 Bad Request", [], b"no")

    with served_channels(lambda exchange: Tries(at_once)) as live, live.client() as client:
        client.send(HANDSHAKE)
        assert client.reply().body == b"no"
        assert len(problems) == 4
        client.send(GET)  # does not ask for another protocol
        assert client.reply().body == b"no"
        assert len(problems) == 8


# --- slow and silent clients


def test_a_client_that_does_not_read_makes_its_channel_full_until_it_reads() -> None:
    with Calls() as calls, echoing(calls.post, high_water=100_000) as (live, made):
        with live.client() as client:
            switch(client)
            data = b"w" * 20_000_000
            sender = threading.Thread(target=client.send, args=(data,))
            sender.start()
            channel = made[0].channel
            eventually(lambda: channel.full and len(channel.kept) >= 100_000)
            connection = channel.connection
            assert connection.unsent_bytes < 1_000_000  # of twenty million
            assert len(channel.kept) < 1_000_000
            assert sender.is_alive()
            assert client.file.read(len(data)) == data
            sender.join(60)


def test_time_limits_do_not_apply() -> None:
    limits = {
        "headers_timeout": 0.05, "keepalive_timeout": 0.05, "silence_timeout": 0.05,
        "body_grace": 0.05, "write_grace": 0.05, "write_rate": 1_000_000, "body_rate": 1_000_000,
    }  # fmt: skip
    with holding(high_water=10_000, **limits) as (live, made):
        with live.client() as client:
            switch(client)
            made[0].channel.send(b"x" * 20_000_000)  # not read for a while
            with live.client() as idle:
                idle.rest()  # a limit applies to another connection meanwhile
            looks = live.engine.deadlines._looked
            eventually(lambda: live.engine.deadlines._looked > looks + 0.5)
            client.send(b"still here")
            eventually(lambda: b"still here" in made[0].got)
            assert client.file.read(20_000_000) == b"x" * 20_000_000


def test_an_open_channel_is_not_closed_to_make_room() -> None:
    with echoing(connections=2) as (live, made), live.client() as client:
        switch(client)
        for _ in range(5):
            with live.client() as other:
                switch(other)
        assert len(made) == 6
        client.send(b"still here")
        assert client.file.read(10) == b"still here"


# --- stops


class Stops(Holding):
    def stopping(self) -> None:
        super().stopping()
        self.channel.send(b"bye")
        self.channel.finish()


@pytest.mark.parametrize("poller", POLLERS)
def test_a_graceful_stop_calls_the_receiver_which_ends_the_connection(poller: str) -> None:
    made: list[Stops] = []

    def make(exchange: Any) -> Stops:
        made.append(Stops(at_once))
        return made[-1]

    with served_channels(make, record=True, poller=poller) as live:
        with live.client() as client, live.client() as other:
            switch(client)
            switch(other)
            live.engine.stop()
            assert client.rest() == b"bye"
            assert other.rest() == b"bye"
            leave(client)
            leave(other)
            live.join()
        assert [record[4] for record in live.records] == [101, 101]
    assert [each.got for each in made] == [["stopping"], ["stopping"]]


def test_a_channel_that_opens_during_a_stop_is_stopped_at_once() -> None:
    made: list[Stops] = []

    def make(exchange: Any) -> Stops:
        made.append(Stops(at_once))
        return made[-1]

    with served_channels(make, idle_grace=20.0) as live, live.client() as client:
        client.send(HANDSHAKE[:10])
        eventually(lambda: live.engine.connections)
        live.engine.stop()
        eventually(lambda: live.engine.responder.stopping)
        client.send(HANDSHAKE[10:])
        assert client.rest() == SWITCHED + b"bye"
        leave(client)
        live.join()
    assert made[0].got == ["stopping"]


def test_a_receiver_whose_stopping_fails_is_cut_and_the_others_are_called(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Fails(Holding):
        def stopping(self) -> None:
            raise ValueError("in stopping")

    made: list[Any] = []

    def make(exchange: Any) -> Any:
        made.append((Stops if made else Fails)(at_once))
        return made[-1]

    with served_channels(make) as live, live.client() as first, live.client() as second:
        switch(first)
        switch(second)
        live.engine.stop()
        assert first.closed()
        assert second.rest() == b"bye"
        leave(second)
        live.join()
    assert "in stopping" in caplog.text


def test_a_stop_that_is_out_of_time_cuts_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    with holding(graceful_timeout=0.2) as (live, made), live.client() as client:
        switch(client)
        live.engine.stop()
        live.join()
        assert client.closed()
        assert made[0].got == ["stopping", "gone"]
        assert [record[4] for record in live.records] == [101]
    assert "Stopped while a request was running" in caplog.text


def test_a_receiver_may_lack_the_method_stopping() -> None:
    class Silent:
        def __init__(self) -> None:
            self.channel: Any = None

        def begin(self, channel: Any) -> None:
            self.channel = channel
            channel.upgrade("101 Switching Protocols", [("Upgrade", "echo")])

        def changed(self) -> None:
            pass

    with served_channels(lambda exchange: Silent(), graceful_timeout=0.2) as live:
        with live.client() as client:
            switch(client)
            live.engine.stop()
            live.join()
            assert client.closed()


# --- TLS


def test_everything_works_under_tls(context: ssl.SSLContext, post: Any) -> None:
    wrap = partial(TlsStream, context=context)
    with echoing(post, wrap=wrap, high_water=10_000_000) as (live, made):
        for client in over_tls(live):
            switch(client, b"behind")
            assert client.file.read(6) == b"behind"
            for size in (1, 100_000, 3_000_000):
                client.send(b"x" * size)
                assert client.file.read(size) == b"x" * size
            client.file.close()
            client.sock.close()
            eventually(lambda: not live.engine.connections)
        eventually(lambda: made[0].got)
        assert made[0].got[0] in ("ended", "gone", "The client has gone.")
        assert [record[4] for record in live.records] == [101]


def test_under_tls_a_stop_flushes_what_is_kept(context: ssl.SSLContext) -> None:
    def make(exchange: Any) -> Stops:
        return Stops(at_once)

    with served_channels(make, wrap=lambda sock: TlsStream(sock, context)) as live:
        for client in over_tls(live):
            switch(client)
            live.engine.stop()
            assert client.rest() == b"bye"
            client.file.close()
            client.sock.close()
            live.join()
