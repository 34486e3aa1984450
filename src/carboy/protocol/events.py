"""The events of a machine: a request head, pieces of its body, its end.

Knows no socket, clock or log. A head keeps its field lines as the one validated
block that arrived, and splits them when they are first read.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Any

# The CR comes first: the engine looks for a literal beginning much faster than for a set.
_trailing_space = re.compile(rb"\r(?<=[ \t]\r)").search
_field_lines = re.compile(r"([^:]++):[ \t]*+([^\r]*+)\r\n").findall

_raw_lines = re.compile(rb"([^:]++):[ \t]*+([^\r]*+)\r\n").findall

Fields = list[tuple[str, str]]
# The tail of another head, and the name, the value there and the value here of each field that
# differs.
Changes = tuple[bytes, list[tuple[str, str, str]]]
# By the minor version of a head. HTTP/2 has none, and its requests have the number HTTP_2.
VERSIONS = ("HTTP/1.0", "HTTP/1.1", "HTTP/2.0")
HTTP_2 = 2


class HeadSlots:
    """The attributes that each head has, which compiled functions reach directly."""

    __slots__ = (
        "content_length",
        "found",
        "host",
        "keep_alive",
        "method",
        "minor",
        "path",
        "query",
        "tail",
        "target",
    )


class RequestHead(HeadSlots):
    """One request line and its field section, validated (RFC 9112, sections 2 to 5).

    Fields whose name has "_" are left out unless `Limits.underscore_fields` is set.

    Text attributes are bytes decoded as latin-1, still percent-encoded. `path` and `query`
    are the two halves of the origin-form target (an absolute-form target has already lost
    its scheme and authority, and the authority replaces Host, here and among the fields).
    `content_length` is None when there was no such line.
    """

    method: str
    target: str
    path: str
    query: str
    minor: int
    host: str
    keep_alive: bool
    content_length: int | None
    # The bytes after the target, as they arrived, if nothing had to be changed in them. The heads
    # of one connection share one object when their bytes agree, so comparing two is most often
    # `is`.
    tail: bytes
    # Values that were found in the field lines, for the next reader. Heads that share a tail share
    # this too. It may hold secrets (Cookie, Authorization), so it ends with the connection.
    found: dict[str, Any] | None
    # The quick path of head.py makes a head without calling `__init__`, and leaves rare attributes
    # at these defaults.
    chunked = False
    expect_continue = False
    upgrade = False
    _block: bytes | None = None
    _fields: Fields | None = None
    # The lines of `tail`, and how they differ from those of the head before (protocol/head.py).
    lines: list[bytes] | None = None
    changes: Changes | None = None

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
        self.minor = minor  # 0 or 1: HTTP/1.0 or HTTP/1.1; HTTP_2
        self.host = host  # the authority of the target, or the Host line; "": HTTP/1.0 sent none
        self._block = block
        self.keep_alive = minor == 1
        self.content_length = self.found = None
        self.tail = b""

    def take(self, other: RequestHead) -> None:
        """Take all attributes of another head."""
        for name in HeadSlots.__slots__:
            setattr(self, name, getattr(other, name))
        self.__dict__.update(other.__dict__)

    @property
    def version(self) -> str:
        """ "HTTP/1.1", "HTTP/1.0" or "HTTP/2.0"."""
        return VERSIONS[self.minor]

    @property
    def has_body(self) -> bool:
        """Whether content follows the head."""
        return self.chunked or bool(self.content_length)

    @property
    def block(self) -> bytes:
        """The field lines, each ended by CRLF, without the empty line."""
        if self._block is None:
            self._block = self.tail[self.tail.index(b"\n") + 1 : -2]
        return self._block

    def request_line(self) -> str:
        """The request line, for logs."""
        return f"{self.method} {self.target} {VERSIONS[self.minor]}"

    def fields(self) -> Fields:
        """Every field line in the order received, names as sent, values trimmed of SP and HTAB."""
        found = self._fields  # another thread may forget them
        if found is None:
            found = _field_lines(self.block.decode("latin-1"))
            if _trailing_space(self.block):
                found = [(name, value.rstrip(" \t")) for name, value in found]
            self._fields = found
        return found

    def raw_fields(self) -> list[tuple[bytes, bytes]]:
        """As `fields`, in bytes; nothing is kept for the next call."""
        if self._fields is not None:
            return [(name.encode("latin-1"), value.encode("latin-1"))
                    for name, value in self._fields]  # fmt: skip
        block = self._block
        if block is None:
            block = self.tail[self.tail.index(b"\n") + 1 : -2]
        pairs: list[tuple[bytes, bytes]] = _raw_lines(block)
        if _trailing_space(block):
            pairs = [(name, value.rstrip(b" \t")) for name, value in pairs]
        return pairs

    def forget_fields(self) -> None:
        """Free the memory of the fields; `fields` splits the lines again."""
        self._fields = None


class ForwardedHead(RequestHead):
    """A head whose fields include Forwarded or X-Forwarded-…, or have such a word in them.

    The server decides whether it takes them (server/forwarding.py). It is a class of its own so
    that other requests pay nothing for the decision.
    """


def kind_of_head(block: bytes) -> type[RequestHead]:
    """The class for a head with these field lines."""
    return ForwardedHead if b"forwarded" in block.lower() else RequestHead


class Data:
    """A piece of the request body, decoded from its framing."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class Signal(Enum):
    """Events without content."""

    NEED_DATA = "more bytes are needed"
    END_OF_MESSAGE = "the request is complete"
    PAUSED = "the response to this request has to be finished first"
    CLOSED = "nothing more will be read from this connection"


Event = RequestHead | Data | Signal
