"""The ways of a request from a test client to an application.

    server     the lane that Carboy's server would take: direct for its own applications, else WSGI
    wsgi       as under any other server
    direct     the request as bytes through protocol parser and gateway; parser errors are answered

Only the engine and its sockets are left out, so requests are read, refused and dispatched, and
their responses framed, exactly as on Carboy's server.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote

from carboy.gateway.interface import Answer, DirectApplication
from carboy.gateway.wsgi import WsgiGateway, environ_of
from carboy.http.fields.headers import EnvironHeaders, Headers
from carboy.http.wsgi import ClosingIterator, _get_environ
from carboy.protocol.errors import RemoteProtocolError
from carboy.protocol.events import Data, RequestHead, Signal
from carboy.protocol.limits import Limits
from carboy.protocol.machine import Machine

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

Result = tuple[Iterable[bytes], str, Headers]  # body, status, headers

LIMITS = Limits(underscore_fields=True)
# Keys of an environ that environ_of makes from the bytes of the request.
FROM_WIRE = frozenset(
    {
        "CONTENT_LENGTH",
        "CONTENT_TYPE",
        "PATH_INFO",
        "QUERY_STRING",
        "RAW_URI",
        "REMOTE_ADDR",
        "REMOTE_PORT",
        "REQUEST_METHOD",
        "REQUEST_URI",
        "SCRIPT_NAME",
        "SERVER_PROTOCOL",
        "wsgi.input",
    }
)


def run_wsgi_app(app: WSGIApplication, environ: WSGIEnvironment, buffered: bool = False) -> Result:
    """Body, status and headers of one call of `app` (PEP 3333).

    The body is read up to its first chunk; with `buffered`, it is read completely and closed. An
    error that the application reports as `exc_info` is raised, so that the test sees it.
    """
    started: list[Any] = []
    written: list[bytes] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: Any = None, /
    ) -> Callable[[bytes], object]:
        if exc_info is not None:
            raise exc_info[1].with_traceback(exc_info[2])
        started[:] = [status, Headers(headers)]
        return written.append

    result = app(dict(_get_environ(environ)), start_response)
    close = getattr(result, "close", None)
    try:
        body = _take(result, started, written, buffered)
        if not started:
            raise RuntimeError(f"{app!r} answered without calling start_response(status, headers).")
    except BaseException:
        if close is not None:
            close()
        raise
    status, headers = started
    if buffered:
        if close is not None:
            close()
    elif close is not None and body is not result:
        body = ClosingIterator(body, close)
    return body, status, headers


def _take(
    result: Iterable[bytes], started: list[Any], written: list[bytes], buffered: bool
) -> Iterable[bytes]:
    if buffered:
        rest = list(result)
        return [*written, *rest]
    iterator = iter(result)
    for chunk in iterator:
        written.append(chunk)
        if started:
            break
    return chain(written, iterator) if written else iterator


class DirectExchange:
    """The exchange of a request that is passed to an application without a server."""

    root_path = ""
    rule: Any = None  # as in ServerExchange: gateways read and set it

    def __init__(
        self,
        head: RequestHead,
        body: bytes,
        extra: WSGIEnvironment,
        environ: WSGIEnvironment | None = None,
    ) -> None:
        self.head = head
        self.body: BinaryIO | None = io.BytesIO(body) if body else None
        self.body_size: int | None = len(body)
        self.scheme = str(extra.get("wsgi.url_scheme", "http"))
        address = extra.get("REMOTE_ADDR")
        port = int(extra.get("REMOTE_PORT") or 0)
        self.peer: tuple[str, int] | None = (address, port) if address else None
        self.server: tuple[str, int | None] = (
            extra.get("SERVER_NAME", "localhost"),
            int(extra.get("SERVER_PORT", 80)),
        )
        self.match: Any = None
        self.in_pieces = False
        self.may_answer_later = False
        self.written: list[bytes] = []
        self.started: tuple[str, list[tuple[str, str]]] | None = None
        self._extra = extra
        self._environ = environ
        if environ is not None and self.body is not None:
            environ["wsgi.input"] = self.body

    def environ(self) -> dict[str, Any]:
        """The environ of the request, with the additional keys of the test."""
        if self._environ is None:
            self._environ = environ_of(self, underscores=True)
            self._environ.update(
                (key, value)
                for key, value in self._extra.items()
                if key not in FROM_WIRE and not key.startswith("HTTP_")
            )
        return self._environ

    def start(self, status: str, headers: list[tuple[str, str]]) -> Callable[[bytes], object]:
        """The start_response function of PEP 3333."""
        self.started = (status, headers)
        return self.written.append


def run_direct(app: WSGIApplication, environ: WSGIEnvironment, buffered: bool = False) -> Result:
    """Body, status and headers of the request in `environ`, over the direct lane.

    A request with a script name takes the WSGI lane: without a mount, a server cannot receive it.
    """
    if environ.get("SCRIPT_NAME"):
        return run_wsgi_app(app, environ, buffered)
    return _respond(app, raw_request(environ), environ, buffered)


def run_as_served(app: Any, environ: WSGIEnvironment, buffered: bool = False) -> Result:
    """Body, status and headers of a request, over the lane that Carboy's server would take.

    A request that a server cannot receive takes the WSGI lane: one with a script name, with a
    header name that is not a token, or with content of another length than declared.
    """
    exchange = None
    if isinstance(app, DirectApplication) and app.direct_ready():
        exchange = _wire_exchange(environ)
    if exchange is None:
        return run_wsgi_app(app, environ, buffered)
    answer = _answered(app, exchange, environ)
    # The answer is not checked: a server would do that for every client.
    return _result(exchange, answer, buffered)


def _wire_exchange(environ: WSGIEnvironment) -> DirectExchange | None:
    """The exchange for an environ; None if a server could not receive the same request."""
    stream = environ["wsgi.input"]
    query = environ["QUERY_STRING"]
    if (
        environ.get("SCRIPT_NAME")
        or not environ["PATH_INFO"].startswith("/")
        or type(stream) is not io.BytesIO
        or not environ.get("REMOTE_ADDR")
        or "HTTP_TRANSFER_ENCODING" in environ
        or any(value != value.strip(" \t") for _, value in EnvironHeaders(environ))
        or not (query.isprintable() and query.isascii() and " " not in query)
    ):
        return None
    at = stream.tell()
    request = raw_request(environ)
    size = len(stream.getvalue()) - at
    stream.seek(at)
    if size != int(environ.get("CONTENT_LENGTH") or 0):
        return None
    try:
        head, content = _receive(Machine(LIMITS), request)
    except RemoteProtocolError:
        return None
    return DirectExchange(head, content, environ, dict(environ))


def _answered(app: Any, exchange: DirectExchange, environ: WSGIEnvironment) -> Answer:
    """The answer over the direct lane if the application has it, as in gateway/direct.py."""
    if not (isinstance(app, DirectApplication) and app.direct_ready()):
        return WsgiGateway(app).handle(exchange)
    app.direct_prepare(exchange)
    handle: Any = app.direct_handle
    preserve = environ.get("werkzeug.debug.preserve_context")
    answer: Answer = handle(exchange) if preserve is None else handle(exchange, preserve)
    return answer


def raw_request(environ: WSGIEnvironment) -> bytes:
    """The bytes of the request that an environ describes."""
    body: bytes = environ["wsgi.input"].read()
    target = quote(environ["PATH_INFO"].encode("latin-1"), safe="/!$&'()*+,:;=@") or "/"
    if environ["QUERY_STRING"]:
        query = quote(environ["QUERY_STRING"].encode("latin-1"), safe="!$&'()*+,/:;=?@%[]")
        target = f"{target}?{query}"
    lines = [f"{environ['REQUEST_METHOD']} {target} {environ['SERVER_PROTOCOL']}"]
    for name, value in EnvironHeaders(environ):
        if name == "Content-Length":
            value = str(len(body))
        if name != "Transfer-Encoding":
            lines.append(f"{name}: {value}")
    if body and not environ.get("CONTENT_LENGTH"):
        lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join(lines) + "\r\n\r\n"
    try:
        return head.encode("latin-1") + body
    except UnicodeEncodeError:
        return head.encode() + body


def _respond(app: Any, request: bytes, environ: WSGIEnvironment, buffered: bool) -> Result:
    machine = Machine(LIMITS)
    try:
        head, content = _receive(machine, request)
    except RemoteProtocolError as error:
        return _split(machine.error_response(error, b""))
    exchange = DirectExchange(head, content, environ)
    answer = _answered(app, exchange, environ)
    status, headers = exchange.started or answer[:2]
    try:
        machine.start_response(status, headers, b"")
    except BaseException:
        if answer[3] is not None:
            answer[3]()
        raise
    return _result(exchange, answer, buffered)


def _receive(machine: Machine, request: bytes) -> tuple[RequestHead, bytes]:
    """Head and content of a complete request. A request that ends early is refused."""
    event = machine.receive(request)
    if not isinstance(event, RequestHead):
        raise RemoteProtocolError(400, "the request ended before its head did")
    head, body = event, []
    while head.has_body and (event := machine.next_event()) is not Signal.END_OF_MESSAGE:
        if not isinstance(event, Data):
            raise RemoteProtocolError(400, "the request ended before its content did")
        body.append(event.data)
    return head, b"".join(body)


def _result(exchange: DirectExchange, answer: Answer, buffered: bool) -> Result:
    """Body, status and headers of an answer."""
    status, headers, body, close = answer
    status, headers = exchange.started or (status, headers)
    try:
        chunks: Iterable[bytes] = [body] if isinstance(body, bytes) else body
        if exchange.written:
            chunks = [*exchange.written, *chunks]
        if buffered:
            chunks = list(chunks)
        else:  # up to the first piece, so that an error before it is raised here
            iterator = iter(chunks)
            chunks = chain([*islice(iterator, 1)], iterator)
    except BaseException:
        if close is not None:
            close()
        raise
    if buffered or isinstance(body, bytes):
        if close is not None:
            close()
    elif close is not None:
        chunks = ClosingIterator(chunks, close)
    return chunks, status, Headers(headers)


def _split(response: bytes) -> Result:
    """Body, status and headers of an answer that the parser made."""
    head, _, body = response.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = [line.split(": ", 1) for line in lines]
    return [body], first.split(" ", 1)[1], Headers([(name, value) for name, value in fields])
