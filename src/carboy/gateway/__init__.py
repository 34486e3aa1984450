"""Applications of all kinds behind one calling convention."""

from typing import Any

from carboy.gateway.callables import ASGI, INTERFACES, check, interface_of
from carboy.gateway.direct import DirectGateway
from carboy.gateway.interface import (
    Answer,
    DirectApplication,
    Exchange,
    FileBody,
    Gateway,
)
from carboy.gateway.wsgi import WsgiGateway, environ_of

__all__ = [
    "INTERFACES",
    "Answer",
    "DirectApplication",
    "DirectGateway",
    "Exchange",
    "FileBody",
    "Gateway",
    "WsgiGateway",
    "check",
    "environ_of",
    "for_application",
    "interface_of",
]


def for_application(app: Any, interface: str = "auto", loop: str = "auto") -> Gateway:
    """The gateway for `app`: direct for a Carboy app, asgi or wsgi for other callables.

    `interface` is one of INTERFACES; with "auto", the parameters of the callable decide. `loop` is
    the kind of event loop for ASGI. Raises TypeError for something that cannot be served.
    """
    kind = interface_of(app, interface)
    if kind == ASGI:
        from carboy.gateway.asgi import AsgiGateway

        return AsgiGateway(app, loop)
    if isinstance(app, DirectApplication):
        return DirectGateway(app)
    return WsgiGateway(app)
