"""What the HTTP/1.1 machine reports: a request head, pieces of its body, its end.

Knows no socket, clock or log. A head keeps its field lines as the one validated
block that arrived; they are split only when somebody asks for them.
"""

from __future__ import annotations

from enum import Enum

Fields = list[tuple[str, str]]


class RequestHead:
    """One request line and its field section, validated (RFC 9112, sections 2 to 5).

    Text attributes hold latin-1 decoded octets, still percent-encoded. `path` and `query`
    are the two halves of the origin-form target (an absolute-form target has already lost
    its scheme and authority, and the authority stands in `host`); `has_query` tells "/a?"
    from "/a". `content_length` is None when there was no such line.
    """

    __slots__ = (
        "_fields",
        "block",
        "chunked",
        "content_length",
        "expect_continue",
        "has_query",
        "host",
        "keep_alive",
        "method",
        "minor",
        "path",
        "query",
        "target",
        "upgrade",
    )

    def __init__(
        self,
        method: str,
        target: str,
        path: str,
        query: str,
        minor: int,
        host: str,
        block: bytes,
    ) -> None:
        self.method = method
        self.target = target
        self.path = path
        self.query = query
        self.has_query = False
        self.minor = minor  # 0 or 1: HTTP/1.0 or HTTP/1.1
        self.host = host
        self.block = block  # field lines, each ended by CRLF, without the empty line
        self.content_length: int | None = None
        self.chunked = False
        self.keep_alive = minor == 1
        self.expect_continue = False
        self.upgrade = False
        self._fields: Fields | None = None

    @property
    def has_body(self) -> bool:
        """Whether octets of content follow the head."""
        return self.chunked or bool(self.content_length)

    def fields(self) -> Fields:
        """Every field line in the order received, names as sent, values trimmed of SP and HTAB."""
        if self._fields is None:
            pairs: Fields = []
            for line in self.block.decode("latin-1").split("\r\n")[:-1]:
                name, _, value = line.partition(":")
                pairs.append((name, value.strip(" \t")))
            self._fields = pairs
        return self._fields


class Data:
    """A piece of the request body, decoded from its framing."""

    __slots__ = ("octets",)

    def __init__(self, octets: bytes) -> None:
        self.octets = octets


class Signal(Enum):
    """Events without content."""

    NEED_DATA = "feed more octets"
    END_OF_MESSAGE = "the request is complete"
    PAUSED = "the answer to this request has to be finished first"
    CLOSED = "nothing more will be read from this connection"


Event = RequestHead | Data | Signal
