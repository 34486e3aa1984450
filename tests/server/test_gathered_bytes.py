"""Bytes of several channels that have work at once: kept, and sent by the leader."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import pytest

from carboy.server.channels import Channels
from carboy.server.connection import Connection
from live_asgi import (
    Message,
    Receive,
    Send,
    Signal,
    body,
    channel_of,
    only_http,
    served_asgi,
    start,
)
from live_engine import GET, eventually
from server.test_channels import Waiting


class Together(Channels):
    together = property(lambda self: True, lambda self, value: None)  # type: ignore[assignment]


class Apart(Channels):
    together = property(lambda self: False, lambda self, value: None)  # type: ignore[assignment]


FIXED = {True: Together, False: Apart}


@pytest.mark.parametrize("together", [True, False])
def test_bytes_of_several_channels_are_sent_by_the_leader(
    together: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = Signal()
    runs = [Signal(), Signal(), Signal()]
    direct: list[str] = []  # threads that send without keeping bytes first
    push = Connection.push

    def noting(self: Connection, data: bytes) -> bool:
        if self.unsent is None:
            direct.append(threading.current_thread().name)
        return push(self, data)

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        number = int(scope["path"][1:])
        runs[number].set()
        await go.reached()
        if number < 2:
            await send(start())
            await send(body(b"%d" % number))
            return
        await send(start())
        for _ in range(500):  # small pieces; larger ones are sent at once
            await send(body(b"2" * 1_000, more=True))
        await send(body(b"end"))

    with served_asgi(app, high_water=20_000) as live, ExitStack() as stack:
        clients = [stack.enter_context(live.client()) for _ in runs]
        for number, client in enumerate(clients):
            client.send(GET.replace(b" / ", b" /%d " % number))
            runs[number].wait()
        monkeypatch.setattr(Connection, "push", noting)
        live.engine.channels.__class__ = FIXED[together]
        go.set()
        assert [client.reply().body for client in clients] == [b"0", b"1", b"2" * 500_000 + b"end"]
    assert set(direct) == (set() if together else {"carboy-loop"})


def test_thousands_of_channels_that_are_due_are_looked_at_in_several_turns() -> None:
    app = Waiting()
    with served_asgi(app) as live, live.client() as client:
        client.send(GET)
        app.runs.wait()
        (connection,) = live.engine.connections.values()
        channel = channel_of(connection)
        channels = live.engine.channels
        looks: list[int] = []
        look = channels.look

        def noting(now: float) -> None:
            before = len(channels.due)
            look(now)
            looks.append(before - len(channels.due))

        channels.look = noting  # type: ignore[method-assign]
        channels.due.extend([channel] * 1000)
        channels.wake()
        eventually(lambda: sum(looks) >= 1000)
        assert max(looks) == 256
