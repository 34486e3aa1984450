"""HTTP/1.1 and 1.0 as a machine: octets to events, answers to octets. No sockets, clock, log."""

from .connection import Connection
from .errors import LocalProtocolError, ProtocolError, RemoteProtocolError
from .events import Data, Event, Fields, RequestHead, Signal
from .limits import Limits
from .states import Reading, Writing

__all__ = [
    "Connection",
    "Data",
    "Event",
    "Fields",
    "Limits",
    "LocalProtocolError",
    "ProtocolError",
    "Reading",
    "RemoteProtocolError",
    "RequestHead",
    "Signal",
    "Writing",
]
