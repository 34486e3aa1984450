"""A work: which request is sent to which servers, and how that is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from bench.apps import payload

SMALL = 64
LARGE = 16 * 1024


class Kind(Enum):
    """How a work is measured."""

    LOAD = auto()  # 64 connections without pauses
    BESIDE = auto()  # LOAD, with one CPU-bound request a second
    IDLE = auto()  # LOAD, without and with 10,000 idle connections
    PROCESS = auto()  # no load: import time and memory
    ECHO = auto()  # messages by WebSocket, each of which comes back
    FAN_OUT = auto()  # messages that are published, each of which reaches all subscribers
    SOCKETS = auto()  # WebSockets that are open and idle
    HTTP2 = auto()  # 10 connections of HTTP/2, each with 10 requests at a time
    HELD = auto()  # LOAD, without and with streams that are held open
    RESUMED = auto()  # new connections with TLS, whose handshake continues an earlier session


BEST_IS_LOW = (Kind.PROCESS, Kind.SOCKETS)
"""Kinds whose first figure is better if it is lower."""


@dataclass(frozen=True)
class Exchange:
    """One request, and a check of the body of its response."""

    method: str = "GET"
    path: str = "/"
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    accepts: Callable[[bytes], bool] = lambda body: body == payload.HELLO.encode()
    status: int = 200
    pipelined: int = 1  # requests that are sent before the first of their responses is read
    rarely: str | None = None  # another path for one request in `payload.ONE_IN`


@dataclass(frozen=True)
class Work:
    """One table of the benchmark: what each server in `servers` has to do."""

    key: str
    title: str
    servers: tuple[str, ...]
    exchange: Exchange = Exchange()
    kind: Kind = Kind.LOAD
    plain: str = "hello"  # the callable of apps/plain.py
    asgi: str = "hello"  # the callable of apps/asgi.py
    connections: int = 0  # WebSockets or streams; 0: 64 connections
    size: int = SMALL  # bytes of a message
    transport: str = "websocket"  # or "sse"
    threads: int | None = None  # None for the default of each server; four for gunicorn
    routes: int = 0
    ours: str = "carboy"  # the server that the others are compared with

    @property
    def group(self) -> str:
        """The part of the name that works of a kind have in common: "echo" of "echo-64-16KiB"."""
        return self.key.partition("-")[0]
