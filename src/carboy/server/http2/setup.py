"""Whether an engine speaks HTTP/2, and the part of it that does."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from carboy.gateway.interface import Gateway
from carboy.gateway.websocket_support import Support, support_of
from carboy.protocol.events import RequestHead
from carboy.server.channels import Channels
from carboy.server.closing import Closing
from carboy.server.connection import Connection
from carboy.server.crew import Lead
from carboy.server.responder import Responder
from carboy.server.settings import Settings

if TYPE_CHECKING:
    from carboy.server.http2.pipes import Pipes


Begin = Callable[[Lead, Connection, RequestHead], None]
ServeByPhase = Callable[[Lead, Connection, int, float], None]


class NoPipes:
    """Instead of Pipes, in an engine without HTTP/2."""

    def __init__(self) -> None:
        self.queue: deque[Any] = deque()
        self.dirty: deque[Any] = deque()
        self.all: dict[Any, None] = {}
        self.opened = 0
        self.run = self.finish_turn = self.serve = self.tick = self.stop = _nothing

    def take(self, connection: Connection, data: bytes) -> bool:
        """False: the client gets the answer of HTTP/1.1."""
        return False


def _nothing(*values: object) -> None:
    pass


class Engine(Protocol):
    """The engine."""

    settings: Settings
    connections: dict[int, Connection]
    responder: Responder
    channels: Channels


def pipes_of(
    engine: Engine,
    gateway: Gateway,
    closing: Closing,
    begin: Begin,
    serve_by_phase: ServeByPhase,
) -> Pipes | NoPipes:
    """The HTTP/2 of an engine: over TLS if it is on, without TLS if `h2c` is.

    `begin` and `serve_by_phase` are methods of the engine, for connections of single requests.
    """
    settings, responder = engine.settings, engine.responder
    if not (settings.http2.http2 if responder.scheme == "https" else settings.http2.h2c):
        return NoPipes()
    from carboy.server.http2.pipes import Pipes

    pipes = Pipes(settings, engine.connections, closing, responder, engine.channels.wake)
    pipes.websocket = offers_websocket(settings.http2.http2_websocket, gateway)
    pipes.begin, pipes.serve_by_phase = begin, serve_by_phase
    return pipes


def offers_websocket(wanted: bool | None, gateway: Gateway) -> bool:
    """Whether clients may open a WebSocket on an HTTP/2 connection; `wanted` None: it depends."""
    return support_of(gateway) is Support.SERVED if wanted is None else wanted
