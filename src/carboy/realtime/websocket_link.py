"""The connection behind a WebSocket object: accepting it, waiting for it, ending it.

    handler's thread   accept, take, send, close   may wait here
    the leader         changed                     returns at once: it wakes the threads that wait

No method of the transport is called with a lock of this file, because the transport has a lock of
its own, with which the leader calls `changed`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

Headers = list[tuple[str, str]]
NORMAL, GOING_AWAY, POLICY, INTERNAL_ERROR, TRY_AGAIN = 1000, 1001, 1008, 1011, 1013
ABNORMAL = 1006  # the connection ended without a close frame (RFC 6455, section 7.1.5)

_lazily = threading.Lock()
_NOTHING = object()


class Ended(Protocol):
    """How a connection has ended."""

    code: int
    reason: str


class Transport(Protocol):
    """A WebSocket of the server (gateway/websocket.py) or of the test client."""

    @property
    def closed(self) -> Ended | None: ...
    @property
    def full(self) -> bool: ...
    @property
    def subprotocols(self) -> tuple[str, ...]: ...

    def accept(self, subprotocol: str | None = None, headers: Any = ()) -> None: ...
    def refuse(self, status: str, headers: Headers, body: bytes) -> None: ...
    def take(self) -> str | bytes | None: ...
    def send(self, data: str | bytes) -> None: ...
    def close(self, code: int = NORMAL, reason: str = "") -> None: ...


class ConnectionClosed(ConnectionError):
    """The WebSocket is closed: `code` and `reason` as in RFC 6455, section 7.4.

    The code is 1005 if the client gave none, and 1006 if the connection broke.
    """

    def __init__(self, code: int, reason: str = "", link: Link | None = None) -> None:
        super().__init__(f"The WebSocket is closed ({code}{f': {reason}' if reason else ''}).")
        self.code = code
        self.reason = reason
        self.link = link


class Link:
    """One WebSocket of a handler.

    `handshake_fields` returns the header fields of the response 101; it runs hooks of the
    application. `hold` is called before a thread waits, and returns False if no thread may.
    """

    __slots__ = ("_changes", "_condition", "_known", "accepted", "handshake_fields", "hold",
                 "listener", "subprotocol", "too_many", "transport")  # fmt: skip

    transport: Transport

    def __init__(self, offered_by_rule: Iterable[str] = ()) -> None:
        self.accepted = False
        self.subprotocol: str | None = None
        self.listener: Callable[[], object] = lambda: None
        self.handshake_fields: Callable[[], Headers] = list
        self.hold: Callable[[], bool] = lambda: True
        self.too_many: Callable[[], BaseException] = RuntimeError
        self._known = tuple(offered_by_rule)  # subprotocols of the rule
        self._changes = 0
        self._condition: threading.Condition | None = None

    # --- from any thread

    def changed(self) -> None:
        """Messages have come, sent bytes have left, or the connection has ended."""
        condition = self._condition
        if condition is not None:
            with condition:
                self._changes += 1
                condition.notify_all()
        self.listener()

    # --- the handshake

    @property
    def requested(self) -> tuple[str, ...]:
        """The subprotocols that the client offers, in its order."""
        return self.transport.subprotocols

    def accept(self, subprotocol: str | None = None, headers: Any = ()) -> None:
        """Accept the handshake. Without a subprotocol: the first of the rule that is offered."""
        if self.accepted:
            raise RuntimeError(
                "The WebSocket is accepted already. Call accept() before receive() and send(),"
                " which accept it as well."
            )
        offered = self.requested
        if subprotocol is None:
            subprotocol = next((name for name in self._known if name in offered), None)
        elif subprotocol not in offered:
            raise ValueError(
                f"The client does not offer the subprotocol {subprotocol!r}. It offers:"
                f" {', '.join(offered) or 'none'}. Choose one of ws.requested_subprotocols."
            )
        fields = [*self.handshake_fields(), *_pairs(headers)]
        try:
            self.transport.accept(subprotocol, fields)
        except ConnectionError:
            raise self.closed_error() from None
        self.subprotocol = subprotocol
        self.accepted = True

    def ensure_accepted(self) -> None:
        """Accept the handshake unless it is accepted."""
        if not self.accepted:
            self.accept()

    # --- messages

    def take(self) -> str | bytes | None:
        """The next message that has come; None if none has. Raises ConnectionClosed at the end."""
        message = self.transport.take()
        if message is None and self.transport.closed is not None:
            message = self.transport.take()  # it may have come between the two
            if message is None:
                raise self.closed_error()
        return message

    def send(self, data: str | bytes) -> None:
        """Send a message; it is kept if the client does not take it yet."""
        self.ensure_accepted()
        if self.transport.closed is not None:
            raise self.closed_error()
        try:
            self.transport.send(data)
        except ConnectionError:
            raise self.closed_error() from None

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Close the connection; nothing happens if it is closed."""
        if self.transport.closed is None:
            try:
                self.transport.close(code, reason)
            except ConnectionError:
                pass

    def closed_error(self) -> ConnectionClosed:
        """The exception that says how the connection ended."""
        ended = self.transport.closed
        if ended is None:
            return ConnectionClosed(ABNORMAL, "", self)
        return ConnectionClosed(ended.code, ended.reason, self)

    # --- waiting, on a thread of the handler

    def wait_for_message(self, timeout: float | None) -> str | bytes | None:
        """The next message; None after `timeout` seconds. Raises ConnectionClosed."""

        def look() -> Any:
            message = self.take()
            return _NOTHING if message is None else message

        found = self._wait(look, timeout)
        return None if found is _NOTHING else found

    def wait_to_send(self) -> None:
        """Wait until the client has taken most of what was sent."""
        transport = self.transport

        def look() -> Any:
            return _NOTHING if transport.full and transport.closed is None else None

        self._wait(look, None)

    def _wait(self, look: Callable[[], Any], timeout: float | None) -> Any:
        """The result of `look`, which is called again after each change, unless it is _NOTHING."""
        found = look()
        if found is not _NOTHING or timeout == 0:
            return found
        deadline = None if timeout is None else time.monotonic() + timeout
        condition = self._waiting()
        while True:
            with condition:
                seen = self._changes
            found = look()
            if found is not _NOTHING:
                return found
            with condition:
                while self._changes == seen:
                    left = None if deadline is None else deadline - time.monotonic()
                    if (left is not None and left <= 0) or not condition.wait(left):
                        return look() if self._changes != seen else _NOTHING

    def _waiting(self) -> threading.Condition:
        with _lazily:
            if self._condition is None:  # most connections never wait on a thread
                self._condition = threading.Condition(threading.Lock())
            return self._condition


def _pairs(headers: Any) -> Headers:
    items = headers.items() if hasattr(headers, "items") else headers
    return [(str(name), str(value)) for name, value in items or ()]
