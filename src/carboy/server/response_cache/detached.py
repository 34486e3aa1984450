"""A request that is run without its client, to refresh a kept response.

The exchange has the head of a request that was answered already, as a GET without conditions.
Nothing that the application sends leaves the process; the recording takes it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from contextvars import Context
from functools import partial
from threading import RLock, Thread
from typing import Any

from carboy.gateway.interface import ANSWERED, LATER, Answer, ChannelClosed
from carboy.protocol.events import RequestHead
from carboy.server.exchange import Headers, ServerExchange
from carboy.server.forwarding import with_fields
from carboy.server.response_cache.recording import Recording

log = logging.getLogger("carboy.error")

PREPARED = ("forwarded_client", "forwarded_scheme", "key", "match", "mounted_at", "outer_path",
            "prefix_size", "root_path", "rule", "served_by")  # fmt: skip
_without_conditions = partial(re.compile(rb"^if-[^:\n]*:[^\n]*\n", re.I | re.M).sub, b"")


class Detached(ServerExchange):
    """The exchange of such a request. An environ is made before it leaves its first thread."""

    def __init__(self, exchange: ServerExchange, recording: Recording) -> None:
        super().__init__(_whole(exchange.head), exchange.connection, exchange.responder)
        # As the gateways have prepared it: the head of a mounted application is changed already.
        for name in PREPARED:
            setattr(self, name, getattr(exchange, name))
        self.recording = recording
        self.context = Context()
        environ = self.environ()
        environ.pop("werkzeug.socket", None)
        environ["wsgi.early_hints"] = _ignore

    def has_left(self) -> bool:
        """False: the request has no client."""
        return False

    has_ended = client_gone = has_left

    def start(self, status: str, headers: Headers) -> Callable[[bytes], object]:
        """Returns `write`, whose bytes are recorded."""
        self.recording.head(status, headers)
        return self.recording.piece

    def answer(self, status: str, headers: Headers, body: bytes) -> None:
        """The complete response."""
        self.recording.whole(status, headers, body)

    def later(self, receiver: Any) -> Answer:
        """The response comes through a channel in memory."""
        receiver.begin(MemoryChannel(self, receiver))
        return LATER

    def websocket(self, changed: Callable[[], object]) -> None:
        """None: the request is not a handshake."""
        return

    def run(self, handle: Callable[[Any], Answer]) -> None:
        """Run the application, and record its response. Never raises."""
        try:
            answer = self.context.run(handle, self)
            if answer is not LATER and answer is not ANSWERED:
                self.context.run(self._take, answer)
        except BaseException as error:
            log.error("A response could not be refreshed: %s.", self.request_line(), exc_info=error)
            self.recording.give_up()

    def _take(self, answer: Answer) -> None:
        status, headers, body, close = answer
        try:
            if isinstance(body, bytes):
                self.recording.whole(status, headers, body)
                return
            if not self.recording.is_over:
                self.recording.head(status, headers)
            for piece in body:
                self.recording.piece(bytes(piece))
            self.recording.complete()
        finally:
            if close is not None:
                close()


def _whole(head: RequestHead) -> RequestHead:
    """The head of a request for the whole content, whatever the client has of it."""
    whole = with_fields(head, _without_conditions(head.block))
    whole.method = "GET"
    return whole


def _ignore(headers: Headers) -> None:
    """Early hints are for the client."""


class MemoryChannel:
    """A Channel of gateway.interface that leads to a recording."""

    def __init__(self, exchange: Detached, receiver: Any) -> None:
        self.lock = RLock()
        self.open = True
        self.gone = False
        self.full = False
        self.unsent = 0
        self._exchange = exchange
        self._recording = exchange.recording
        self._receiver = receiver

    def _check(self) -> None:
        if not self.open:
            raise ChannelClosed("The response is complete already.")

    def read(self) -> tuple[bytes, bool]:
        """The request has no body."""
        self._check()
        return b"", False

    def whole(self, status: str, headers: Headers, body: bytes) -> None:
        """A complete response."""
        self._check()
        self.open = False
        self._recording.whole(status, headers, body)

    def interim(self, status: str, headers: Headers) -> None:
        """Ignored: it is for the client."""

    def head(self, status: str, headers: Headers) -> None:
        """The response begins."""
        self._check()
        self._recording.head(status, headers)

    def send(self, piece: bytes) -> None:
        """A piece of the body."""
        self._check()
        self._recording.piece(piece)

    def send_chunk(self, piece: bytes, chunk: bytes) -> None:
        """A piece of the body."""
        self.send(piece)

    def finish(self, trailers: Headers | None = None) -> None:
        """The response is complete."""
        self._check()
        self.open = False
        if trailers:
            self._recording.give_up()
        else:
            self._recording.complete()

    def file(self, status: str, headers: Headers, file: Any) -> None:
        """A file is not kept."""
        self.cut()

    def send_file(self, fd: int, offset: int, count: int) -> None:
        """A part of a file is not kept."""
        self._recording.give_up()

    def upgrade(self, status: str, headers: Headers) -> None:
        """There is nothing to switch."""
        self.cut()

    def cut(self) -> None:
        """The response is given up."""
        self.open = False
        self._recording.give_up()

    def resume(self, continuation: Callable[[Any], Answer]) -> None:
        """Run the rest of the request on a thread of its own."""
        self._check()
        self.open = False
        Thread(
            target=self._exchange.run, args=(continuation,), name="carboy-refresh", daemon=True
        ).start()

    def fail(self, error: BaseException) -> None:
        """The application has failed."""
        log.error(
            "A response could not be refreshed: %s.",
            self._exchange.request_line(),
            exc_info=error,
        )
        self.cut()
