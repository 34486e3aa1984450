"""The list of running requests: their states."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import carboy
from carboy.server.admin.running import running_requests
from live_engine import eventually, served

PATIENCE = 60.0


def test_requests_without_a_thread_are_shown_as_waiting() -> None:
    app = carboy.Carboy("waits")
    go = threading.Event()

    @app.get("/")
    def view() -> str:
        go.wait(PATIENCE)
        return "done"

    with served(app, threads=4) as live, ExitStack() as clients:
        for _ in range(8):
            client = clients.enter_context(live.client())
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

        def states() -> dict[str, set[bool]]:
            found: dict[str, set[bool]] = {}
            for each in running_requests(live.engine):
                found.setdefault(each["state"], set()).add(each["thread"] is not None)
            return found

        eventually(lambda: states() == {"running": {True}, "waiting": {False}})
        go.set()
