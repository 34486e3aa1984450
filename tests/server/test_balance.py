"""How connections spread over the workers, with real processes."""

from __future__ import annotations

import http.client
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from running import Running

APP = """
import os

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/wait":                        # until the test closes the gate
        os.write(1, b"waiting in %d\\n" % os.getpid())
        with open("gate") as gate:
            gate.read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % os.getpid()]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "service.py").write_text(APP)
    os.mkfifo(tmp_path / "gate")
    return tmp_path


@contextmanager
def started(folder: Path, workers: int, *args: str) -> Iterator[Running]:
    """A server whose workers all serve and have no connection."""
    options = ("-p", "0", "-w", str(workers), "--no-access-log", *args)
    with Running("run", "service", *options, cwd=folder) as server:
        with ExitStack() as clients:
            kept: list[http.client.HTTPConnection] = []
            seen: set[bytes] = set()
            while len(seen) < workers:
                kept.append(clients.enter_context(closing(server.connect())))
                seen.add(ask(kept[-1]))
            for client in kept:
                assert client.sock is not None
                client.sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                while client.sock.recv(65536):
                    pass  # the end comes when the worker has let go of the connection
        yield server


def ask(connection: http.client.HTTPConnection, path: str = "/") -> bytes:
    connection.request("GET", path)
    return connection.getresponse().read()


@pytest.mark.parametrize("poller", ["epoll", "selectors"])
def test_kept_connections_spread_evenly_over_the_workers(folder: Path, poller: str) -> None:
    with started(folder, 3, "--poller", poller) as server, ExitStack() as clients:
        served: Counter[bytes] = Counter()
        for _ in range(30):
            client = clients.enter_context(closing(server.connect()))
            served[ask(client)] += 1
        assert len(served) == 3
        assert max(served.values()) <= 12
        assert min(served.values()) >= 8
