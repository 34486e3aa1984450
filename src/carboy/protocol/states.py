"""Where the two halves of a connection stand.

What came in and what goes out move on their own: a body may still be arriving while its
answer is being written. Knows no octets.

    Reading:  IDLE ─▶ HEAD ─▶ LENGTH ─▶ ENDING ─▶ DONE ─▶ IDLE or CLOSED
                        └───▶ CHUNKS ─────────────┘
    Writing:  NOTHING ─▶ WAITING ─▶ LENGTH | CHUNKED | UNTIL_CLOSE | BODILESS ─▶ DONE
"""

from __future__ import annotations

from enum import Enum


class Reading(Enum):
    """What the next octet of the peer is."""

    IDLE = "the first octet of a request"
    HEAD = "an octet of a head"
    LENGTH = "an octet of a body counted by Content-Length"
    CHUNKS = "an octet of a chunked body"
    ENDING = "nothing of this request; its end was not reported yet"
    DONE = "of the next request, which waits for this answer"
    CLOSED = "not read any more"
    ERROR = "not read any more, because the peer broke a rule"


class Writing(Enum):
    """How the octets of the answer are framed."""

    NOTHING = "no request to answer yet"
    WAITING = "no answer begun"
    LENGTH = "counted by Content-Length"
    CHUNKED = "in chunks"
    UNTIL_CLOSE = "ended by closing the connection"
    BODILESS = "a head only: HEAD, 204, 205, 304"
    DONE = "answered"
