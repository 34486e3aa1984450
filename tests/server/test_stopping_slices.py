"""A graceful stop looks at thousands of connections slice by slice."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest

from carboy.server import channels, stopping
from live_channels import served_channels, switch
from live_engine import eventually
from server.test_channels import leave
from server.test_upgrades import Stops, at_once

SLICE = 2


def test_a_stop_reaches_all_connections_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """The receiver of each open one is called once, and those that are idle are closed."""
    monkeypatch.setattr(stopping, "SLICE", SLICE)
    monkeypatch.setattr(channels, "CHANNELS_A_TURN", SLICE)
    made: list[Stops] = []

    def make(exchange: Any) -> Stops:
        made.append(Stops(at_once))
        return made[-1]

    with served_channels(make) as live, ExitStack() as stack:
        clients = [stack.enter_context(live.client()) for _ in range(5 * SLICE + 1)]
        silent = [stack.enter_context(live.client()) for _ in range(3 * SLICE)]
        for client in clients:
            switch(client)
        eventually(lambda: len(live.engine.connections) == len(clients) + len(silent))
        told_at_once: list[int] = []
        say = live.engine.channels._say_stopping

        def count() -> None:
            before = sum(map(len, (each.got for each in made)))
            say()
            told_at_once.append(sum(map(len, (each.got for each in made))) - before)

        live.engine.channels._say_stopping = count  # type: ignore[method-assign]
        live.engine.stop()
        for client in clients:
            assert client.rest() == b"bye"
            leave(client)
        for client in silent:
            assert client.closed()
        live.join()
    assert [each.got for each in made] == [["stopping"]] * len(clients)
    assert max(told_at_once) == SLICE
