"""The WebSocket that a handler gets as its first argument.

    @app.websocket("/chat/<room>")
    def chat(ws, room):
        for message in ws:
            ws.send(message)

`WebSocket` is for plain functions and generators, `AsyncWebSocket` for coroutine functions. Both
accept the handshake when they first receive or send.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from carboy.realtime.websocket_link import NORMAL, TRY_AGAIN, ConnectionClosed, Link

if TYPE_CHECKING:
    from carboy.app.context import RequestContext
    from carboy.app.interface import Application
    from carboy.app.wrappers import Request
    from carboy.realtime.websocket_waiter import Waiter

__all__ = ["AsyncWebSocket", "ConnectionClosed", "WebSocket"]

F = TypeVar("F", bound=Callable[..., Any])


class _Facts:
    """Facts about a WebSocket, for both classes."""

    __slots__ = ("_ctx", "_link")

    def __init__(self, link: Link, ctx: RequestContext) -> None:
        self._link = link
        self._ctx = ctx

    @property
    def request(self) -> Request:
        """The request of the handshake."""
        return self._ctx.request

    @property
    def _app(self) -> Application:
        return self._ctx.app

    @property
    def accepted(self) -> bool:
        """Whether the handshake has been accepted."""
        return self._link.accepted

    @property
    def requested_subprotocols(self) -> tuple[str, ...]:
        """The subprotocols that the client offers, in its order."""
        return self._link.requested

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that was chosen when the handshake was accepted, or None."""
        return self._link.subprotocol

    @property
    def closed(self) -> bool:
        """Whether the connection has ended, or is being closed."""
        return self._link.transport.closed is not None

    @property
    def close_code(self) -> int | None:
        """The code with which the connection was closed (RFC 6455, section 7.4), or None."""
        ended = self._link.transport.closed
        return None if ended is None else ended.code

    @property
    def close_reason(self) -> str | None:
        """The reason with which the connection was closed, or None."""
        ended = self._link.transport.closed
        return None if ended is None else ended.reason

    def __repr__(self) -> str:
        if self.closed:
            state = f"closed with {self.close_code}"
        else:
            state = "open" if self.accepted else "not accepted yet"
        return f"<{type(self).__name__} {self.request.path!r}: {state}>"


class WebSocket(_Facts):
    """A WebSocket for plain functions. Any thread may use it."""

    __slots__ = ("__weakref__", "_on_close", "_on_message")

    def __init__(self, link: Link, ctx: RequestContext) -> None:
        super().__init__(link, ctx)
        self._on_message: Callable[[str | bytes], Any] | None = None
        self._on_close: tuple[Callable[[], Any], ...] = ()

    def accept(self, subprotocol: str | None = None, headers: Any = ()) -> None:
        """Accept the handshake, with a subprotocol that the client offers and header fields.

        Only needed to choose a subprotocol or to add header fields: `receive` and `send` accept
        the handshake as well. ValueError for a subprotocol that the client does not offer.
        """
        self._link.accept(subprotocol, headers)

    def receive(self, timeout: float | None = None) -> str | bytes | None:
        """Wait for the next message: str for a text message, bytes for a binary one.

        None if none has come within `timeout` seconds. Raises ConnectionClosed at the end.
        """
        link = self._link
        if not link.accepted:
            if timeout != 0 and not link.hold():
                raise link.too_many()
            link.accept()
        message = link.take()
        if message is not None or timeout == 0:
            return message
        if not link.hold():
            link.close(TRY_AGAIN, "Too many connections")
            raise link.closed_error()
        return link.wait_for_message(timeout)

    def receive_json(self, timeout: float | None = None) -> Any:
        """The value of the next message, which is JSON; None also after `timeout` seconds.

        Raises ValueError if the message is not JSON.
        """
        message = self.receive(timeout)
        return None if message is None else self._app.json.loads(message)

    def send(self, data: str | bytes) -> None:
        """Send a message: str as text, bytes as binary. Raises ConnectionClosed at the end.

        Waits while the client does not take what was sent before.
        """
        link = self._link
        link.ensure_accepted()
        if link.transport.full:
            link.hold()
            link.wait_to_send()
        link.send(_plain(data))

    def send_json(self, *args: Any, **kwargs: Any) -> None:
        """Send a value as JSON, in a text message; the arguments are those of `jsonify`."""
        self.send(self._app.json.dumps(_value(args, kwargs)))

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Close the connection; nothing happens if it is closed. Before that, it is accepted."""
        self._link.ensure_accepted()
        self._link.close(code, reason)

    def on_message(self, f: F) -> F:
        """Have `f(message)` called for each message, after the handler has returned.

        The connection holds no thread between two messages.
        """
        self._on_message = f
        return f

    def on_close(self, f: F) -> F:
        """Have `f()` called when the connection has ended."""
        self._on_close = (*self._on_close, f)
        return f

    def __iter__(self) -> Iterator[str | bytes]:
        """The messages, up to the end of the connection."""
        while True:
            try:
                message = self.receive()
            except ConnectionClosed:
                return
            if message is not None:
                yield message


class AsyncWebSocket(_Facts):
    """A WebSocket for coroutine functions, with the methods of `WebSocket` to await.

    Only for the event loop of the handler.
    """

    __slots__ = ("__weakref__", "_waiter")

    def __init__(self, link: Link, ctx: RequestContext, waiter: Waiter) -> None:
        super().__init__(link, ctx)
        self._waiter = waiter

    async def accept(self, subprotocol: str | None = None, headers: Any = ()) -> None:
        """Accept the handshake; see `WebSocket.accept`."""
        await self._waiter.on_thread(lambda: self._link.accept(subprotocol, headers))

    async def receive(self, timeout: float | None = None) -> str | bytes | None:
        """Wait for the next message; None after `timeout` seconds. See `WebSocket.receive`."""
        if not self._link.accepted:
            await self.accept()
        return await self._waiter.message(timeout)

    async def receive_json(self, timeout: float | None = None) -> Any:
        """The value of the next message, which is JSON; see `WebSocket.receive_json`."""
        message = await self.receive(timeout)
        return None if message is None else self._app.json.loads(message)

    async def send(self, data: str | bytes) -> None:
        """Send a message; see `WebSocket.send`."""
        if not self._link.accepted:
            await self.accept()
        if self._link.transport.full:
            await self._waiter.room()
        self._link.send(_plain(data))

    async def send_json(self, *args: Any, **kwargs: Any) -> None:
        """Send a value as JSON, in a text message; the arguments are those of `jsonify`."""
        await self.send(self._app.json.dumps(_value(args, kwargs)))

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Close the connection; see `WebSocket.close`."""
        if not self._link.accepted:
            await self.accept()
        self._link.close(code, reason)

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        """The messages, up to the end of the connection."""
        while True:
            try:
                message = await self.receive()
            except ConnectionClosed:
                return
            if message is not None:
                yield message


def _plain(data: object) -> str | bytes:
    """A message as str or bytes. Raises TypeError for anything else."""
    if isinstance(data, str | bytes):
        return data
    if isinstance(data, bytearray | memoryview):
        return bytes(data)
    raise TypeError(
        f"A WebSocket message is str or bytes, not {type(data).__name__}. Use send_json() for"
        " other values."
    )


def _value(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The value of the arguments of `jsonify`."""
    if args and kwargs:
        raise TypeError("send_json() takes either a value or keyword arguments, not both.")
    if len(args) == 1:
        return args[0]
    return list(args) if args else kwargs
