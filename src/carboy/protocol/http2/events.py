"""The events of a session."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from ..errors import RemoteProtocolError
from .stream import Stream


class Happened(Enum):
    """Events of a session, each with a stream, except for PONG, and WRITABLE for all streams."""

    OPENED = "a request has begun; its head is valid"
    REFUSED = "a request has begun that gets the error as its answer"
    MALFORMED = "a request has been reset, because it breaks a rule of HTTP/2"
    READABLE = "content has come, or its end"
    RESET = "the stream was reset"
    WRITABLE = "a window has opened: of a stream, or (None) of all"
    PONG = "the client has answered the PING of a stop"


class Event(NamedTuple):
    """An event; `error` is the answer to a request that is refused."""

    what: Happened
    stream: Stream | None = None
    error: RemoteProtocolError | None = None
