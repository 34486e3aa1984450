"""The states of the two halves of a connection.

The request and the response have states of their own: a body may still be arriving while its
response is being written.

    Reading:  IDLE ─▶ HEAD ─▶ LENGTH ─▶ ENDING ─▶ DONE ─▶ IDLE or CLOSED
                        └───▶ CHUNKS ─────────────┘ └───▶ OTHER ─▶ CLOSED
    Writing:  NOTHING ─▶ WAITING ─▶ LENGTH | CHUNKED | UNTIL_CLOSE | BODILESS | OTHER ─▶ DONE
"""

from __future__ import annotations

from enum import Enum


class Reading(Enum):
    """The meaning of the next byte that the client sends."""

    IDLE = "the first byte of a request"
    HEAD = "a byte of a head"
    LENGTH = "a byte of a body counted by Content-Length"
    CHUNKS = "a byte of a chunked body"
    ENDING = "nothing of this request, whose end has not been reported yet"
    DONE = "of the next request, which waits for this response"
    OTHER = "of another protocol"
    CLOSED = "no longer read"
    ERROR = "no longer read, because the client broke a rule"


class Writing(Enum):
    """How the bytes of the response are framed."""

    NOTHING = "no request yet"
    WAITING = "no response begun"
    LENGTH = "counted by Content-Length"
    CHUNKED = "in chunks"
    UNTIL_CLOSE = "ended by closing the connection"
    BODILESS = "a head only: HEAD, 204, 205, 304"
    OTHER = "not at all: another protocol"
    DONE = "complete"
