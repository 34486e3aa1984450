"""Thousands of clients that connect at one moment."""

from __future__ import annotations

import json
import resource
import selectors
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from realtime_server import start, until
from running import PATIENCE

COUNT = 2000
ENOUGH = 3 * COUNT  # descriptors


@pytest.fixture(autouse=True)
def descriptors() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] != resource.RLIM_INFINITY and before[1] < ENOUGH:
        pytest.skip(f"The limit of open files is {before[1]}.")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], ENOUGH), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def opened(address: Any, stack: ExitStack) -> selectors.DefaultSelector:
    """The sockets of a burst, which connect."""
    selector = stack.enter_context(selectors.DefaultSelector())
    for _ in range(COUNT):
        sock = stack.enter_context(socket.socket())
        sock.setblocking(False)
        sock.connect_ex(address)
        selector.register(sock, selectors.EVENT_WRITE, bytearray())
    return selector


def test_a_burst_of_clients_is_served_and_quick_views_are_answered_meanwhile(
    tmp_path: Path,
) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(start(tmp_path, "--threads", "16", workers=1))
        address = server.address()
        quick = stack.enter_context(socket.create_connection(address, timeout=PATIENCE))
        selector = opened(address, stack)
        waiting, answered = COUNT, 0
        quick.sendall(QUICK)
        selector.register(quick, selectors.EVENT_READ)
        while waiting:
            ready = selector.select(PATIENCE)
            assert ready, f"{waiting} clients wait in vain"
            for key, flags in ready:
                sock: Any = key.fileobj
                if sock is quick:
                    assert quick.recv(4096).endswith(b"quick")
                    answered += 1
                    quick.sendall(QUICK)
                elif flags & selectors.EVENT_WRITE:
                    sock.send(EVENTS)
                    selector.modify(sock, selectors.EVENT_READ, key.data)
                else:
                    key.data.extend(sock.recv(4096))
                    if b"retry: 3000\n\n" in key.data:
                        assert key.data.startswith(b"HTTP/1.1 200 OK\r\n")
                        selector.unregister(sock)
                        waiting -= 1
        assert answered
        until(lambda: json.loads(server.get("/subscribers/burst")[1])["count"] == COUNT, "holds")


QUICK = b"GET /quick HTTP/1.1\r\nHost: example.test\r\n\r\n"
EVENTS = b"GET /events?channel=burst HTTP/1.1\r\nHost: example.test\r\n\r\n"
