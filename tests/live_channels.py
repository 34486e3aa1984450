"""Receivers of channels on a real engine, for tests of connections that change their protocol."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from live_engine import Client, Live, served

HANDSHAKE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"


class ChannelGateway:
    """Answers every request through the receiver that `make` gives for it."""

    later = True

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self.make = make

    def prepare(self, exchange: Any) -> str:
        return "channel"

    def body_limit(self, exchange: Any) -> None:
        return None

    def wants_stream(self, exchange: Any) -> bool:
        return False

    def handle(self, exchange: Any) -> Any:
        return exchange.later(self.make(exchange))


class Calls:
    """Runs calls on a thread of its own, in order, as the loop of an application does."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._run, name="test-application")

    def post(self, call: Callable[[], None]) -> None:
        self._queue.put(call)

    def _run(self) -> None:
        while (call := self._queue.get()) is not None:
            call()

    def __enter__(self) -> Calls:
        self.thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._queue.put(None)
        self.thread.join(60)


class Echo:
    """Switches protocols, and sends back all bytes until the client ends its side."""

    def __init__(self, post: Callable[[Callable[[], None]], None]) -> None:
        self.post = post
        self.channel: Any = None
        self.got: list[Any] = []  # what has happened, in order

    def begin(self, channel: Any) -> None:
        self.channel = channel
        self.post(self.upgrade)

    def upgrade(self) -> None:
        self.channel.upgrade("101 Switching Protocols", [("Upgrade", "echo")])

    def changed(self) -> None:
        self.post(self.echo)

    def stopping(self) -> None:
        self.got.append("stopping")

    def echo(self) -> None:
        channel = self.channel
        if channel.gone and "gone" not in self.got:
            self.got.append("gone")
        try:
            while channel.open and not channel.full:
                data, more = channel.read()
                if data:
                    channel.send(data)
                elif not more:
                    self.got.append("ended")
                    channel.finish()
                else:
                    return
        except ConnectionError as error:
            self.got.append(str(error))


@contextmanager
def served_channels(make: Callable[[Any], Any], **settings: Any) -> Iterator[Live]:
    """An engine whose requests `make` gives receivers for."""
    with served(None, gateway=ChannelGateway(make), **settings) as live:
        yield live


def switch(client: Client, behind: bytes = b"") -> None:
    """Switch protocols, with bytes directly behind the request."""
    client.send(HANDSHAKE + behind)
    assert client.file.read(len(SWITCHED)) == SWITCHED
