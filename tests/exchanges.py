"""Exchanges made from raw requests without a socket, for tests of the direct lane."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

from carboy.gateway.wsgi import environ_of
from carboy.protocol import Data, Limits, Machine, RequestHead, Signal


class RawExchange:
    """An Exchange of gateway.interface, with the bytes of one request."""

    def __init__(
        self,
        head: RequestHead,
        body: BinaryIO | None,
        body_size: int | None,
        *,
        scheme: str = "http",
        peer: tuple[str, int] | None = ("192.0.2.7", 4711),
        server: tuple[str, int | None] = ("127.0.0.1", 8000),
    ) -> None:
        self.head = head
        self.body = body
        self.body_size = body_size
        self.scheme = scheme
        self.peer = peer
        self.server = server
        self.match: Any = None
        self.root_path = ""
        self.in_pieces = False
        self.may_answer_later = False
        self._environ: dict[str, Any] | None = None

    def environ(self) -> dict[str, Any]:
        if self._environ is None:
            self._environ = environ_of(self)
        return self._environ

    def start(self, status: str, headers: list[tuple[str, str]]) -> Any:
        raise NotImplementedError


def received(raw: bytes, **options: Any) -> RawExchange:
    """The exchange of a request whose body is complete."""
    connection = Machine(Limits())
    head = connection.receive(raw)
    assert isinstance(head, RequestHead), head
    pieces = []
    while isinstance(event := connection.next_event(), Data):
        pieces.append(event.data)
    assert event in (Signal.END_OF_MESSAGE, Signal.PAUSED), event
    content = b"".join(pieces)
    if not head.has_body:
        return RawExchange(head, None, 0, **options)
    return RawExchange(head, io.BytesIO(content), len(content), **options)


def raw_request(
    target: str = "/",
    method: str = "GET",
    fields: list[tuple[str, str]] | None = None,
    body: bytes = b"",
    host: str | None = "example.com",
) -> bytes:
    """The bytes of a request; text is encoded as Latin-1."""
    lines = [f"{method} {target} HTTP/1.1"]
    if host is not None:
        lines.append(f"Host: {host}")
    lines += [f"{name}: {value}" for name, value in fields or ()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
