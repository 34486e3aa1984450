"""The field section of a request, checked and made into a `RequestHead`.

Two kinds of faults (RFC 9113, section 8.1.1):

    StreamFailed          malformed by a rule of HTTP/2: the stream is reset
    RemoteProtocolError   broken by a rule of HTTP that both versions have: the client gets its
                          status, as over HTTP/1.1

Whatever passes has been checked by the same functions as a head of HTTP/1.1 (protocol/head.py).

A request for a WebSocket (CONNECT with :protocol, RFC 8441) becomes the head that asks for one over
HTTP/1.1: a GET with `upgrade`, and with the fields Upgrade and Connection. So nothing above this
file has to know two forms of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from carboy.grammar import TCHAR

from ..errors import RemoteProtocolError
from ..events import HTTP_2, RequestHead, kind_of_head
from ..head import apply_framing, parse_host, parse_target
from ..limits import Limits
from .codes import Code, StreamFailed
from .priority import UNKNOWN, Priority, read_priority
from .sections import Section

Pairs = Sequence[tuple[bytes, bytes]]

# RFC 9113, section 8.2.1: no upper case; the rest is that of a token.
_name = re.compile(f"[{TCHAR.replace('A-Z', '')}]++".encode()).fullmatch
_malformed_value = re.compile(rb"[\x00\r\n]|\A[ \t]|[ \t]\Z").search
_control = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]").search
_token = re.compile(f"[{TCHAR}]++".encode()).fullmatch

_PSEUDO = frozenset((b":method", b":scheme", b":path", b":authority", b":protocol"))
# RFC 9113, section 8.2.2
_OF_A_CONNECTION = frozenset(
    (b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade")
)
_SCHEMES = (b"https", b"http")
_COUNTED = frozenset((b"content-length", b"content-type", b"expect"))
REMEMBERED = 32  # heads
WEBSOCKET = b"websocket"
_UPGRADE = [(b"upgrade", WEBSOCKET), (b"connection", b"Upgrade")]


def malformed(message: str) -> StreamFailed:
    """A fault for which the stream is reset."""
    return StreamFailed(Code.PROTOCOL_ERROR, message)


def check_trailers(pairs: Pairs) -> None:
    """Refuse a section after the content that is malformed; nothing of it is used."""
    for name, value in pairs:
        _check(name, value)


def _check(name: bytes, value: bytes) -> None:
    if not _name(name):
        raise malformed("a header name is empty or has a character that names may not have")
    if _malformed_value(value):
        raise malformed("a header value has a line break or NUL, or white space around it")
    if name in _OF_A_CONNECTION:
        raise malformed(f"HTTP/2 has no header {name.decode('latin-1')}")
    if name == b"te" and value.lower() != b"trailers":
        raise malformed("the only value of TE in HTTP/2 is 'trailers'")


def request_line(pairs: Pairs) -> str:
    """The request line of a refused section, for a log."""
    found = dict(reversed(pairs))
    method, path = found.get(b":method", b"-"), found.get(b":path", b"-")
    return f"{method.decode('latin-1')} {path.decode('latin-1')} HTTP/2.0"


class HeadReader:
    """Reads one field section. `error` is the first fault that gets an answer with a status.

    `websocket`: clients may ask for a WebSocket.
    """

    def __init__(self, pairs: Pairs, ended: bool, limits: Limits, websocket: bool = False) -> None:
        self._limits = limits
        self._websocket = websocket
        self._ended = ended  # no content follows
        self._pseudo: dict[bytes, bytes] = {}
        self._fields: list[tuple[bytes, bytes]] = []
        self._counted: dict[bytes, list[bytes]] = {}
        self._hosts: list[bytes] = []
        self._cookies: list[bytes] = []
        self.error: RemoteProtocolError | None = None
        self._sort(pairs)

    def _sort(self, pairs: Pairs) -> None:
        pseudo, fields, size = self._pseudo, self._fields, 0
        limits = self._limits
        for name, value in pairs:
            if name[:1] == b":":
                if name not in _PSEUDO or name in pseudo or size:
                    raise malformed("a pseudo-header is unknown, repeated or after a header")
                if _malformed_value(value):
                    raise malformed("a pseudo-header has a line break, NUL or white space")
                pseudo[name] = value
                continue
            _check(name, value)
            length = len(name) + len(value) + 4
            size += length
            if length - 2 > limits.field_line:
                self._refuse(431, "a header line is too long")
            if _control(value):
                self._refuse(400, "a header value has a control character")
            if name == b"host":
                self._hosts.append(value)
            elif name == b"cookie":
                self._cookies.append(value)
            elif b"_" in name and not limits.underscore_fields:
                pass  # in an environ it would shadow the name with "-"
            else:
                fields.append((name, value))
                if name in _COUNTED:
                    self._counted.setdefault(name, []).append(value)
        if size > limits.fields_size:
            self._refuse(431, "the headers are too large")
        if len(pairs) - len(pseudo) > limits.fields_count:
            self._refuse(431, "there are too many headers")

    def _refuse(self, status: int, message: str) -> None:
        self.error = self.error or RemoteProtocolError(status, message)

    def head(self) -> RequestHead:
        """The head. Raises StreamFailed and RemoteProtocolError."""
        pseudo = self._pseudo
        method = pseudo.get(b":method")
        if not method:
            raise malformed("a request needs :method")
        protocol = pseudo.get(b":protocol")
        path, scheme = pseudo.get(b":path"), pseudo.get(b":scheme")
        if method == b"CONNECT" and protocol is None:
            if path is not None or scheme is not None or not pseudo.get(b":authority"):
                raise malformed("CONNECT has :authority, and neither :scheme nor :path")
            raise RemoteProtocolError(501, "CONNECT is not implemented: this is not a proxy")
        if protocol is not None and method != b"CONNECT":
            raise malformed(":protocol is for CONNECT only")
        if not path or not scheme:
            raise malformed("a request needs :scheme and :path")
        host = self._host(scheme)
        if self.error is not None:
            raise self.error
        if len(path) + len(method) + 11 > self._limits.request_line:
            raise RemoteProtocolError(414, "the request target is too long")
        if protocol is not None:
            return self._connecting(protocol, path, host)
        return self._made(method, path, host)

    def _connecting(self, protocol: bytes, path: bytes, host: bytes) -> RequestHead:
        """The head of an extended CONNECT (RFC 8441, section 4)."""
        if protocol.lower() != WEBSOCKET:
            raise RemoteProtocolError(501, "this protocol is not implemented over HTTP/2")
        if not self._websocket:
            raise RemoteProtocolError(
                501, "this server has no WebSocket over HTTP/2: open one over HTTP/1.1"
            )
        if any(name == b"content-length" for name, _ in self._fields):
            raise malformed("CONNECT has no Content-Length")
        self._fields += _UPGRADE
        self._counted.pop(b"expect", None)
        head = self._made(b"GET", path, host)
        head.upgrade, head.chunked = True, False  # what follows is not content
        return head

    def _host(self, scheme: bytes) -> bytes:
        """The authority, which Host has to repeat if both are there (RFC 9113, 8.3.1)."""
        authority = self._pseudo.get(b":authority")
        hosts = self._hosts
        if authority is not None and any(host != authority for host in hosts):
            raise malformed(":authority and Host differ")
        if authority is None and not hosts:
            raise malformed("a request needs :authority")
        if scheme not in _SCHEMES:
            self._refuse(400, "the scheme of a request is 'https' or 'http'")
        if authority is not None:
            hosts = [*hosts[1:], authority]
        try:
            return parse_host(hosts, 2)
        except RemoteProtocolError as error:
            self.error = self.error or error
            return b""

    def _made(self, method: bytes, path: bytes, host: bytes) -> RequestHead:
        if not _token(method):
            raise RemoteProtocolError(400, "the method has a character that methods may not have")
        if path[:1] != b"/" and path != b"*":
            raise malformed(":path has to start with '/'")
        if b" " in path:
            raise RemoteProtocolError(400, "the request target has a space")
        target = parse_target(method, path)
        fields = self._fields
        if self._cookies:
            # RFC 9113, section 8.2.3: clients may split the field.
            fields.append((b"cookie", b"; ".join(self._cookies)))
        fields.insert(0, (b"host", host))
        block = b"".join([b"%b: %b\r\n" % pair for pair in fields])
        head = kind_of_head(block)(
            method.decode("latin-1"),
            path.decode("latin-1"),
            target.path.decode("latin-1"),
            (target.query or b"").decode("latin-1"),
            HTTP_2,
            host.decode("latin-1"),
            block,
        )
        head.keep_alive = True
        if self._counted:
            head.minor = 1  # these fields mean what they mean in HTTP/1.1
            apply_framing(head, self._counted)
            head.minor = HTTP_2
            head.keep_alive = True
        self._frame(head)
        return head

    def _frame(self, head: RequestHead) -> None:
        """Compare the length of the content with the end of the stream."""
        if self._ended:
            if head.content_length:
                raise malformed("Content-Length is more than the content")
            head.expect_continue = False
        elif head.content_length is None:
            head.chunked = True  # its length is not known
            head.expect_continue = b"expect" in self._counted


class Heads:
    """The heads of one connection; those of equal sections are made once."""

    def __init__(self, limits: Limits, websocket: bool = False) -> None:
        self._limits = limits
        self._websocket = websocket
        # By the id of the pairs of a section. The pairs are kept, so that no others have that id.
        self._known: dict[int, tuple[Pairs, RequestHead, Priority]] = {}

    def read(self, section: Section) -> tuple[RequestHead, Priority]:
        """The head of a section, and its priority. Raises StreamFailed and RemoteProtocolError."""
        pairs = section.pairs
        if not section.known or not section.ended:
            reader = HeadReader(pairs, section.ended, self._limits, self._websocket)
            return reader.head(), _priority_in(pairs)
        found = self._known.get(id(pairs))
        if found is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            head = HeadReader(pairs, True, self._limits, self._websocket).head()
            head.tail = head.block  # compared with that of the request before, and shared
            head.found = {}
            found = self._known[id(pairs)] = pairs, head, _priority_in(pairs)
        _, known, priority = found
        head = known.__class__.__new__(known.__class__)
        head.take(known)
        return head, priority


def _priority_in(pairs: Pairs) -> Priority:
    """The priority of a request with these fields."""
    values = [value for name, value in pairs if name == b"priority"]
    return read_priority(b",".join(values)) if values else UNKNOWN
