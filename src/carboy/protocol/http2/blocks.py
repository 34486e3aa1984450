"""Field sections of responses as HPACK (RFC 7541), without the dynamic table.

A section that does not depend on those before it can be made by any thread, in any order, and be
remembered. Each one begins by setting the size of the dynamic table to 0, which is right whatever
the client's setting is (RFC 7541, section 4.2). Text is not compressed.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..response import KEPT

_SIZE_0 = b"\x20"
_NEVER_INDEXED = 0x10  # no proxy may put it into a table either: it may be a secret
_STATUSES = {200: 8, 204: 9, 206: 10, 304: 11, 400: 12, 404: 13, 500: 14}
_STATUS = 8  # the place of :status in the static table (RFC 7541, appendix A)
_NAMES = {
    name: place
    for place, name in enumerate(
        b"accept-charset accept-encoding accept-language accept-ranges accept"
        b" access-control-allow-origin age allow authorization cache-control content-disposition"
        b" content-encoding content-language content-length content-location content-range"
        b" content-type cookie date etag expect expires from host if-match if-modified-since"
        b" if-none-match if-range if-unmodified-since last-modified link location max-forwards"
        b" proxy-authenticate proxy-authorization range referer refresh retry-after server"
        b" set-cookie strict-transport-security transfer-encoding user-agent vary via"
        b" www-authenticate".split(),
        15,
    )
}
# Lines of HTTP/1.1 that belong to a connection (RFC 9113, section 8.2.2)
_DROPPED = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
)
# By lines of HTTP/1.1, only of headers that hold no secrets. Bounded: a full table is emptied.
# Another engine of the process may empty it at any moment, so it is read with one `get`.
_SIZE = 1024
_LONGEST = 256
_known: dict[bytes, bytes] = {}


def integer(value: int, bits: int, first: int) -> bytes:
    """A number with a prefix of `bits` bits in a byte that begins with `first` (RFC 7541, 5.1)."""
    most = (1 << bits) - 1
    if value < most:
        return bytes((first | value,))
    encoded = bytearray((first | most,))
    value -= most
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _text(value: bytes) -> bytes:
    return integer(len(value), 7, 0) + value


def literal(name: bytes, value: bytes, secret: bool = False) -> bytes:
    """One field that no table keeps; `secret`: nor may those of other programs."""
    first = _NEVER_INDEXED if secret else 0
    place = _NAMES.get(name)
    if place is None:
        return bytes((first,)) + _text(name) + _text(value)
    return integer(place, 4, first) + _text(value)


def encoded_line(line: bytes) -> bytes:
    """A header line of HTTP/1.1, with its CRLF, as a field; b"" if it belongs to a connection."""
    known = _known.get(line)
    if known is not None:
        return known
    name, _, value = line.partition(b":")
    name = name.lower()
    if name in _DROPPED:
        return b""
    kept = name.decode("latin-1") in KEPT
    field = literal(name, value.strip(b" \t\r\n"), secret=not kept)
    if kept and len(line) <= _LONGEST:
        if len(_known) >= _SIZE:
            _known.clear()
        _known[line] = field
    return field


def section(code: int, lines: Iterable[bytes]) -> bytes:
    """The field section of a response with these lines of HTTP/1.1."""
    place = _STATUSES.get(code)
    status = bytes((0x80 | place,)) if place else bytes((_STATUS,)) + _text(b"%d" % code)
    return b"".join((_SIZE_0, status, *map(encoded_line, lines)))


def trailers(lines: Iterable[bytes]) -> bytes:
    """The field section after the content."""
    return b"".join((_SIZE_0, *map(encoded_line, lines)))


def split(lines: bytes) -> list[bytes]:
    """The lines in a piece of an HTTP/1.1 head."""
    return lines.splitlines(keepends=True)
