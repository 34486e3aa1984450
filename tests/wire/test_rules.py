"""The same rules as tests/protocol/test_rules.py, on real sockets against a real engine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from carboy.net import listen_tcp, listen_unix
from live_engine import Live, served
from protocol.rules import ACCEPTED, REFUSED, Accepted, Refused
from wire.talking import converse, in_halves, in_singles

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class Witness:
    """An application that returns what it was called with, and notes the paths."""

    def __init__(self) -> None:
        self.paths: set[str] = set()
        self.lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        with self.lock:
            self.paths.add(environ["PATH_INFO"])
        names = sorted(name for name in environ if name.startswith(("HTTP_", "CONTENT_")))
        lines = [f"{name}={environ[name]}" for name in ("REQUEST_METHOD", "PATH_INFO", *names)]
        start_response("200 OK", [("Content-Type", "text/plain")])
        said = "\n".join(lines).encode("latin-1")
        return [said + b"\nbody=" + environ["wsgi.input"].read()]


@pytest.fixture(scope="module")
def witness() -> Witness:
    return Witness()


@pytest.fixture(scope="module")
def tcp(witness: Witness) -> Iterator[Live]:
    with served(witness, listener=listen_tcp("127.0.0.1", 0)) as live:
        yield live


@pytest.fixture(scope="module")
def unix(witness: Witness, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    # For the thousands of connections in halves, for which TCP does not have enough ports.
    path: Path = tmp_path_factory.mktemp("wire") / "socket"
    with served(witness, listener=listen_unix(str(path))) as live:
        yield live


def answer(data: bytes, tcp: Live, unix: Live) -> bytes:
    """The response to `data`, which does not depend on how the data arrive."""
    whole, single = converse(tcp.address, [[data], in_singles(data)])
    assert single == whole, "byte by byte"
    halves = in_halves(data)
    for half, said in zip(halves, converse(unix.address, halves), strict=True):
        assert said == whole, f"split after {half[0][-40:]!r}"
    return whole


@pytest.mark.parametrize("rule", REFUSED, ids=lambda rule: rule.sentence)
def test_the_server_refuses_and_closes_when(
    rule: Refused, tcp: Live, unix: Live, witness: Witness
) -> None:
    said = answer(rule.data + SMUGGLED, tcp, unix)
    head, _, text = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % rule.status), said
    assert b"\r\nConnection: close" in head
    assert b"\r\nContent-Type: text/plain" in head
    assert text.startswith(b"%d " % rule.status)
    assert text.count(b"\n") == 1  # one response and nothing after it
    assert "/smuggled" not in witness.paths


@pytest.mark.parametrize("rule", ACCEPTED, ids=lambda rule: rule.sentence)
def test_the_server_accepts_when(rule: Accepted, tcp: Live, unix: Live) -> None:
    closes = b"HTTP/1.0" in rule.data
    said = answer(rule.data if closes else rule.data + LAST, tcp, unix)
    assert said.startswith(b"HTTP/1.1 200 OK\r\n"), said
    first, _, _ = said.partition(b"HTTP/1.1 200 OK\r\n")[2].partition(b"HTTP/1.1 ")
    assert first.endswith(b"\nbody=" + rule.body)
