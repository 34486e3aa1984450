"""Servers, their logs, the debugger, the reloader, and middlewares."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from table import case, row, rows
from werkzeug import serving
from werkzeug._reloader import reloader_loops
from werkzeug.debug import DebuggedApplication
from werkzeug.middleware.lint import HTTPWarning, LintMiddleware, WSGIWarning
from werkzeug.middleware.shared_data import SharedDataMiddleware
from werkzeug.serving import (
    DechunkedInput,
    generate_adhoc_ssl_context,
    make_server,
    make_ssl_devcert,
    run_simple,
)
from werkzeug.test import create_environ

LOG = "log:werkzeug"
CRYPTOGRAPHY = "Using ad-hoc certificates requires the cryptography library"


def app(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"x"]


row(
    "port as text", TypeError, "port must be an integer", lambda: run_simple("localhost", "80", app)
)
row(
    "threads and processes",
    ValueError,
    "Cannot have a multi-thread and multi-process server",
    lambda: make_server("127.0.0.1", 0, app, threaded=True, processes=2),
)


@case("processes where none can be forked", ValueError, "Your platform does not support forking")
def no_forking() -> None:
    serving.can_fork = False
    try:
        make_server("127.0.0.1", 0, app, processes=2)
    finally:
        serving.can_fork = True


@contextmanager
def missing(package: str) -> Iterator[None]:
    """As if a package were not installed."""
    kept = {name: each for name, each in sys.modules.items() if name.split(".")[0] == package}
    for name in kept:
        del sys.modules[name]
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[package]
        sys.modules.update(kept)


def without_cryptography(call: Callable[[], Any]) -> Callable[[], Any]:
    def provoke() -> None:
        with missing("cryptography"):
            call()

    return provoke


rows(
    TypeError,
    CRYPTOGRAPHY,
    {
        "adhoc without cryptography": without_cryptography(
            lambda: make_server("127.0.0.1", 0, app, ssl_context="adhoc")
        ),
        "ad hoc context without cryptography": without_cryptography(generate_adhoc_ssl_context),
        "certificate without cryptography": without_cryptography(lambda: make_ssl_devcert("x")),
    },
)


@case("port in use", "output", "is in use by another program", "Port ")
def port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        make_server("127.0.0.1", listener.getsockname()[1], app)


def started(host: str, **options: Any) -> Callable[[], Any]:
    def provoke() -> None:
        server = make_server(host, 0, app, **options)
        server.log_startup()
        server.server_close()

    return provoke


row("start", LOG, " * Running on http://127.0.0.1:", started("127.0.0.1"))
row("start with TLS", LOG, " * Running on https://127.", started("127.0.0.1", ssl_context="adhoc"))
row("start on all", LOG, " * Running on all addresses (0.0.0.0)", started("0.0.0.0"))


def debugged(pin: str | None) -> None:
    os.environ["WERKZEUG_RUN_MAIN"] = "true"
    if pin:
        os.environ["WERKZEUG_DEBUG_PIN"] = pin
    try:
        DebuggedApplication(app)
    finally:
        os.environ.pop("WERKZEUG_RUN_MAIN")
        os.environ.pop("WERKZEUG_DEBUG_PIN", None)


@case("debugger", LOG, " * Debugger is active!", " * Debugger PIN: ")
def debugger() -> None:
    debugged(None)


@case("debugger without a PIN", LOG, " * Debugger PIN disabled. DEBUGGER UNSECURED!")
def debugger_without_a_pin() -> None:
    debugged("off")


@case("changed file", LOG, " * Detected change in '/x/y.py', reloading")
def changed_file() -> None:
    reloader_loops["stat"]().trigger_reload("/x/y.py")


@case("restart", LOG, " * Restarting with stat")
def restart() -> None:
    real, subprocess.call = subprocess.call, lambda *args, **options: 7  # type: ignore[assignment]
    try:
        reloader_loops["stat"]().restart_with_reloader()
    finally:
        subprocess.call = real  # type: ignore[misc]


def dechunked(data: bytes) -> Callable[[], Any]:
    return lambda: DechunkedInput(io.BytesIO(data)).readinto(bytearray(5))


row("chunk of no size", OSError, "Invalid chunk header", dechunked(b"xyz\r\n"))
row("chunk below 0", OSError, "Negative chunk length not allowed", dechunked(b"-5\r\n"))
rows(
    OSError,
    "Missing chunk terminating newline",
    {"chunk too long": dechunked(b"1\r\naXX"), "chunk cut short": dechunked(b"5\r\na")},
)
row(
    "files of a number",
    TypeError,
    "unknown def 5",
    lambda: SharedDataMiddleware(app, {"/x": 5}),
)


def linted(application: Any = app, **changes: Any) -> Any:
    environ = create_environ()
    environ.update(changes)
    return list(LintMiddleware(application)(environ, lambda *args: lambda data: None))


def reading(read: Callable[[Any], Any]) -> Callable[[], Any]:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        read(environ)
        return app(environ, start_response)

    return lambda: linted(application)


def starting(*args: Any, body: Any = (b"",), **options: Any) -> Callable[[], Any]:
    def application(environ: Any, start_response: Any) -> Any:
        start_response(*args, **options)
        return body

    return lambda: linted(application)


OK = ("200 OK", [("Content-Length", "0")])
for _name, _phrase, _provoke in (
    ("status of two digits", "Status code must be three digits", starting("20", [])),
    ("status without a reason", "Invalid value for status '200'", starting("200", [])),
    ("status below 100", "Status code < 100 detected", starting("099 OK", [])),
    ("tuple of headers", "Header list is not a list", starting("200 OK", ())),
    ("list for a header", "Header items must be 2-item tuples", starting("200 OK", [["a", "b"]])),
    (
        "number in a header",
        "Header keys and values must be strings",
        starting("200 OK", [("a", 5)]),
    ),
    (
        "status as a header",
        "The status header is not supported",
        starting("200 OK", [("Status", "5")]),
    ),
    (
        "text in the body",
        "'application iterator items' requires 'bytes', got 'str'",
        starting(*OK, body=["x"]),
    ),
    ("text as the body", "The application returned a string", starting(*OK, body="x")),
    ("exc_info of another kind", "Invalid value for exc_info", starting(*OK, 5)),
    (
        "start with a keyword",
        "'start_response' does not take keyword arguments",
        starting(*OK, exc_info=None),
    ),
    ("start without headers", "Invalid number of arguments: 1", starting("200 OK")),
    (
        "body before the start",
        "The application returned before it started",
        lambda: linted(lambda e, s: [b"x"]),
    ),
    (
        "call with one",
        "A WSGI app takes two arguments",
        lambda: LintMiddleware(app)(create_environ()),
    ),
    (
        "call with keywords",
        "A WSGI app does not take keyword arguments",
        lambda: LintMiddleware(app)(environ={}),
    ),
    (
        "another version",
        "Environ is not a WSGI 1.0 environ",
        lambda: linted(**{"wsgi.version": (1, 1)}),
    ),
    (
        "path without a slash",
        "'PATH_INFO' does not start with a slash",
        lambda: linted(PATH_INFO="x"),
    ),
    (
        "prefix without a slash",
        "'SCRIPT_NAME' does not start with a slash",
        lambda: linted(SCRIPT_NAME="x"),
    ),
    (
        "read to the end",
        "WSGI does not guarantee an EOF marker",
        reading(lambda e: e["wsgi.input"].read()),
    ),
    (
        "read of two sizes",
        "Too many parameters passed to 'wsgi.input.read()'",
        reading(lambda e: e["wsgi.input"].read(1, 2)),
    ),
    (
        "readline",
        "Calls to 'wsgi.input.readline()' without arguments are unsafe",
        reading(lambda e: e["wsgi.input"].readline()),
    ),
    (
        "readline of a size",
        "'wsgi.input.readline()' was called with a size hint",
        reading(lambda e: e["wsgi.input"].readline(5)),
    ),
    (
        "input closed",
        "The application closed the input stream",
        reading(lambda e: e["wsgi.input"].close()),
    ),
    (
        "errors closed",
        "The application closed the error stream",
        reading(lambda e: e["wsgi.errors"].close()),
    ),
    (
        "bytes for the log",
        "'wsgi.error.write()' requires 'str', got 'bytes'",
        reading(lambda e: e["wsgi.errors"].write(b"x")),
    ),
    ("body left open", "Iterator was garbage collected before it was closed", starting(*OK)),
):
    row(f"lint: {_name}", WSGIWarning, _phrase, _provoke)
for _name, _phrase, _header in (
    ("etag without quotes", "Unquoted etag emitted", ("ETag", "abc")),
    ("weak etag in lower case", "Weak etag indicator should be upper case", ("ETag", 'w/"abc"')),
    ("path as a location", "Absolute URLs required for location header", ("Location", "/x")),
):
    row(f"lint: {_name}", HTTPWarning, _phrase, starting("200 OK", [_header]))


@case("lint: environ without a key", WSGIWarning, "Required environment key 'wsgi.input' not found")
def environ_without_a_key() -> None:
    environ = create_environ()
    del environ["wsgi.input"]
    LintMiddleware(app)(environ, lambda *args: lambda data: None)


@case("lint: body read after its end", WSGIWarning, "Iterated over closed 'app_iter'")
def body_read_after_its_end() -> None:
    body = LintMiddleware(app)(create_environ(), lambda *args: lambda data: None)
    body.close()
    next(iter(body))
