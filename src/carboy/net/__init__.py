"""Sockets: listening, readiness, waking the engine, sending files, TLS.

No other room opens sockets.
"""

from carboy.net.listener import (
    BACKLOG,
    AddressInUse,
    Listener,
    adopt,
    holder_of_path,
    holder_of_port,
    listen_tcp,
    listen_unix,
    resolve,
    systemd_sockets,
)
from carboy.net.poller import READ, WRITE, Poller, make_poller
from carboy.net.waker import Waker

__all__ = [
    "BACKLOG",
    "READ",
    "WRITE",
    "AddressInUse",
    "Listener",
    "Poller",
    "Waker",
    "adopt",
    "holder_of_path",
    "holder_of_port",
    "listen_tcp",
    "listen_unix",
    "make_poller",
    "resolve",
    "systemd_sockets",
]
