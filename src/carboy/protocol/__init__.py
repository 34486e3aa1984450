"""HTTP/1.1 and 1.0 as a state machine: bytes in, events out. No sockets, clock or log."""

from .errors import LocalProtocolError, ProtocolError, RemoteProtocolError
from .events import Data, Event, Fields, RequestHead, Signal
from .limits import Limits
from .machine import Machine
from .states import Reading, Writing

__all__ = [
    "Data",
    "Event",
    "Fields",
    "Limits",
    "LocalProtocolError",
    "Machine",
    "ProtocolError",
    "Reading",
    "RemoteProtocolError",
    "RequestHead",
    "Signal",
    "Writing",
]
