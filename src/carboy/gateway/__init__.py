"""Applications of all kinds behind one calling convention."""

from typing import Any

from carboy.gateway.callables import check
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
]


def for_application(app: Any) -> Gateway:
    """The gateway for `app`: direct for a Carboy app, wsgi for every other callable.

    Raises TypeError for something that can be neither.
    """
    if isinstance(app, DirectApplication):
        return DirectGateway(app)
    check(app)
    return WsgiGateway(app)
