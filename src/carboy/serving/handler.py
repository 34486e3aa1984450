"""`WSGIRequestHandler`: a request as an object of a class that users extend.

Werkzeug's server makes a handler for each connection and lets it read the socket. Here the engine
reads, and a handler is made for each complete request. Its methods are called in the same order,
so a class that overrides some of them works as it does there.
"""

from __future__ import annotations

import io
import ssl
import time
from collections.abc import Callable, Hashable, Iterable
from email.message import Message
from http.client import HTTPMessage, HTTPResponse
from http.server import BaseHTTPRequestHandler
from typing import Any

from carboy.gateway import WsgiGateway
from carboy.gateway.interface import Answer, Exchange
from carboy.gateway.worker_hooks import WorkerHooks
from carboy.gateway.wsgi import field_variables
from carboy.protocol.events import RequestHead
from carboy.serving.log import CONTROLS, moment, readable, styled
from carboy.werkzeug_log import _log

__all__ = ["WSGIRequestHandler", "connection_dropped_errors"]

connection_dropped_errors = (ConnectionError, TimeoutError, ssl.SSLEOFError)


class Arrived:
    """Passed to a handler instead of a socket: a request, and the place for its response."""

    def __init__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> None:
        self.environ = environ
        self.start_response = start_response
        self.answer: Iterable[bytes] | None = None
        self.exchange: Any = environ["carboy.exchange"]

    def socket(self) -> Any:
        """The connection's socket: an ssl.SSLSocket under TLS."""
        stream = self.exchange.connection.sock
        return getattr(stream, "sock", stream)


