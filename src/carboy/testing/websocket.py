"""A WebSocket to an application in the same process, without sockets.

    with client.websocket("/chat/x") as ws:
        ws.send("hello")
        assert ws.receive() == "hello"

The handler runs as on a server: on a thread, or on the event loop.
"""

from __future__ import annotations

import threading
import time
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from types import TracebackType
from typing import TYPE_CHECKING, Any

from carboy.gateway.interface import LATER, Answer, DirectApplication, Receiver
from carboy.gateway.wsgi import WsgiGateway
from carboy.http.fields.headers import Headers
from carboy.protocol.machine import Machine
from carboy.realtime.websocket_link import NORMAL, ConnectionClosed
from carboy.testing.lanes import LIMITS, DirectExchange, Result, _receive, _result, raw_request
from carboy.testing.response import TestResponse

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

PATIENCE = 20.0  # seconds that a test waits for the handler
NO_STATUS = 1005
THREADS = (16, 256)  # the defaults of a server with one processor
KEY = b64encode(b"the key of tests").decode()  # 16 bytes, RFC 6455, section 4.1


class WebSocketRefused(Exception):
    """The handshake was answered with `response` instead of a WebSocket."""

    def __init__(self, response: TestResponse) -> None:
        super().__init__(f"The handshake was answered with {response.status}.")
        self.response = response


def handshake_headers(subprotocols: Iterable[str]) -> dict[str, str]:
    """The header fields of a handshake (RFC 6455, section 4.1)."""
    fields = {
        "HTTP_CONNECTION": "Upgrade",
        "HTTP_UPGRADE": "websocket",
        "HTTP_SEC_WEBSOCKET_KEY": KEY,
        "HTTP_SEC_WEBSOCKET_VERSION": "13",
    }
    names = ", ".join(subprotocols)
    return {**fields, "HTTP_SEC_WEBSOCKET_PROTOCOL": names} if names else fields


class _Ended:
    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason


