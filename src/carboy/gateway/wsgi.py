"""Any WSGI application (PEP 3333) behind the gateway's calling convention."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable
from itertools import chain
from types import TracebackType
from typing import Any, BinaryIO, Literal
from urllib.parse import unquote_to_bytes
from weakref import ref

from carboy.file_wrapper import FileWrapper
from carboy.gateway.interface import LATER, Answer, Exchange, LaterBody
from carboy.gateway.path_shapes import PathShapes
from carboy.gateway.route import rule_of_environ
from carboy.gateway.websocket_support import Support, support_of_wsgi
from carboy.gateway.worker_hooks import WorkerHooks
from carboy.protocol.events import RequestHead
from carboy.request_identity import current

Headers = list[tuple[str, str]]
ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]
Application = Callable[[dict[str, Any], Any], Iterable[bytes]]

# By the minor version of a head. HTTP/2 has no minor version (RFC 9113, section 3.1).
PROTOCOLS = ("HTTP/1.0", "HTTP/1.1", "HTTP/2")
_USUAL_PORTS = {"http": 80, "https": 443}


class ServerFile(FileWrapper):
    """wsgi.file_wrapper: a file that the server may let the kernel send (PEP 3333)."""

    def __init__(self, file: BinaryIO, buffer_size: int = 64 * 1024) -> None:
        super().__init__(file, buffer_size)


class _Errors(io.TextIOBase):
    """wsgi.errors: sys.stderr as it is when something is written."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()

    def writable(self) -> bool:
        return True


class _EmptyInput(io.BytesIO):
    """wsgi.input of every request without a body: cannot be written, and closing has no effect."""

    def close(self) -> None:
        pass

    def write(self, data: object) -> int:
        raise io.UnsupportedOperation("A request body can only be read.")


def base_environ(threads: bool, processes: bool, software: str) -> dict[str, Any]:
    """The part of an environ that is the same for every request of a worker."""
    return {
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": software,
        "wsgi.version": (1, 0),
        "wsgi.errors": _Errors(),
        "wsgi.input": _EmptyInput(),
        "wsgi.multithread": threads,
        "wsgi.multiprocess": processes,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": ServerFile,
        "wsgi.input_terminated": True,
    }


# CGI's names for these two have no HTTP_.
_SPECIAL = {"CONTENT-TYPE": "CONTENT_TYPE", "CONTENT-LENGTH": "CONTENT_LENGTH"}
# Variables by header names as clients write them, which are few. Bounded: a full table is emptied.
_NAMES_SIZE = 512
_NAME_SIZE = 64
_names: dict[str, str] = {}


def field_variables(head: RequestHead, underscores: bool = False) -> dict[str, str]:
    """The version and the header fields as CGI variables.

    Repeated fields are joined with "," and Cookie with "; " (RFC 9110, section 5.3; RFC 6265).
    Names with "_" are left out unless `underscores`: they would look like the name with "-".
    """
    variables = {"SERVER_PROTOCOL": PROTOCOLS[head.minor]}
    for name, value in head.fields():
        if "_" in name and not underscores:
            continue
        key = _names.get(name) or _variable(name)
        if key in variables:
            value = f"{variables[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{value}"
        variables[key] = value
    return variables


def add_fields(
    environ: dict[str, Any], head: RequestHead, underscores: bool
) -> Literal[True] | None:
    """Put the variables of `field_variables` into `environ`, which has none of them yet.

    The compiled twin returns None and changes nothing if this function has to do it.
    """
    environ.update(field_variables(head, underscores))
    return True


def replace_fields(environ: dict[str, Any], changes: list[tuple[str, str, str]]) -> bool:
    """Put other values of fields into `environ`; each change has a name, the old and a new value.

    False if `environ` has to be made again: a field may have come twice, so that its variable has
    both values.
    """
    for name, old, value in changes:
        key = _names.get(name) or _variable(name)
        if environ.get(key) != old:
            return False
        environ[key] = value
    return True


def _variable(name: str) -> str:
    upper = name.upper()
    key = _SPECIAL.get(upper) or "HTTP_" + upper.replace("-", "_")
    if len(_names) >= _NAMES_SIZE:
        _names.clear()
    if len(name) <= _NAME_SIZE:
        _names[name] = key
    return key


