"""`run_simple`: serve an application for its developer, with whatever tools are asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable
from socket import socket
from typing import Any

from carboy.dev import reload
from carboy.gateway import check
from carboy.middleware import shared_data
from carboy.serving.handler import WSGIRequestHandler
from carboy.serving.log import _ansi_style
from carboy.serving.wsgi_server import BaseWSGIServer, make_server
from carboy.werkzeug_log import _log

__all__ = ["is_running_from_reloader", "run_simple"]

# How a reloader's process and the one it starts talk to each other.
STARTED_BY_RELOADER = "WERKZEUG_RUN_MAIN"
LISTENING = "WERKZEUG_SERVER_FD"


def is_running_from_reloader() -> bool:
    """Whether a reloader has started this process."""
    return os.environ.get(STARTED_BY_RELOADER) == "true"


def pass_on(listener: socket) -> None:
    """Let the process that a reloader starts have a listening socket."""
    listener.set_inheritable(True)
    os.environ[LISTENING] = str(listener.fileno())


def passed_on() -> int:
    """The descriptor of that socket, in the process that was started."""
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
    """Serve until Ctrl+C or SIGTERM. `hostname` may be unix://PATH; port 0 takes a free one.

    `use_reloader` starts the program again when a file it uses changes, `use_debugger` shows
    errors as a page to work in, `static_files` maps prefixes of URLs to files, directories or
    (package, path); the rest is make_server's. An address that cannot be had is explained on
    standard error, and the process exits with 1.
    """
    if not isinstance(port, int):
        raise TypeError(f"port must be an integer, not {port!r}.")
    check(application)  # tools around it would hide what it is
    application = _with_tools(application, hostname, static_files, use_debugger, use_evalex)
    again = is_running_from_reloader()
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


def _with_tools(
    app: Any, hostname: str, static_files: Any, use_debugger: bool, use_evalex: bool
) -> Any:
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
    # The process that watches keeps the socket open: clients wait while the other starts again.
    pass_on(server.socket)
    try:
        reload.run_with_reloader(
            server.serve_forever, extra_files, exclude_patterns, interval, reloader_type
        )
    finally:
        server.server_close()