class _Transport:
    """The two ends of a WebSocket. The methods without `client` are those of the server."""

    full = False

    def __init__(self, subprotocols: tuple[str, ...], changed: Callable[[], object]) -> None:
        self.subprotocols = subprotocols
        self.changed = changed
        self.closed: _Ended | None = None
        self.accepted: tuple[str | None, list[tuple[str, str]]] | None = None
        self.refused: tuple[str, list[tuple[str, str]], bytes] | None = None
        self.failed: BaseException | None = None
        self.has_ended = False  # the handler, and the teardown functions
        self._to_application: deque[str | bytes] = deque()
        self._to_client: deque[str | bytes] = deque()
        self.condition = threading.Condition()

    def accept(self, subprotocol: str | None = None, headers: Any = ()) -> None:
        with self.condition:
            if self.closed is not None:
                raise ConnectionError("The client has gone.")
            self.accepted = (subprotocol, list(headers))
            self.condition.notify_all()

    def refuse(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        with self.condition:
            self.refused = (status, headers, body)
            self.closed = _Ended(NO_STATUS, "")
            self.condition.notify_all()

    def take(self) -> str | bytes | None:
        with self.condition:
            return self._to_application.popleft() if self._to_application else None

    def send(self, data: str | bytes) -> None:
        with self.condition:
            if self.closed is not None:
                raise ConnectionError("The WebSocket is closed.")
            self._to_client.append(data if isinstance(data, str) else bytes(data))
            self.condition.notify_all()

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        with self.condition:
            if self.closed is None:
                self.closed = _Ended(code, reason)
                self.condition.notify_all()
        self.changed()

    def fail(self, error: BaseException) -> None:
        with self.condition:
            self.failed = error
            self.condition.notify_all()

    def end(self) -> None:
        with self.condition:
            self.has_ended = True
            self.condition.notify_all()

    def client_send(self, data: str | bytes) -> None:
        with self.condition:
            if self.closed is not None:
                raise ConnectionClosed(self.closed.code, self.closed.reason)
            self._to_application.append(data)
        self.changed()

    def client_take(self) -> str | bytes | None:
        return self._to_client.popleft() if self._to_client else None


class WebSocketExchange(DirectExchange):
    """The exchange of a handshake; the server's methods for WebSocket are those of tests."""

    websocket_limits = THREADS
    receiver: Receiver | None = None
    transport: _Transport | None = None

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.context = copy_context()  # the handler has a context of its own, as on a server
        if self._environ is not None:
            self._environ["carboy.exchange"] = self

    def websocket(self, changed: Callable[[], object]) -> _Transport:
        """The transport of this handshake."""
        offered = dict(self.head.fields()).get("Sec-Websocket-Protocol", "")
        names = tuple(name.strip() for name in offered.split(",") if name.strip())
        self.transport = _Transport(names, changed)
        return self.transport

    def later(self, receiver: Any) -> Answer:
        """Remember that the application answers later."""
        self.receiver = receiver
        return LATER

    def websocket_began(self) -> None:
        """Nothing: a test waits for `websocket_ended` in any case."""

    def websocket_failed(self, error: BaseException) -> None:
        """Have the test raise an error of the handler."""
        if self.transport is not None:
            self.transport.fail(error)

    def websocket_ended(self) -> None:
        """The handler and the teardown functions have ended."""
        if self.transport is not None:
            self.transport.end()


def open_websocket(
    app: Any, environ: WSGIEnvironment, lane: str
) -> tuple[_Transport | None, Result]:
    """The transport if the handshake was accepted, and the response, on a lane of testing.lanes."""
    direct = lane != "wsgi" and not environ.get("SCRIPT_NAME")
    head, content = _receive(Machine(LIMITS), raw_request(environ))
    exchange = WebSocketExchange(head, content, environ, None if direct else dict(environ))
    answer = exchange.context.run(_answered, app, exchange, direct)
    transport = exchange.transport
    if answer is not LATER or transport is None:
        return None, _result(exchange, answer, True)
    transport.changed()  # the server has opened the connection
    _wait(transport, lambda: transport.accepted or transport.refused, "answer the handshake")
    if transport.refused is not None:
        status, headers, body = transport.refused
        _wait(transport, lambda: transport.has_ended and transport.failed is None, "end")
        return None, ([body], status, Headers(headers))
    headers = [] if transport.accepted is None else transport.accepted[1]
    return transport, ([], "101 Switching Protocols", Headers(headers))


def _answered(app: Any, exchange: WebSocketExchange, direct: bool) -> Answer:
    if direct and isinstance(app, DirectApplication) and app.direct_ready():
        app.direct_prepare(exchange)
        return app.direct_handle(exchange)
    return WsgiGateway(app).handle(exchange)


def _wait(
    transport: _Transport, look: Callable[[], Any], what: str, timeout: float = PATIENCE
) -> Any:
    """The result of `look` once it is true. Raises an error of the handler, or TimeoutError."""
    deadline = time.monotonic() + timeout
    with transport.condition:
        while True:
            found = look()
            if found is not None and found is not False:
                return found
            if transport.failed is not None:
                error, transport.failed = transport.failed, None
                raise error
            if not transport.condition.wait(deadline - time.monotonic()):
                raise TimeoutError(f"The handler did not {what} within {timeout:g} seconds.")


class TestWebSocket:
    """The client's end of a WebSocket, in a test. Leaving the `with` block closes it."""

    __test__ = False  # not a class of tests

    def __init__(self, transport: _Transport, response: TestResponse, json: Any) -> None:
        self._transport = transport
        self._json = json
        self.response = response
        self.subprotocol = None if transport.accepted is None else transport.accepted[0]

    def send(self, data: str | bytes) -> None:
        """Send a message to the handler. Raises ConnectionClosed at the end."""
        self._transport.client_send(data)

    def send_json(self, value: Any) -> None:
        """Send a value as JSON, in a text message."""
        self.send(self._json.dumps(value))

    def receive(self, timeout: float = PATIENCE) -> str | bytes:
        """The next message of the handler.

        Raises ConnectionClosed when there is none, an error of the handler if the application
        propagates exceptions, and TimeoutError after `timeout` seconds.
        """
        transport = self._transport

        def look() -> str | bytes | ConnectionClosed | None:
            message = transport.client_take()
            ended = transport.closed
            if message is not None or ended is None or not transport.has_ended:
                return message
            if transport.failed is not None:
                return None
            return ConnectionClosed(ended.code, ended.reason)

        found = _wait(transport, look, "send a message", timeout)
        if isinstance(found, ConnectionClosed):
            raise found
        return found  # type: ignore[no-any-return]

    def receive_json(self, timeout: float = PATIENCE) -> Any:
        """The value of the next message, which is JSON."""
        return self._json.loads(self.receive(timeout))

    def __iter__(self) -> Iterator[str | bytes]:
        """The messages, up to the end of the connection."""
        while True:
            try:
                yield self.receive()
            except ConnectionClosed:
                return

    @property
    def closed(self) -> bool:
        """Whether the connection has ended."""
        return self._transport.closed is not None

    @property
    def close_code(self) -> int | None:
        """The code with which the connection was closed, or None."""
        ended = self._transport.closed
        return None if ended is None else ended.code

    @property
    def close_reason(self) -> str | None:
        """The reason with which the connection was closed, or None."""
        ended = self._transport.closed
        return None if ended is None else ended.reason

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Close the connection, and wait until the handler and the teardown functions have ended.

        Raises an error of the handler if the application propagates exceptions.
        """
        transport = self._transport
        transport.close(code, reason)
        _wait(transport, lambda: transport.has_ended and transport.failed is None, "end")

    def __enter__(self) -> TestWebSocket:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if exc_type is None:
            self.close()
        else:
            self._transport.close()