def decode_path(path: str) -> str:
    """PATH_INFO: percent-decoded bytes as latin-1 text (PEP 3333, unicode issues)."""
    if "%" not in path:
        return path
    return unquote_to_bytes(path.encode("latin-1")).decode("latin-1")


def request_variables(environ: dict[str, Any], head: RequestHead) -> None:
    """Put into `environ` what differs between two requests with the same version and fields."""
    environ["REQUEST_METHOD"] = head.method
    environ["REQUEST_URI"] = environ["RAW_URI"] = head.target
    path = head.path
    environ["PATH_INFO"] = decode_path(path) if "%" in path else path
    environ["QUERY_STRING"] = head.query


def mount_variables(environ: dict[str, Any], root_path: str) -> None:
    """Put the prefix of a mounted application into `environ` (PEP 3333, SCRIPT_NAME)."""
    if root_path:
        environ["SCRIPT_NAME"] = root_path.encode().decode("latin-1")


def body_variables(
    environ: dict[str, Any], head: RequestHead, body: BinaryIO, size: int | None
) -> None:
    """Put a body into `environ`."""
    environ["wsgi.input"] = body
    if head.chunked and size is not None:
        # Received and counted: applications without support for chunks get a length.
        environ["CONTENT_LENGTH"] = str(size)


def connection_variables(
    scheme: str, server: tuple[str, int | None], peer: tuple[str, int] | None
) -> dict[str, Any]:
    """The part of an environ that is the same for every request of a connection."""
    name, port = server
    return {
        "wsgi.url_scheme": scheme,
        # On a unix socket there is neither name nor port; PEP 3333 wants both, non-empty.
        "SERVER_NAME": name if port is not None else "localhost",
        "SERVER_PORT": str(port if port is not None else _USUAL_PORTS[scheme]),
        "REMOTE_ADDR": peer[0] if peer else "",
        "REMOTE_PORT": str(peer[1]) if peer else "",
    }


def environ_of(
    exchange: Exchange, base: dict[str, Any] | None = None, underscores: bool = False
) -> dict[str, Any]:
    """A complete environ for `exchange`, not shared and not kept."""
    environ = base_environ(True, False, "carboy") if base is None else base.copy()
    environ.update(connection_variables(exchange.scheme, exchange.server, exchange.peer))
    add_fields(environ, exchange.head, underscores)
    request_variables(environ, exchange.head)
    mount_variables(environ, exchange.root_path)
    if exchange.body is not None:
        body_variables(environ, exchange.head, exchange.body, exchange.body_size)
    environ["carboy.exchange"] = exchange
    return environ


class Call:
    """One call of the application: the arguments of start_response, and `write`."""

    # Attributes of the class until they change: one is made for each request, and WsgiGateway
    # leaves out __init__.
    status: str | None = None
    headers: Headers = []
    writer: Callable[[bytes], object] | None = None
    environ: dict[str, Any] = {}
    answering = False  # the head is sent or about to be: it cannot be changed

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    def start_response(
        self, status: str, headers: Headers, exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], object]:
        """PEP 3333's start_response: notes its arguments. The first piece of body sends them."""
        if exc_info is not None:
            try:
                if self.answering:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # PEP 3333: no circular reference through the traceback
        elif self.status is not None:
            raise AssertionError(
                "start_response was called a second time without exc_info. Call it once."
            )
        if status.__class__ is not str:
            status = _checked_status(status)
        if "werkzeug.request" in self.environ:
            rule_of_environ(self.exchange, self.environ)
        self.status = status
        self.headers = headers if headers.__class__ is list else list(headers)
        return self.write

    def write(self, data: bytes) -> object:
        """PEP 3333's `write`: sends the head first."""
        data = checked(data)  # before the head is sent, so that an error still becomes a 500
        if self.writer is None:
            self.answering = True
            self.writer = self.exchange.start(self.started(), self.headers)
        return self.writer(data)

    def started(self) -> str:
        """The status. Raises RuntimeError if the application never called start_response."""
        if self.status is None:
            raise RuntimeError(
                "The application gave a body without calling start_response(status, headers)."
                " Call it before write() and before the first chunk."
            )
        return self.status


_new_call = Call.__new__


def _checked_status(status: object) -> str:
    if not isinstance(status, str):
        raise TypeError(f'The status has to be text such as "200 OK", not {status!r}.')
    return str(status)


