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
from carboy.gateway.mounted import MountsGateway
from carboy.gateway.mounts import Mount, Mounts, mount
from carboy.gateway.wrapping import Bridged, with_middleware
from carboy.gateway.wsgi import WsgiGateway, environ_of

__all__ = [
    "INTERFACES",
    "Answer",
    "Bridged",
    "DirectApplication",
    "DirectGateway",
    "Exchange",
    "FileBody",
    "Gateway",
    "Mounts",
    "WsgiGateway",
    "check",
    "environ_of",
    "for_application",
    "interface_of",
    "mount",
    "with_middleware",
]

THE_APPLICATION = "The application"


def for_application(
    app: Any, interface: str = "auto", loop: str = "auto", name: str = THE_APPLICATION
) -> Gateway:
    """The gateway for `app`: direct for a Carboy app, asgi or wsgi for other callables.

    `interface` is one of INTERFACES; with "auto", the parameters of the callable decide. `loop` is
    the kind of event loop, `name` the name of the application in errors. Of mounted applications,
    `interface` is for the root. Raises TypeError for something that cannot be served.
    """
    if isinstance(app, Mounts):
        return _for_mounts(app, interface, loop)
    if isinstance(app, Bridged) or interface_of(app, interface) == ASGI:
        return _for_asgi(app, loop, name)
    if isinstance(app, DirectApplication):
        return DirectGateway(app, loop, name)
    return WsgiGateway(app, loop, name)


def _for_asgi(app: Any, loop: str, name: str) -> Gateway:
    from carboy.gateway import asgi_first_step  # noqa: F401 - compiled functions use it
    from carboy.gateway.asgi import AsgiGateway

    if not isinstance(app, Bridged):
        return AsgiGateway(app, loop, name)
    from carboy.gateway.bridge import BridgedGateway

    return BridgedGateway(AsgiGateway(app.app, loop, name), app)


def _for_mounts(mounts: Mounts, interface: str, loop: str) -> Gateway:
    """The gateway for mounted applications."""
    if interface != "auto":
        mounts = Mounts(Mount("", mounts.root.app, interface), mounts.mounts)

    def make(each: Mount) -> Gateway:
        name = f"The application mounted at {each.shown()}" if each.prefix else THE_APPLICATION
        return for_application(each.app, each.interface, loop, name)

    return MountsGateway(mounts, make)
