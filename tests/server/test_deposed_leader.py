"""A leader that is replaced while channels are open: no channel and no byte is lost."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import Any

from live_channels import HANDSHAKE, SWITCHED, Calls, Echo, served_channels, switch
from live_engine import eventually

STUCK = HANDSHAKE.replace(b"GET / ", b"GET /stuck ")


class Gate:
    """Makes receivers; inside `handle`, a request for /stuck waits for the test."""

    def __init__(self, post: Any) -> None:
        self.post = post
        self.stuck = threading.Event()
        self.go = threading.Event()
        self.made: list[Echo] = []

    def __call__(self, exchange: Any) -> Echo:
        if exchange.head.path == "/stuck":
            self.stuck.set()
            assert self.go.wait(60)
        self.made.append(Echo(self.post))
        return self.made[-1]


def test_open_channels_go_on_under_the_next_leader() -> None:
    with Calls() as calls, ExitStack() as stack:
        gate = Gate(calls.post)
        live = stack.enter_context(served_channels(gate, record=True))
        clients = [stack.enter_context(live.client()) for _ in range(5)]
        stuck = stack.enter_context(live.client())
        for client in clients:
            switch(client)
        first = live.engine.crew.current
        stuck.send(STUCK)
        assert gate.stuck.wait(60)
        eventually(lambda: live.engine.crew.current is not first)
        for number, client in enumerate(clients):
            client.send(b"%d" % number * 50_000)
            assert client.file.read(50_000) == b"%d" % number * 50_000
        late = stack.enter_context(live.client())
        switch(late, b"late")
        assert late.file.read(4) == b"late"
        gate.go.set()
        assert stuck.file.read(len(SWITCHED)) == SWITCHED
        stuck.send(b"free")
        assert stuck.file.read(4) == b"free"


def test_channels_of_the_turn_that_ended_early_are_begun_by_the_next_leader() -> None:
    held = threading.Event()  # the first turn, until all requests have been sent
    held.set()

    def before_a_turn() -> None:
        assert held.wait(60)

    with Calls() as calls, ExitStack() as stack:
        gate = Gate(calls.post)
        live = stack.enter_context(served_channels(gate, trace=before_a_turn))
        clients = [stack.enter_context(live.client()) for _ in range(7)]
        eventually(lambda: len(live.engine.connections) == 7)
        held.clear()
        live.engine.nudge()  # the turn that waits in the poller ends, and the next one is held
        for number, client in enumerate(clients):
            client.send(STUCK if number == 3 else HANDSHAKE)
        held.set()
        assert gate.stuck.wait(60)
        for number, client in enumerate(clients):
            if number != 3:
                assert client.file.read(len(SWITCHED)) == SWITCHED
                client.send(b"%d" % number)
                assert client.file.read(1) == b"%d" % number
        gate.go.set()
        assert clients[3].file.read(len(SWITCHED)) == SWITCHED


def test_a_stop_reaches_channels_that_two_leaders_have_opened() -> None:
    class Stops(Echo):
        def stopping(self) -> None:
            self.post(self.bye)

        def bye(self) -> None:
            self.channel.send(b"bye")
            self.channel.finish()

    with Calls() as calls, ExitStack() as stack:
        gate = Gate(calls.post)
        make = gate.__call__

        def stopping(exchange: Any) -> Echo:
            echo = make(exchange)
            echo.__class__ = Stops
            return echo

        live = stack.enter_context(served_channels(stopping, record=True))
        before, stuck, after = (stack.enter_context(live.client()) for _ in range(3))
        switch(before)
        first = live.engine.crew.current
        stuck.send(STUCK)
        assert gate.stuck.wait(60)
        eventually(lambda: live.engine.crew.current is not first)
        switch(after)
        live.engine.stop()
        assert before.rest() == b"bye"
        assert after.rest() == b"bye"
        gate.go.set()
        assert stuck.rest() == SWITCHED + b"bye"
        for client in (before, stuck, after):
            client.file.close()
            client.sock.close()
        live.join()
        assert [record[4] for record in live.records] == [101] * 3
