"""Responses that are made in one turn, and sent together."""

from __future__ import annotations

import select
import threading
from contextlib import ExitStack
from typing import Any

import pytest

from carboy.server import dispatching
from live_engine import PATIENCE, served

CLIENTS = 11


@pytest.mark.parametrize(
    ("average", "longest", "expected"),
    [
        pytest.param(0.0, 0.0, [0] * CLIENTS, id="quick"),
        pytest.param(0.0008, 0.0, list(range(CLIENTS)), id="one alone takes the time"),
        pytest.param(0.0008, 60.0, [0, 0, 0, 0, *range(4, CLIENTS)], id="while many are ready"),
    ],
)
def test_responses_are_held_while_many_requests_wait(
    monkeypatch: pytest.MonkeyPatch, average: float, longest: float, expected: list[int]
) -> None:
    """`expected`: how many clients have their response when each of the handlers begins."""
    monkeypatch.setattr(dispatching, "LONGEST_HOLD", longest)
    inside, go, finished = threading.Event(), threading.Event(), threading.Event()
    clients: list[Any] = []
    answered: list[int] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/gate":
            inside.set()
            go.wait(PATIENCE)
        elif environ["PATH_INFO"] == "/work":
            answered.append(len(select.select([each.sock for each in clients], [], [], 0)[0]))
            if len(answered) == CLIENTS:
                finished.set()
        start_response("200 OK", [])
        return [b"done"]

    with served(app, threads=1) as live, ExitStack() as stack:
        clients += [stack.enter_context(live.client()) for _ in range(CLIENTS)]
        for client in clients:
            client.request("GET", "/")
            assert client.reply().body == b"done"
        live.engine.dispatch_times.averages["GET /work"] = average
        with live.client() as gate:
            gate.request("GET", "/gate")
            assert inside.wait(PATIENCE)
            for client in clients:
                client.request("GET", "/work")
            go.set()
            assert finished.wait(PATIENCE)
            assert gate.reply().body == b"done"
        for client in clients:
            assert client.reply().body == b"done"
    assert answered == expected
