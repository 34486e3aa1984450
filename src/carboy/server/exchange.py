"""One request and its response, as the gateway sees them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextvars import Context
from operator import attrgetter
from threading import Lock, RLock
from typing import TYPE_CHECKING, Any, BinaryIO

from carboy.gateway import environ as filling
from carboy.gateway.interface import LATER, Answer, Receiver, WebSocket
from carboy.gateway.route import route_of
from carboy.gateway.wsgi import (
    add_fields,
    body_variables,
    connection_variables,
    mount_variables,
    replace_fields,
    request_variables,
)
from carboy.protocol.events import ForwardedHead, RequestHead
from carboy.protocol.websocket.handshake import Handshake, HandshakeError, read_handshake
from carboy.server.connection import NOTHING
from carboy.server.disconnects import has_ended, has_left
from carboy.server.failures import log_late
from carboy.server.identity import id_of, made_once, trace_of_request
from carboy.server.raw_socket import RawSocket
from carboy.server.request_start import queued_seconds

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from carboy.server.channel import Channel
    from carboy.server.connection import Connection, Template
    from carboy.server.dispatch_times import Usage
    from carboy.server.encoders import Encoder
    from carboy.server.guard import Overdue
    from carboy.server.queueing import WaitsFor
    from carboy.server.responder import Responder
    from carboy.time_limits import Wait

Headers = list[tuple[str, str]]

log = logging.getLogger("carboy.error")

# Set for each request. Their keys are in the template already, so that no copy of it has to grow.
_OF_ONE_REQUEST = dict.fromkeys(
    ("REQUEST_METHOD", "REQUEST_URI", "RAW_URI", "PATH_INFO", "carboy.exchange", "werkzeug.socket")
)


_new_socket = RawSocket.__new__  # one for each environ: its `__init__` would take as long again


class Rest:
    """The part of a streamed response that is still to be made."""

    __slots__ = ("close", "pieces", "status")

    def __init__(
        self, pieces: Iterator[bytes], status: str, close: Callable[[], object] | None
    ) -> None:
        self.pieces = pieces
        self.status = status
        self.close = close


class ExchangeSlots:
    """The attributes that each request sets, which compiled functions reach directly."""

    __slots__ = (
        "began",
        "body",
        "cached_environ",
        "connection",
        "context",
        "head",
        "key",
        "match",
        "responder",
    )


class ServerExchange(ExchangeSlots):
    """An Exchange of gateway.interface, over a connection.

    One exchange is made for each request, so attributes that most requests leave unchanged are
    attributes of the class, and the engine leaves out `__init__` on its busiest path: that halves
    the cost on Python 3.11.
    """

    # the request
    head: RequestHead
    connection: Connection
    responder: Responder
    body: BinaryIO | None
    body_size: int | None = 0
    match: Any
    root_path = ""  # the prefix of a mounted application (gateway/mounts.py)
    refused = False  # gateway/entrance.py
    probe: Any = None  # what answers it, without the application (server/probes.py)
    outer_path = ""  # the first part of `root_path`, if the path of the request is without it
    prefix_size = 0  # characters of the prefix of a mount in the path of the request
    served_by: Any = None  # its gateway
    static_file: Any = None  # the folder for its path (gateway/static/gateway.py)
    key: Any  # the dispatch key
    rule: Any = None  # the rule, or its text, if a gateway knows it (gateway/route.py)
    mounted_at = ""  # the prefix of the mount alone, without that of a proxy
    scope: dict[str, Any] | None = None  # of an ASGI application
    cached_environ: dict[str, Any] | None  # kept until the response is finished
    # All application code of the request runs in this context: a context variable set by one
    # request is not seen by the next one on the same thread. Empty, as that of a new thread.
    context: Context

    # where it runs (server/scheduling.py)
    queued_at: float = (
        0.0  # monotonic seconds: when the request began to wait; 0.0: it did not wait
    )
    waited_before = 0.0  # seconds in front of the server, of a request that waits here as well
    began: float  # monotonic seconds: start of the handler
    waits_for: WaitsFor | None = None  # the resource that the request waits for, or has waited for
    leader_thread = 0  # identifier of the thread that this request made lose the lead
    refusal = ""  # the reason why the server has answered 503 instead of the application
    made_key_slow = False  # this request made its key slow at once
    in_reserve = False  # its thread is one of the reserve
    reserve_key: Hashable = None  # the key that the reserve counts it for
    patience: float = 0.0  # seconds that it may hold the leader; 0.0: the usual limit
    measure_usage = False  # the processor time of its handler is to be measured
    usage_before: Usage | None = None  # figures of its thread at the start of the handler
    usage: Usage | None = None  # processor time used by its handler
    seconds = 0.0  # time of the handler, if it ran on a thread other than the leader's
    deposed = False  # its thread lost the lead while running it
    returned = False  # that thread has finished with the exchange
    thread = 0  # that runs the application for it, if there are time limits (server/guard.py)
    overdue: Overdue | None = None  # the request is over its time limit
    services: Sequence[Wait] = ()  # that it waits for (carboy.waiting_for); a list of its own

    # the response
    head_begun = False  # the machine has returned the head of the response
    status = ""  # of a streamed response
    response_fields: Headers = []  # of the application, for the access log
    made = b""  # a complete response, by `answer`
    unsent_head = b""  # kept back for the first piece
    in_pieces = False  # the application has returned, and its response is iterated
    encoder: Encoder | None = None  # of the pieces (server/compressing.py)
    announced: int | None = None  # bytes still to come before they are encoded; None: not known
    as_it_is = False  # the response is not compressed
    rest: Rest | None = None  # the rest of a streamed response, from its first piece to its end
    # Held by the thread that touches the connection's unsent bytes. Made when the application may
    # continue to run while there are such bytes, which the leader then sends (server/streams.py).
    sending: Lock | RLock | None = None
    on_stream_thread = False  # its thread is counted by Streams and not by the crew
    leave_thread = False  # at the next piece: its thread is needed
    resumed = 0.0  # monotonic seconds: when the streamed response was last resumed
    slow_pieces = False  # its pieces are no longer made on the leader's thread

    # the response, if it comes later (server/channel.py)
    receiver: Receiver | None = None  # what the channel is made for
    channel: Channel | None = None
    may_answer_later = True  # a gateway that changes answers does not let them come later
    # The rest of the request, once what the application awaited is there; run like a request.
    continuation: Callable[[ServerExchange], Answer] | None = None
    arrived = 0.0  # monotonic seconds: start of the handler, if there is a continuation

    # its names, for logs and other services (server/identity.py)
    id = made_once(id_of)
    trace = made_once(trace_of_request)
    span: Span | None = None  # of OpenTelemetry (server/spans.py), with the next
    failure: BaseException | None = None  # the error of the application

    # the client
    forwarded_client: tuple[str, int] | None = None  # as a trusted proxy says, as the next
    forwarded_scheme: str | None = None
    socket_taken = False  # the application uses the socket itself
    socket_refused = False  # or it may not, and the client got 503
    client_left = False  # while the request ran
    client_tested = False  # whether it reads, after it has ended its side within the response

    def __init__(self, head: RequestHead, connection: Connection, responder: Responder) -> None:
        self.head = head
        self.connection = connection
        self.responder = responder
        self.context = Context()
        self.body = self.cached_environ = self.key = self.match = None
        self.began = 0.0
        if head.__class__ is ForwardedHead:
            responder.forwarding.apply(self, head)

    route = property(route_of)
    # The header of the PROXY protocol, None without one. No frame of Python for each ASGI request.
    proxied = property(attrgetter("connection.proxied"))

    @property
    def scheme(self) -> str:
        """ "https" under TLS, or if a trusted proxy says so; else "http"."""
        return self.forwarded_scheme or self.connection.scheme or self.responder.scheme

    @property
    def peer(self) -> tuple[str, int] | None:
        """Address and port of the client, the port 0 if it is not known; None on a unix socket."""
        return self.forwarded_client or self.connection.peer

    @property
    def server(self) -> tuple[str, int | None]:
        """Own name and port; path and None on a unix socket."""
        return self.connection.server

    def tls(self) -> Any:
        """The TlsFacts of the connection; None without TLS."""
        return getattr(self.connection.sock, "facts", None)

    def has_left(self) -> bool:
        """Whether the client has gone, so that nothing reads the response.

        Only for the thread that runs the request, or while that thread waits for the caller.
        """
        if not self.client_left and not self.socket_taken:
            with self.connection.taking or NOTHING:
                if self.connection.taken:
                    self.client_left = True
                elif has_left(self):
                    self.client_left = self.connection.broken = True
        return self.client_left

    def has_ended(self) -> bool:
        """Whether the client has gone or has ended its side; for the same threads."""
        return self.has_left() or (not self.socket_taken and has_ended(self.connection))

    def client_gone(self) -> bool:
        """Whether it is known that the client has gone; from any thread."""
        channel = self.channel
        return self.client_left or self.connection.broken or (channel is not None and channel.gone)

    def environ(self) -> dict[str, Any]:
        """The request as a PEP 3333 environ; made by the first call, the same one after that."""
        environ = self.cached_environ
        if environ is None:
            head = self.head
            connection = self.connection
            known = connection.template
            # A client sends the same fields again and again on one connection: everything after
            # the target is compared at once, byte for byte.
            tail = head.tail
            if known is None or known[0] != tail or not tail:
                known = connection.template = self._template(known)
            environ = self.cached_environ = known[1].copy()
            request_variables(environ, head)
            if self.root_path:
                mount_variables(environ, self.root_path)
            if self.body is not None:
                body_variables(environ, head, self.body, self.body_size)
            environ["carboy.exchange"] = self
            environ["werkzeug.socket"] = sock = _new_socket(RawSocket)
            sock._exchange, sock._rest, sock._closed = self, b"", False
            if not connection.own_socket:  # the template is that of all requests of the client
                environ["wsgi.early_hints"] = connection.early_hints
        return environ

    def _template(self, known: Template | None) -> Template:
        """The next template, which begins with the part of `known` that is still true."""
        usual = self.forwarded_client is None and self.forwarded_scheme is None
        first = known[2] if known is not None and usual else None
        changes = self.head.changes
        if (
            changes is not None
            and known is not None
            and first is not None
            and known[0] is changes[0]
            and replace_fields(known[1], changes[1])
        ):
            return self.head.tail, known[1], first
        if first is None:
            first = self._of_connection()
        template = first.copy()
        underscores = self.responder.settings.limits.underscore_fields
        if filling.add_fields(template, self.head, underscores) is None:
            add_fields(template, self.head, underscores)
        return self.head.tail, template, first if usual else None

    def _of_connection(self) -> dict[str, Any]:
        connection = self.connection
        responder = self.responder
        template: dict[str, Any] = {
            **responder.environ,
            **connection_variables(self.scheme, self.server, self.peer),
            "wsgi.early_hints": connection.early_hints,
            **_OF_ONE_REQUEST,
        }
        if responder.like_werkzeug and self.peer is not None:
            template["REMOTE_PORT"] = self.peer[1]  # a number in Werkzeug's environ
        if connection.proxied is not None:
            template["carboy.proxy_protocol"] = connection.proxied
        variables = getattr(connection.sock, "client_variables", None)
        if variables is not None:
            template.update(variables())
        return template

    def start(self, status: str, headers: Headers) -> Callable[[bytes], object]:
        """Begin a response before its body is known; returns `write` (PEP 3333)."""
        return self.responder.start(self, status, headers)

    def later(self, receiver: Receiver) -> Answer:
        """Have the response come through a channel, which `receiver` will get."""
        self.receiver = receiver
        return LATER

    def answer(self, status: str, headers: Headers, body: bytes) -> None:
        """Send a complete response, from within `handle`, which then returns ANSWERED.

        It leaves when `handle` returns, if its route is known to be quick, and else now.
        """
        taking = self.connection.taking
        if taking is not None:
            taking.acquire()
        try:
            if self.connection.taken:
                pass
            elif self.responder.averages.get(self.key) == 0.0:
                self.made = self.responder.whole(self, status, headers, body)
            else:
                self.responder.send_whole(self, status, headers, body)
        finally:
            if taking is not None:
                taking.release()

    def slow_work(
        self, status: str, headers: Headers, body: bytes
    ) -> Callable[[], tuple[str, Headers, bytes]] | None:
        """A function for another thread that returns the response to send instead, or None."""
        find = getattr(self.responder, "slow_work", None)
        return None if find is None else find(self, status, headers, body)

    def failed_late(self, error: BaseException) -> None:
        """Log an error that came after `answer`; on any thread."""
        log_late(self, error, gone=False)

    # --- WebSocket

    def websocket(self, changed: Callable[[], object]) -> WebSocket | Answer | None:
        """The WebSocket that the request asks for, None if it asks for none, or a refusal.

        A refusal is the answer to a handshake that breaks a rule. A WebSocket is a receiver for
        `later`; the server calls `changed`.
        """
        if not self.head.upgrade:
            return None
        try:
            handshake = read_handshake(self.head)
            if handshake is None:
                return None
            if not self.responder.websocket_origins.allows(handshake.origin, self.head.host):
                raise HandshakeError(403, "Pages of this origin may not open a WebSocket here.")
            return websocket_of(self, handshake, changed)
        except HandshakeError as error:
            return error.status, error.headers, error.body, None

    @property
    def websocket_limits(self) -> tuple[int, int]:
        """How many threads run code of handlers, and how many may wait for their client."""
        settings = self.responder.settings
        return settings.threads, settings.websocket_threads

    def websocket_began(self) -> None:
        """A handler has begun; it may go on after its connection has ended."""
        self.responder.handlers.begin()

    def websocket_ended(self) -> None:
        """The handler and its teardown functions have ended."""
        self.responder.handlers.end()

    @property
    def shown_id(self) -> str:
        """The id, if clients may see it (--request-id-response); else ""."""
        return str(self.id) if self.responder.settings.observing.request_id_response else ""

    @property
    def queued_seconds(self) -> float:
        """Seconds that the request has waited, here and in front of the server."""
        return queued_seconds(self)

    def when_sent(self, call: Callable[[], object]) -> None:
        """Call `call` when the response has been sent, or its connection has ended.

        For the thread that closes the response. `call` must not block.
        """
        connection = self.connection
        if connection.has_unsent:
            connection.after_sent = [*(connection.after_sent or ()), call]
        else:
            call()

    def request_line(self) -> str:
        """As the client wrote it but for secrets, for logs."""
        return self.responder.private(self.head.request_line())


def websocket_of(
    exchange: ServerExchange,
    handshake: Handshake,
    changed: Callable[[], object],
) -> WebSocket:
    """The WebSocket of a valid handshake. Raises HandshakeError if the package is missing."""
    try:
        from carboy.gateway.websocket import WebSocketTransport
    except ModuleNotFoundError as error:
        if error.name != "websockets":
            raise
        log.error(
            "A WebSocket was refused because the package websockets is not installed. Use: pip"
            " install carboy[websocket]."
        )
        raise HandshakeError(501, "This server has no WebSocket.") from None
    return WebSocketTransport(exchange, handshake, exchange.responder.websockets, changed)
