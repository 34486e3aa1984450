"""Applications behind one calling convention, whatever their own is."""

from typing import Any

from carboy.gateway.direct import DirectGateway
from carboy.gateway.interface import (
    Answer,
    DirectApplication,
    Exchange,
    FileBody,
    Gateway,
)
from carboy.gateway.wsgi import FileWrapper, WsgiGateway, environ_of

__all__ = [
    "Answer",
    "DirectApplication",
    "DirectGateway",
    "Exchange",
    "FileBody",
    "FileWrapper",
    "Gateway",
    "WsgiGateway",
    "environ_of",
    "for_application",
]


def for_application(app: Any) -> Gateway:
    """The gateway for `app`: direct for a Carboy app, wsgi for every other callable.

    Raises TypeError for something that can be neither.
    """
    if isinstance(app, DirectApplication):
        return DirectGateway(app)
    if not callable(app):
        raise TypeError(
            f"{app!r} is no application: give a WSGI callable, that is a function or object"
            " taking (environ, start_response)."
        )
    return WsgiGateway(app)
