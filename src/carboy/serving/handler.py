"""A request as an object of a class that users extend: `WSGIRequestHandler`.

Werkzeug's server makes one for each connection and lets it read the socket. Here the engine
reads, and a handler is made for each request that has arrived whole; its methods are called in
the same order, so that a class that overrides some of them sees what it would see there.
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
from carboy.protocol.events import RequestHead
from carboy.serving.log import CONTROLS, moment, readable, styled
from carboy.werkzeug_log import _log

__all__ = ["WSGIRequestHandler", "connection_dropped_errors"]

connection_dropped_errors = (ConnectionError, TimeoutError, ssl.SSLEOFError)


class Arrived:
    """What a handler is made of instead of a socket: a request, and a place for the answer."""

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
    A method that writes an answer to `wfile` itself (send_response, end_headers, …) may do so.
    """

    server: Any
    environ: dict[str, Any]

    @property
    def server_version(self) -> str:  # type: ignore[override]
        """What the server calls itself."""
        return str(self.server._server_version)

    # --- the way of a request, in the order of the calls

    def setup(self) -> None:
        """Take over what has arrived."""
        arrived: Arrived = self.request
        self._arrived = arrived
        self.request = self.connection = arrived.socket()
        head: RequestHead = arrived.exchange.head
        self.command = head.method
        self.path = head.target
        self.request_version = head.version
        self.requestline = f"{head.method} {head.target} {self.request_version}"
        self.raw_requestline = f"{self.requestline}\r\n".encode("latin-1")
        self.headers = _message(head)
        self.close_connection = False
        self.rfile = arrived.environ["wsgi.input"]
        self.wfile = self._output = io.BytesIO()

    def handle(self) -> None:
        """Answer the request."""
        self.handle_one_request()

    def handle_one_request(self) -> None:
        """Call the method for the request's own: `run_wsgi`, unless a class has a do_… for it."""
        getattr(self, f"do_{self.command}")()

    def __getattr__(self, name: str) -> Any:
        # Every method of HTTP is the application's, as it has its own 405.
        if name.startswith("do_"):
            return self.run_wsgi
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}.")

    def make_environ(self) -> dict[str, Any]:
        """The environ the application is called with."""
        return self._arrived.environ

    def run_wsgi(self) -> None:
        """Call the application; its answer is sent when the handler has finished."""
        self.environ = environ = self.make_environ()
        start_response = self._arrived.start_response

        def started(status: str, headers: Any, exc_info: Any = None) -> Any:
            result = start_response(status, headers, exc_info)
            self._status = status
            return result

        self._arrived.answer = self.server.app(environ, started)

    def finish(self) -> None:
        """Nothing: the engine sends, and the connection is its."""

    def answered(self) -> Iterable[bytes]:
        """The body of the answer, logged; for the gateway, after the handler has been made."""
        body = self._arrived.answer
        if body is None:
            return self._written()
        if (status := self.__dict__.get("_status")) is not None:
            self.log_request(_code(status))
            return body
        return _logged_late(self, body)

    def _written(self) -> Iterable[bytes]:
        """What a method has written to `wfile`, as a WSGI answer."""
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
        """Called when the client has gone; does nothing."""

    # --- who and when, for logs

    def address_string(self) -> str:
        """The client's address, "<local>" on a unix socket."""
        if not isinstance(self.client_address, tuple) or not self.client_address[0]:
            return "<local>"
        return str(self.client_address[0])

    def port_integer(self) -> int:
        """The client's port."""
        return int(self.client_address[1])

    def log_date_time_string(self) -> str:
        """Now, as logs have it."""
        return moment(time.time())

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """One line for a request that is being answered."""
        code = str(int(code)) if isinstance(code, int) else code
        line = f"{self.command} {readable(self.path)} {self.request_version}"
        self.log("info", '"%s" %s %s', styled(line.translate(CONTROLS), code), code, size)

    def log_error(self, format: str, *args: Any) -> None:
        """A line at level error."""
        self.log("error", format, *args)

    def log_message(self, format: str, *args: Any) -> None:
        """A line at level info."""
        self.log("info", format, *args)

    def log(self, type: str, message: str, *args: Any) -> None:
        """A line with address and time before it, on the logger `werkzeug`."""
        who = f"{self.address_string()} - - [{self.log_date_time_string()}]"
        _log(type, f"{who.replace('%', '%%')} {message}\n", *args)


def _message(head: RequestHead) -> HTTPMessage:
    message = HTTPMessage()
    for name, value in head.fields():
        Message.add_header(message, name, value)
    return message


def _code(status: str) -> int | str:
    first = status.partition(" ")[0]
    return int(first) if first.isdecimal() else first


def _logged_late(handler: WSGIRequestHandler, body: Iterable[bytes]) -> Iterable[bytes]:
    """For an application that calls start_response as late as with its first piece of body."""
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
    """Octets as http.client wants to find them."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:
        """The octets as a file."""
        return io.BytesIO(self._data)


class HandlerGateway:
    """A WSGI application behind a handler class."""

    def __init__(self, handler: type[WSGIRequestHandler], server: Any) -> None:
        self.handler = handler
        self.server = server
        self._wsgi = WsgiGateway(self._call)
        self.body_limit = self._wsgi.body_limit
        self.wants_stream = self._wsgi.wants_stream

    def prepare(self, exchange: Exchange) -> Hashable:
        """The dispatch key: as of any WSGI application."""
        return self._wsgi.prepare(exchange)

    def handle(self, exchange: Exchange) -> Answer:
        """Make a handler, which answers."""
        return self._wsgi.handle(exchange)

    def _call(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        arrived = Arrived(environ, start_response)
        peer = arrived.exchange.peer or ("", 0)
        handler = self.handler(arrived, peer, self.server)  # type: ignore[arg-type]
        return handler.answered()
