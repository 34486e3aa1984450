"""An ASGI application as a WSGI application, so that WSGI middleware can be put around it.

The tools of development (the debugger, the live page, the list of requests) are WSGI middleware.
With `Bridged`, they work for an ASGI application as for any other:

    engine ─▶ WSGI middleware ─▶ AsWsgi ─▶ the loop: the application's task
           ◀─ head and pieces ◀─ queue  ◀─ BridgeChannel, which the task sends to

A thread of the crew waits while the task runs, as for a WSGI application. So this is for
development; `carboy run` uses AsgiGateway alone. The task runs in a copy of the thread's context,
so that what middleware has noted there is seen in the application.

    thread of the request   AsWsgi.__call__, and everything under "the thread of the request"
    the loop                Request (gateway/asgi.py), and the methods of Channel

The queue is the only way from the loop to the thread; the other way is Receiver.changed, which
any thread may call. `gone` is set once and never reset.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterator
from concurrent.futures import Future, wait
from contextvars import copy_context
from queue import Empty, SimpleQueue
from threading import Lock
from types import TracebackType
from typing import Any, BinaryIO
from urllib.parse import quote

from carboy.file_wrapper import FileWrapper
from carboy.gateway.asgi import AsgiGateway, Request
from carboy.gateway.file_blocks import blocks
from carboy.gateway.interface import Answer, ChannelClosed
from carboy.gateway.mounted import below
from carboy.gateway.wrapping import Bridged
from carboy.gateway.wsgi import WsgiGateway, decode_path
from carboy.net import worker_loop
from carboy.protocol.events import RequestHead

log = logging.getLogger("carboy.error")

Headers = list[tuple[str, str]]

LOOK = 0.5  # seconds between two looks whether the client has gone
# Seconds that a response with a status of an error is kept for the exception that may follow it.
HOLD = 5.0
CHUNK = 64 * 1024  # bytes of the body in one message
LOOP_LOOK = 1.0  # seconds between two looks whether the loop runs
HIGH = 1024 * 1024  # bytes in the queue above which the application waits
# In the environ: called with the contexts in which the debugger's consoles run code.
PRESERVE = "werkzeug.debug.preserve_context"
SPECIAL = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}


class BridgedGateway:
    """The gateway of `Bridged`. Its lifespan is that of the ASGI application."""

    path_has_prefix = True

    def __init__(self, asgi: AsgiGateway, bridged: Bridged) -> None:
        self.wsgi = WsgiGateway(bridged.wrap(AsWsgi(asgi), bridged.app))
        self.start = asgi.start
        self.stop = asgi.stop
        self.websocket_support = asgi.websocket_support
        self.body_limit = self.wsgi.body_limit
        self.wants_stream = self.wsgi.wants_stream
        self._asgi = asgi

    def prepare(self, exchange: Any) -> Hashable:
        """The dispatch key: of the ASGI application for a WebSocket, else of a WSGI application."""
        exchange.match = self.wsgi
        if is_websocket(exchange.head):
            exchange.match = self._asgi
            return self._asgi.prepare(exchange)
        if exchange.root_path:
            exchange.head = below(exchange.head, exchange.prefix_size)
        return self.wsgi.prepare(exchange)

    def handle(self, exchange: Any) -> Answer:
        """Run the middleware, or the ASGI application alone for a WebSocket."""
        answer: Answer = exchange.match.handle(exchange)
        return answer


def is_websocket(head: RequestHead) -> bool:
    """Whether a request asks for a WebSocket."""
    return head.upgrade and any(
        name.lower() == "upgrade" and value.lower() == "websocket" for name, value in head.fields()
    )


# --- from the thread of the request to the loop


class AsWsgi:
    """A WSGI application that calls an ASGI application on the loop of its gateway."""

    def __init__(self, gateway: AsgiGateway) -> None:
        self.gateway = gateway

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """The response of the application; raises the exception that it raises."""
        __traceback_hide__ = True
        exchange = BridgedExchange(environ)
        channel: Any = BridgeChannel(environ, self.gateway)
        channel.receiver = request = BridgedRequest(self.gateway, exchange)
        if (preserve := environ.get(PRESERVE)) is not None:
            preserve(LoopContext(self.gateway))
        request.begin(channel)
        return channel.respond(start_response)


class LoopContext:
    """Runs coroutines of the debugger's console on the loop of the application."""

    def __init__(self, gateway: AsgiGateway) -> None:
        self._loop = gateway.loop
        self.app = self  # consoles look for `ensure_sync` there, as Flask has it

    def ensure_sync(self, function: Callable[[], Coroutine[Any, Any, Any]]) -> Callable[[], Any]:
        """A plain function that runs a coroutine function on the loop."""
        return lambda: self._result(self._loop.submit(function()))

    def _result(self, future: Future[Any]) -> Any:
        """Wait as long as the user's code runs; a loop that has ended would never finish it."""
        while not future.done():
            if not self._loop.running:
                raise RuntimeError("The event loop has ended. Load the page again.")
            wait([future], LOOP_LOOK)
        return future.result()

    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None: ...


