"""WSGI middleware around applications of any kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from carboy.gateway.callables import ASGI, interface_of
from carboy.gateway.mounts import Mount, Mounts

# Called with a WSGI application, and with the application of the user that it is or calls.
Wrap = Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class Bridged:
    """An ASGI application with WSGI middleware around it, for `for_application`.

    Its requests hold a thread each, as those of WSGI applications do (gateway/bridge.py).
    """

    app: Any
    wrap: Wrap


def with_middleware(app: Any, wrap: Wrap, interface: str = "auto") -> Any:
    """`app` with the middleware of `wrap` around it, or around each of its mounted applications."""
    if isinstance(app, Mounts):
        root, *mounts = (
            Mount(each.prefix, with_middleware(each.app, wrap, each.interface), each.interface)
            for each in app.all()
        )
        return Mounts(root, mounts)
    if isinstance(app, Bridged):
        inner = app.wrap
        return Bridged(app.app, lambda wsgi, own: wrap(inner(wsgi, own), own))
    if interface_of(app, interface) == ASGI:
        return Bridged(app, wrap)
    return wrap(app, app)