class WSGIRequestHandler(BaseHTTPRequestHandler):
    """One request of a server from `make_server` or `run_simple(request_handler=…)`.

    Override `make_environ`, `address_string`, `log_request`, `log`, `do_METHOD`, `run_wsgi`.
    A method may also write the response to `wfile` (send_response, end_headers, …).
    """

    server: Any
    environ: dict[str, Any]

    @property
    def server_version(self) -> str:  # type: ignore[override]
        """The value of the Server field."""
        return str(self.server._server_version)

    # --- handling a request, in the order of the calls

    def setup(self) -> None:
        """Set the attributes of the request."""
        arrived: Arrived = self.request
        self._arrived = arrived
        self.request = self.connection = arrived.socket()
        head: RequestHead = arrived.exchange.head
        self.command = head.method
        self.path = head.target
        self.request_version = head.version
        self.requestline = head.request_line()
        self.raw_requestline = f"{self.requestline}\r\n".encode("latin-1")
        self.headers = _message(head)
        self.close_connection = False
        self.rfile = arrived.environ["wsgi.input"]
        self.wfile = self._output = io.BytesIO()

    def handle(self) -> None:
        """Answer the request."""
        self.handle_one_request()

    def handle_one_request(self) -> None:
        """Call `do_METHOD` if the class has that method, else `run_wsgi`."""
        getattr(self, f"do_{self.command}")()

    def __getattr__(self, name: str) -> Any:
        # The application gets every HTTP method and answers 405 itself.
        if name.startswith("do_"):
            return self.run_wsgi
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def make_environ(self) -> dict[str, Any]:
        """The environ for the application. Fields whose name has "_" are in `headers` only."""
        return _without_underscores(self._arrived)

    def run_wsgi(self) -> None:
        """Call the application. Its response is sent when the handler has finished."""
        self.environ = environ = self.make_environ()
        start_response = self._arrived.start_response

        def started(status: str, headers: Any, exc_info: Any = None) -> Any:
            result = start_response(status, headers, exc_info)
            self._status = status
            return result

        self._arrived.answer = self.server.app(environ, started)

    def finish(self) -> None:
        """Does nothing: the engine sends the response and owns the connection."""

    def answered(self) -> Iterable[bytes]:
        """Log the request and return the body of its response; called by the gateway."""
        body = self._arrived.answer
        if body is None:
            return self._written()
        if (status := self.__dict__.get("_status")) is not None:
            self.log_request(_code(status))
            return body
        return _logged_late(self, body)

    def _written(self) -> Iterable[bytes]:
        """The bytes that a method has written to `wfile`, as a WSGI response."""
        response = HTTPResponse(_Socket(self._output.getvalue()), method=self.command)  # type: ignore[arg-type]
        response.begin()
        body = response.read()
        own = ("server", "date", "connection", "transfer-encoding")
        headers = [(n, v) for n, v in response.getheaders() if n.lower() not in own]
        self._arrived.start_response(f"{response.status} {response.reason}", headers)
        return [body]

    def connection_dropped(
        self, error: BaseException, environ: dict[str, Any] | None = None
    ) -> None:
        """Does nothing. Werkzeug calls it when the client has gone."""

    # --- client, time and lines for logs

    def address_string(self) -> str:
        """The client's address; "<local>" on a unix socket."""
        if not isinstance(self.client_address, tuple) or not self.client_address[0]:
            return "<local>"
        return str(self.client_address[0])

    def port_integer(self) -> int:
        """The client's port."""
        return int(self.client_address[1])

    def log_date_time_string(self) -> str:
        """The current time, as in log lines."""
        return moment(time.time())

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log a line for a request that is being answered."""
        code = str(int(code)) if isinstance(code, int) else code
        line = f"{self.command} {readable(self.path)} {self.request_version}"
        self.log("info", '"%s" %s %s', styled(line.translate(CONTROLS), code), code, size)

    def log_error(self, format: str, *args: Any) -> None:
        """Log a line at level error."""
        self.log("error", format, *args)

    def log_message(self, format: str, *args: Any) -> None:
        """Log a line at level info."""
        self.log("info", format, *args)

    def log(self, type: str, message: str, *args: Any) -> None:
        """Log a line that begins with address and time, on the logger `werkzeug`."""
        who = f"{self.address_string()} - - [{self.log_date_time_string()}]"
        _log(type, f"{who.replace('%', '%%')} {message}\n", *args)


def _message(head: RequestHead) -> HTTPMessage:
    message = HTTPMessage()
    for name, value in head.fields():
        Message.add_header(message, name, value)
    return message


def _without_underscores(arrived: Arrived) -> dict[str, Any]:
    """The environ without header fields whose name has "_": they look like those with "-"."""
    environ, head = arrived.environ, arrived.exchange.head
    if any("_" in name for name, _ in head.fields()):
        for key in field_variables(head, underscores=True):
            environ.pop(key, None)
        environ.update(field_variables(head))
    return environ


def _code(status: str) -> int | str:
    first = status.partition(" ")[0]
    return int(first) if first.isdecimal() else first


def _logged_late(handler: WSGIRequestHandler, body: Iterable[bytes]) -> Iterable[bytes]:
    """Log when the first piece of the body comes: the application has no status until then."""
    logged = False
    try:
        for piece in body:
            if not logged and piece:
                logged = True
                handler.log_request(_code(handler._status))
            yield piece
    finally:
        if hasattr(body, "close"):
            body.close()


class _Socket:
    """Bytes as a socket that http.client can read."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:
        """The bytes as a file."""
        return io.BytesIO(self._data)


class HandlerGateway:
    """A gateway that calls a WSGI application through a handler class."""

    def __init__(self, handler: type[WSGIRequestHandler], server: Any) -> None:
        self.handler = handler
        self.server = server
        self._wsgi = WsgiGateway(self._call)
        self.body_limit = self._wsgi.body_limit
        self.wants_stream = self._wsgi.wants_stream
        hooks = WorkerHooks(server.app, "auto", "The application")
        self.start = hooks.start
        self.stop = hooks.stop

    def prepare(self, exchange: Exchange) -> Hashable:
        """The dispatch key, as for any WSGI application."""
        return self._wsgi.prepare(exchange)

    def handle(self, exchange: Exchange) -> Answer:
        """Make a handler, which calls the application."""
        return self._wsgi.handle(exchange)

    def _call(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        arrived = Arrived(environ, start_response)
        peer = arrived.exchange.peer or ("", 0)
        handler = self.handler(arrived, peer, self.server)  # type: ignore[arg-type]
        return handler.answered()