class BridgedExchange:
    """The facts of a request for a scope, from an environ that middleware may have changed."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self.root_path: str = _text(environ.get("SCRIPT_NAME", ""))
        self.proxied = environ.get("carboy.proxy_protocol")
        self.outer_path = ""  # the path of the head is whole
        self.head = _head_of(environ)
        self.scheme = str(environ["wsgi.url_scheme"])
        client, server = environ.get("REMOTE_ADDR"), environ.get("SERVER_NAME", "")
        self._inner = inner = environ.get("carboy.exchange")
        self.peer = (client, int(environ.get("REMOTE_PORT") or 0)) if client else None
        self.server = inner.server if inner else (server, int(environ.get("SERVER_PORT") or 80))
        self.context = copy_context()

    def tls(self) -> Any:
        """The facts about the TLS connection, from the server; None if there are none."""
        found: Any = getattr(self._inner, "tls", lambda: None)()
        return found

    def _note_scope(self, scope: dict[str, Any]) -> None:
        if self._inner is not None:
            self._inner.scope = scope

    scope = property(None, _note_scope)  # for the route of the request

    # Under other servers than Carboy's, there are none.
    id = property(lambda self: self._inner.id)
    trace = property(lambda self: self._inner.trace)

    def request_line(self) -> str:
        """The request line, for logs."""
        return self.head.request_line()


class BridgedRequest(Request):
    """A call of the application that tells its channel when it has returned."""

    __slots__ = ()

    async def run(self, rest: Awaitable[None] | None = None) -> None:
        """Call the application, and complete what it has left."""
        try:
            await super().run(rest)
        finally:
            self._channel.ended()  # type: ignore[union-attr]


# --- from the loop to the thread of the request

END = object()  # the response is complete
RETURNED = object()  # the application has returned


class BridgeChannel:
    """A Channel of gateway.interface, over a WSGI request."""

    receiver: Request

    def __init__(self, environ: dict[str, Any], gateway: AsgiGateway) -> None:
        self.open = True
        self.gone = False
        self._gateway = gateway
        self._environ = environ
        self._input: BinaryIO = environ["wsgi.input"]
        length = environ.get("CONTENT_LENGTH")
        terminated = environ.get("wsgi.input_terminated")
        self._left = int(length) if length else (None if terminated else 0)
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self._kept = 0  # bytes in the queue, about
        self._lock = Lock()
        self._late = False  # nothing waits for an exception
        self._exchange = environ.get("carboy.exchange")
        self._begun = False  # the response has begun
        self._wrapper = environ.get("wsgi.file_wrapper", FileWrapper)

    # --- the methods of Channel, on the loop

    @property
    def full(self) -> bool:
        """Whether the application should wait before it sends more."""
        return self._kept > HIGH and not self.gone

    def _check(self) -> None:
        if not self.open or self.gone:
            raise ChannelClosed("The client has gone, or the response is complete.")

    def read(self) -> tuple[bytes, bool]:
        """The next bytes of the body, and whether more follow."""
        self._check()
        if self._left == 0:
            return b"", False
        size = CHUNK if self._left is None else min(CHUNK, self._left)
        data = self._input.read(size)
        if self._left is not None:
            self._left -= len(data)
        if len(data) < size:
            self._left = 0
        return data, self._left != 0

    def whole(self, status: str, headers: Headers, body: bytes) -> None:
        """Send a complete response."""
        if status[:1] != "1" and status[:3] not in ("204", "304"):
            headers = _with_length(headers, len(body))
        self.head(status, headers)
        self.send(body)
        self.finish()

    def file(self, status: str, headers: Headers, file: BinaryIO) -> None:
        """Send a complete response with the bytes of a file."""
        self._check()
        size = os.fstat(file.fileno()).st_size
        own = os.fdopen(os.dup(file.fileno()), "rb")
        self._queue.put((status, _with_length(headers, size), own))
        self.finish()

    def interim(self, status: str, headers: Headers) -> None:
        """Nothing: WSGI has no interim responses."""
        self._check()

    def head(self, status: str, headers: Headers) -> None:
        """Begin a response."""
        self._check()
        self._queue.put((status, headers, None))

    def send(self, piece: bytes) -> None:
        """Send a piece of the body."""
        self._check()
        self._kept += len(piece)
        self._queue.put(piece)

    def send_file(self, fd: int, offset: int, count: int) -> None:
        """Send `count` bytes of a file from `offset` as pieces of the body."""
        for piece in blocks(fd, offset, count):
            self.send(piece)

    def finish(self, trailers: Headers | None = None) -> None:
        """End the response, without the trailers, which WSGI has no way to send."""
        self._check()
        self.open = False
        self._queue.put(END)

    def fail(self, error: BaseException) -> None:
        """Raise `error` in the thread of the request, or log it if nothing waits for it."""
        self.open = False
        with self._lock:
            if self._late:
                _log_failure(error)
            else:
                self._queue.put(error)

    def ended(self) -> None:
        """The application has returned."""
        self.open = False
        self._queue.put(RETURNED)

    # --- the thread of the request

    def respond(self, start_response: Any) -> Any:
        """Call start_response, and return the pieces of the response."""
        __traceback_hide__ = True
        item = self._next()
        if item is RETURNED:  # the client has gone
            start_response("499 Client Closed Request", [])
            return []
        status, headers, file = item
        pieces = self._held() if status[:1] == "5" else Pieces(self)
        start_response(status, headers)
        self._begun = True
        if file is not None:
            self._log_late()
            return self._wrapper(file)
        return pieces

    def _next(self) -> Any:
        """The next item of the queue; raises the exception that the application has raised."""
        __traceback_hide__ = True
        while True:
            try:
                item = self._queue.get(timeout=LOOK)
            except Empty:
                worker_loop.look()
                if not self.gone and self._has_left():
                    self.leave()
                continue
            if isinstance(item, BaseException):
                raise item.with_traceback(of_application(item.__traceback__))
            return item

    def _held(self) -> list[bytes]:
        """The pieces of an error's response, once the application has returned.

        Frameworks answer an exception themselves, and then raise it for the server to log.
        """
        __traceback_hide__ = True
        pieces: list[bytes] = []
        while True:
            try:
                item = self._queue.get(timeout=HOLD)
            except Empty:
                if not self.open:
                    self._log_late()
                    return pieces  # something else runs after the response, such as a task
                continue
            if isinstance(item, BaseException):
                raise item.with_traceback(of_application(item.__traceback__))
            if item is RETURNED:
                return pieces
            if item is not END:
                pieces.append(item)

    def take(self) -> bytes | None:
        """The next piece of the body; None at its end."""
        __traceback_hide__ = True
        item = self._next()
        if item is END or item is RETURNED:
            self._log_late()
            return None
        full = self.full
        self._kept -= len(item)
        if full and not self.full:
            self.receiver.changed()
        return bytes(item)

    def _log_late(self) -> None:
        """From now on, log an exception of the application: nothing waits for it now."""
        with self._lock:
            self._late = True
            while not self._queue.empty():
                item = self._queue.get()
                if isinstance(item, BaseException):
                    _log_failure(item)

    def _has_left(self) -> bool:
        # In the middle of a response, a client that has gone and one that has only ended its side
        # look the same. Pages of an event stream that is closed are the usual case here.
        look = "has_ended" if self._begun else "has_left"
        return bool(getattr(self._exchange, look, lambda: False)())

    def leave(self) -> None:
        """The client has gone: the application gets http.disconnect."""
        self.gone = True
        self.open = False
        self.receiver.changed()

    def abandon(self) -> None:
        """Nothing reads the rest of the response."""
        self.leave()
        self._log_late()


class Pieces:
    """The pieces of a response, as the application sends them."""

    def __init__(self, channel: BridgeChannel) -> None:
        self._channel = channel
        self._complete = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        __traceback_hide__ = True
        if self._complete:
            raise StopIteration
        try:
            piece = self._channel.take()
        except BaseException:
            self._complete = True
            raise
        if piece is None:
            self._complete = True
            raise StopIteration
        return piece

    def close(self) -> None:
        """Nothing reads the rest of the response."""
        if not self._complete:
            self._complete = True
            self._channel.abandon()


def _with_length(headers: Headers, size: int) -> Headers:
    if any(name.lower() in ("content-length", "transfer-encoding") for name, _ in headers):
        return headers
    return [*headers, ("Content-Length", str(size))]


def _log_failure(error: BaseException) -> None:
    log.error("The application failed after its response.", exc_info=error)


def of_application(trace: TracebackType | None) -> TracebackType | None:
    """The traceback without the frames of the gateway, which are its first."""
    own = {Request.run.__code__, BridgedRequest.run.__code__}
    while trace is not None and trace.tb_frame.f_code in own and trace.tb_next is not None:
        trace = trace.tb_next
    return trace


# --- environs


def _text(value: str) -> str:
    return value.encode("latin-1").decode("utf-8", "replace")


def _head_of(environ: dict[str, Any]) -> RequestHead:
    """The head of the request that an environ describes, with the whole path."""
    target = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
    path = target.partition("?")[0]
    whole = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    if decode_path(path) != whole:  # changed by middleware, or a proxy has removed the prefix
        path = quote(whole.encode("latin-1"), safe="/!$&'()*+,:;=@~")
    query = str(environ.get("QUERY_STRING", ""))
    minor = 0 if environ.get("SERVER_PROTOCOL") == "HTTP/1.0" else 1
    head = RequestHead(
        environ["REQUEST_METHOD"], f"{path}{f'?{query}' if query else ''}", path, query, minor,
        environ.get("HTTP_HOST", ""), b"",
    )  # fmt: skip
    head._fields = _fields_of(environ)
    return head


def _fields_of(environ: dict[str, Any]) -> Headers:
    """The header fields in an environ; in the order and form of the request where it is known."""
    left = {
        key: value
        for key, value in environ.items()
        if key.startswith("HTTP_") or (key in SPECIAL.values() and value)
    }
    inner = environ.get("carboy.exchange")
    sent = inner.head.fields() if inner is not None else []
    joined: dict[str, str] = {}
    for name, value in sent:
        key = _variable(name)
        separator = "; " if key == "HTTP_COOKIE" else ","
        joined[key] = f"{joined[key]}{separator}{value}" if key in joined else value
    # What middleware has not changed is as the client has sent it; it may be several lines.
    fields = [pair for pair in sent if left.get(key := _variable(pair[0])) == joined[key]]
    known = {_variable(name) for name, _ in fields}
    names = {key: name for name, key in SPECIAL.items()}
    for key, value in left.items():
        if key not in known:
            name = names.get(key) or key.removeprefix("HTTP_").replace("_", "-").lower()
            fields.append((name, value))
    return fields


def _variable(name: str) -> str:
    return SPECIAL.get(name.lower()) or f"HTTP_{name.upper().replace('-', '_')}"
