"""Whether the application of a gateway serves WebSockets without the socket of the connection.

Browsers open a WebSocket on an existing HTTP/2 connection if the server says that it can be done
(RFC 8441, section 3). Such a WebSocket has no socket of its own. So the server says it only if no
application takes over the sockets of WebSockets, as Flask-Sock and Flask-SocketIO do.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from carboy.gateway.worker_hooks import carboy_application

# Packages whose views read and write the socket themselves
TAKING_SOCKETS = frozenset(("flask_sock", "flask_sockets"))
SOCKET_IO = "socketio"  # in the extensions of an application


class Support(Enum):
    """How the WebSockets of an application can be served."""

    SERVED = "by the server, with or without a socket of their own"
    NONE = "there are none"
    WITH_SOCKET = "perhaps by the application, on the socket of the connection"


def support_of(gateway: Any) -> Support:
    """The support of a gateway, which may have a method `websocket_support`."""
    ask = getattr(gateway, "websocket_support", None)
    return Support.WITH_SOCKET if ask is None else ask()


def combined(supports: list[Support]) -> Support:
    """The support of several applications behind one server."""
    for each in (Support.WITH_SOCKET, Support.SERVED):
        if each in supports:
            return each
    return Support.NONE


def support_of_wsgi(app: Any) -> Support:
    """The support of a WSGI application: a Carboy application, perhaps inside middleware.

    Other WSGI applications may take the socket out of the environ.
    """
    found = carboy_application(app)
    if found is None or SOCKET_IO in found.extensions:
        return Support.WITH_SOCKET
    rules = [rule for rule in found.url_map.iter_rules() if rule.websocket]
    views = [found.view_functions.get(rule.endpoint) for rule in rules]
    if any(_package(view) in TAKING_SOCKETS for view in views):
        return Support.WITH_SOCKET
    return Support.SERVED if rules else Support.NONE


def _package(view: Any) -> str:
    """The package whose code a view is. A decorator of functools.wraps names another one."""
    name = str(getattr(view, "__globals__", {}).get("__name__", ""))
    return name.partition(".")[0]