def checked(chunk: object) -> bytes:
    """A piece of body as bytes. Raises TypeError for anything else."""
    if isinstance(chunk, bytes):
        return chunk
    if isinstance(chunk, str):
        raise TypeError(
            f"Applications must write bytes, not text: {chunk[:40]!r}. Encode it, for"
            " example with .encode()."
        )
    if isinstance(chunk, bytearray | memoryview):
        return bytes(chunk)
    raise TypeError(f"Applications must write bytes, not {type(chunk).__name__}.")


class WsgiSlots:
    """The attribute that compiled functions read for each request."""

    __slots__ = ("app",)


class WsgiGateway(WsgiSlots):
    """A WSGI application; its dispatch keys are the methods and shapes of paths seen."""

    def __init__(self, app: Application, loop: str = "auto", name: str = "The application") -> None:
        self.app = app
        self.prepare = PathShapes().prepare
        hooks = WorkerHooks(app, loop, name)  # of a Carboy application inside middleware
        self.start = hooks.start
        self.stop = hooks.stop

    def websocket_support(self) -> Support:
        """Whether WebSockets need the socket of the connection."""
        return support_of_wsgi(self.app)

    def body_limit(self, exchange: Exchange) -> int | None:
        """None: a WSGI application cannot declare a limit."""
        return None

    def wants_stream(self, exchange: Exchange) -> bool:
        """False: PEP 3333 has no way to ask for it."""
        return False

    def handle(self, exchange: Exchange) -> Answer:
        """Call the application and take its response up to the first piece of body."""
        # Twice as quick as Call(exchange) on Python 3.11, where reading a default from the class
        # costs several times what setting it here does.
        call = _new_call(Call)
        call.exchange = exchange
        call.status = call.writer = None
        current.set(ref(exchange))
        call.environ = environ = exchange.environ()
        result: Any = self.app(environ, call.start_response)
        if (
            result.__class__ is list
            and len(result) == 1
            and result[0].__class__ is bytes
            and call.writer is None
            and not exchange.head.upgrade
        ):
            call.answering = True
            return call.status or call.started(), call.headers, result[0], None
        return answer_of(call, result)


def answer_of(call: Call, result: Any) -> Answer:
    """The answer for any result of an application; it may be an iterable that is not begun yet."""
    exchange = call.exchange
    if exchange.head.upgrade and _answers_later(exchange):
        close_result(result)
        return LATER
    kind = result.__class__
    if kind is not list and isinstance(result, LaterBody) and exchange.may_answer_later:
        call.answering = True
        return result.answer_later(exchange, call.started(), call.headers)
    if (kind is list or kind is tuple) and call.writer is None:
        call.answering = True
        return call.started(), call.headers, b"".join(map(checked, result)), None
    return _iterated(call, result)


def _answers_later(exchange: Exchange) -> bool:
    """Whether the application has called `later`: a WebSocket of a Carboy application.

    Not seen from the result, because middleware may have wrapped it.
    """
    return getattr(exchange, "receiver", None) is not None


def close_result(result: Iterable[bytes]) -> None:
    """Close the iterable of an application, which is not used."""
    close = getattr(result, "close", None)
    if close is not None:
        close()


def _iterated(call: Call, result: Iterable[bytes]) -> Answer:
    """The answer for an iterable, whose first piece is taken here.

    start_response may be called as late as that, and again with exc_info until then (PEP 3333).
    """
    close = getattr(result, "close", None)
    try:
        if isinstance(result, FileWrapper) and call.writer is None:
            call.answering = True
            return call.started(), call.headers, result, close
        call.exchange.in_pieces = True
        iterator = iter(result)
        first = b""
        for chunk in iterator:
            first = checked(chunk)
            if first:
                break
            if call.status is None:
                call.started()
        if call.exchange.head.upgrade and _answers_later(call.exchange):
            close_result(result)  # a generator of middleware has called the application only now
            return LATER
        status = call.started()
        call.answering = True
        if not first:
            rest: bytes | Iterable[bytes] = () if call.writer is not None else b""
        elif call.writer is None and _length(result) == 1:
            # PEP 3333, handling the Content-Length header: the only piece is the whole body.
            rest = first
        else:
            rest = chain((first,), map(checked, iterator))
        return status, call.headers, rest, close
    except BaseException:
        if close is not None:
            close()
        raise


def _length(result: Any) -> int | None:
    try:
        return len(result)
    except (TypeError, NotImplementedError):
        return None
