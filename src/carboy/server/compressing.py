"""A Responder that compresses responses (server/compression.py decides which).

Every response of every gateway goes through the methods of a Responder, so it does not matter who
makes a response, and whether it comes whole, in pieces, or later through a channel. Pieces are
flushed, so that a client gets each of them when it is made.

The time for compressing counts as that of the view: requests of a view whose responses take long
leave the leader's thread. zlib, brotli and zstd release the interpreter lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from carboy.gateway.file_blocks import blocks
from carboy.net.stream import bytes_left
from carboy.server.compression import Change, Decision, Policy, with_vary
from carboy.server.default_fields import with_length
from carboy.server.encoders import LARGE, available
from carboy.server.exchange import Headers, ServerExchange
from carboy.server.first_piece import file_to_send
from carboy.server.repeated import Repeated
from carboy.server.responder import Access, Responder
from carboy.server.settings import Settings

__all__ = ["Access", "CompressingResponder", "responder_for"]

LARGEST_FILE = 1024 * 1024  # of a file that is read at once, because its sender cannot wait


def responder_for(
    settings: Settings, access: Access | None, processes: bool, secure: bool
) -> Responder:
    """The Responder of an engine, by its settings."""
    kind = CompressingResponder if settings.compression.compress else Responder
    return kind(settings, access, processes, secure)


class CompressingResponder(Responder):
    """Sends the responses of an engine, compressed if that is useful."""

    def __init__(
        self, settings: Settings, access: Access | None, processes: bool, secure: bool = False
    ) -> None:
        super().__init__(settings, access, processes, secure)
        self.plain = False
        self._repeated = Repeated()
        self._policy = Policy(settings.compression, available())

    def whole(self, exchange: ServerExchange, status: str, headers: Headers, body: bytes) -> bytes:
        """The bytes of a complete response, which the caller sends."""
        head = exchange.head
        size = None if head.method == "HEAD" else len(body)
        declared = _declared(headers)
        if size is not None and declared not in (None, size):
            return super().whole(exchange, status, headers, body)  # the wrong length is logged
        decision = self._decide(exchange, status, headers, size)
        if decision.encoder is not None:
            body = b"" if head.method == "HEAD" else self._encoded(decision, body)
        return super().whole(exchange, status, decision.headers, body)

    def slow_work(
        self, exchange: ServerExchange, status: str, headers: Headers, body: bytes
    ) -> Callable[[], tuple[str, Headers, bytes]] | None:
        """The compression of a large body, for an application that runs on an event loop."""
        if exchange.head.method == "HEAD" or _declared(headers) not in (None, len(body)):
            return None
        decision = self._decide(exchange, status, headers, len(body))
        if decision.encoder is None:
            return None
        return lambda: (status, decision.headers, self._encoded(decision, body))

    def _encoded(self, decision: Decision, body: bytes) -> bytes:
        """The content, encoded now or before."""
        assert decision.encoder is not None
        if not decision.coding:
            return decision.encoder().whole(body)
        known = self._repeated.find(body, decision.coding)
        if known is None:
            known = decision.encoder().whole(body)
            self._repeated.offer(body, decision.coding, known)
        return known

    def _decide(
        self, exchange: ServerExchange, status: str, headers: Headers, size: int | None
    ) -> Decision:
        return self._policy.decide(exchange.head, status, headers, size, LARGE)

    # --- in pieces

    def begin(self, exchange: ServerExchange, status: str, headers: Headers) -> None:
        """Make the head, and the encoder of the pieces."""
        if exchange.as_it_is:
            super().begin(exchange, status, headers)
            return
        decision = self._decide(exchange, status, headers, None)
        super().begin(exchange, status, decision.headers)
        if decision.encoder is not None and exchange.head.method != "HEAD":
            exchange.encoder = decision.encoder()
            exchange.announced = decision.length

    def put(self, exchange: ServerExchange, piece: bytes) -> None:
        """Send a piece of the body. Raises ClientGone."""
        if exchange.encoder is not None and piece:
            if exchange.announced is not None:
                dropped = len(piece) - exchange.announced
                if dropped > 0:
                    exchange.connection.machine.excess += dropped
                    exchange.connection.body_sent += dropped  # as without an encoder
                    piece = piece[: exchange.announced]
                exchange.announced -= len(piece)
            piece = exchange.encoder.piece(piece) if piece else b""
        super().put(exchange, piece)

    def put_file(self, exchange: ServerExchange, fd: int, offset: int, count: int) -> None:
        """Send a part of a file as a piece of the body. Raises ClientGone."""
        if exchange.encoder is None:
            super().put_file(exchange, fd, offset, count)
            return
        for data in blocks(fd, offset, count):
            self.put(exchange, data)

    def end_pieces(
        self, exchange: ServerExchange, status: str, trailers: Headers | None = None
    ) -> None:
        """End a response that was sent in pieces."""
        encoder, exchange.encoder = exchange.encoder, None
        if encoder is not None:
            if exchange.announced:  # bytes are missing, and no length shows it
                exchange.connection.machine.short = True
                self.abandon(exchange.connection)
                self._finish(exchange, status)
                return
            super().put(exchange, encoder.end())
        super().end_pieces(exchange, status, trailers)

    # --- files

    def _begin_pieces(
        self, exchange: ServerExchange, status: str, headers: Headers, body: Any
    ) -> Iterator[bytes] | None:
        """A file that can be compressed is sent in pieces."""
        fd = None if exchange.head_begun else file_to_send(body)
        if fd is not None:
            left = bytes_left(fd, body.offset, body.count)
            if self._decide(exchange, status, headers, left).change is Change.COMPRESS:
                body = blocks(fd, body.offset, left)
                headers = with_length(headers, left)
        return super()._begin_pieces(exchange, status, headers, body)

    def send_file(
        self,
        exchange: ServerExchange,
        status: str,
        headers: Headers,
        fd: int,
        offset: int = 0,
        count: int | None = None,
    ) -> None:
        """Send a whole response with a file: compressed if it is small, otherwise as it is."""
        left = bytes_left(fd, offset, count)
        decision = self._decide(exchange, status, headers, left)
        if decision.change is Change.COMPRESS and left <= LARGEST_FILE:
            data = b"".join(blocks(fd, offset, left))
            self.send_whole(exchange, status, headers, data)
            return
        exchange.as_it_is = True
        if decision.change is Change.COMPRESS:
            headers = with_vary(headers)
        else:
            headers = decision.headers
        super().send_file(exchange, status, headers, fd, offset, count)


def _declared(headers: Headers) -> int | None:
    """The application's Content-Length; None without one, or with one that is not valid."""
    for name, value in headers:
        if name.lower() == "content-length":
            return int(value) if value.isdecimal() else -1
    return None
