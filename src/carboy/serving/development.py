"""`run_simple`: serve an application during development, with debugger, reloader and files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from functools import partial
from socket import socket
from typing import Any

from carboy.dev import reload
from carboy.engine_url import LOCAL, VARIABLE, check_channels
from carboy.gateway import with_middleware
from carboy.middleware import shared_data
from carboy.net.tls import problem_of
from carboy.net.tls_server import tls_of
from carboy.serving.handler import WSGIRequestHandler
from carboy.serving.log import _ansi_style
from carboy.serving.wsgi_server import BaseWSGIServer, http2_for, make_server, servable
from carboy.werkzeug_log import _log

__all__ = ["is_running_from_reloader", "run_simple"]

# Environment variables that a reloader sets for the process that it starts.
STARTED_BY_RELOADER = "WERKZEUG_RUN_MAIN"
LISTENING = "WERKZEUG_SERVER_FD"


def is_running_from_reloader() -> bool:
    """Whether a reloader started this process."""
    return os.environ.get(STARTED_BY_RELOADER) == "true"


def pass_on(listener: socket) -> None:
    """Pass a listening socket to the processes that the reloader starts."""
    listener.set_inheritable(True)
    os.environ[LISTENING] = str(listener.fileno())


def passed_on() -> int:
    """The descriptor of that socket, in a process that was started."""
    return int(os.environ[LISTENING])


def run_simple(
    hostname: str,
    port: int,
    application: Any,
    use_reloader: bool = False,
    use_debugger: bool = False,
    use_evalex: bool = True,
    extra_files: Iterable[str] | None = None,
    exclude_patterns: Iterable[str] | None = None,
    reloader_interval: int = 1,
    reloader_type: str = "auto",
    threaded: bool = False,
    processes: int = 1,
    request_handler: type[WSGIRequestHandler] | None = None,
    static_files: dict[str, str | tuple[str, str]] | None = None,
    passthrough_errors: bool = False,
    ssl_context: Any = None,
) -> None:
    """Serve until Ctrl+C or SIGTERM. `hostname` may be unix://PATH; port 0 means a free port.

    `use_reloader` restarts the program when a file that it uses changes. `use_debugger` shows
    errors on an interactive page. `static_files` maps URL prefixes to files, directories or
    (package, path). The other parameters are those of `make_server`. When the address or
    the variable CARBOY_CHANNELS cannot be used, the reason is printed to standard error and the
    process exits with 1.
    """
    if not isinstance(port, int):
        raise TypeError(f"port must be an integer, not {port!r}.")
    if request_handler is not None:
        servable(application, request_handler)  # an error, before middleware hides the application
    around = partial(_with_tools, hostname, static_files, use_debugger, use_evalex)
    application = with_middleware(application, around)
    again = is_running_from_reloader()
    ssl_context = _loaded(ssl_context, http2_for(request_handler).protocols())
    _check_channels()
    server = make_server(
        hostname,
        port,
        application,
        threaded,
        processes,
        request_handler,
        passthrough_errors,
        ssl_context,
        fd=passed_on() if again else None,
    )
    if not again:
        server.log_startup()
        _log("info", _ansi_style("Press CTRL+C to quit", "yellow"))
    if use_reloader:
        _serve_reloaded(server, extra_files, exclude_patterns, reloader_interval, reloader_type)
    else:
        server.serve_forever()


def _loaded(ssl_context: Any, protocols: tuple[str, ...]) -> Any:
    """The TLS of a certificate's files. If they cannot be loaded, the process ends."""
    try:
        server, context = tls_of(ssl_context, protocols)
        return server or context
    except OSError as problem:
        if not isinstance(ssl_context, tuple):
            raise
        sys.stderr.write(f"{problem_of(ssl_context, problem)}\n")
        raise SystemExit(1) from None


def _check_channels() -> None:
    """If the variable of `--channels` is wrong, the process ends, as with other wrong options."""
    try:
        check_channels(os.environ.get(VARIABLE) or LOCAL)
    except ValueError as problem:
        sys.stderr.write(f"{VARIABLE}: {problem}\n")
        raise SystemExit(1) from None


def _with_tools(
    hostname: str, static_files: Any, use_debugger: bool, use_evalex: bool, app: Any, own: Any
) -> Any:
    if use_debugger:
        from carboy.dev.debugger.logged import LoggedErrors
        from carboy.dev.routes.page import with_routes_page

        app = with_routes_page(app) if app is own else LoggedErrors(app)
    if static_files:
        app = shared_data.SharedDataMiddleware(app, static_files)
    if use_debugger:
        from carboy.dev.debugger import DebuggedApplication, settle_pin

        settle_pin()
        app = DebuggedApplication(app, evalex=use_evalex)
        app.trusted_hosts.append(hostname)
    return app


def _serve_reloaded(
    server: BaseWSGIServer,
    extra_files: Iterable[str] | None,
    exclude_patterns: Iterable[str] | None,
    interval: int,
    reloader_type: str,
) -> None:
    # This process keeps the socket open, so clients wait while the other process restarts.
    pass_on(server.socket)
    try:
        reload.run_with_reloader(
            server.serve_forever, extra_files, exclude_patterns, interval, reloader_type
        )
    finally:
        server.server_close()
