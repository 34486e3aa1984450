"""Parses the bytes of one request head into a `RequestHead`.

There are two readers with the same outcome. `quick_head` takes a whole head of the usual shape and
returns None for everything else, valid or not. `HeadReader` takes any head, line by line, and
raises at the first line that breaks a rule, in whatever pieces the bytes arrive.
"""

from __future__ import annotations

import re

from carboy.grammar import HOST, TCHAR

from .errors import RemoteProtocolError
from .events import ForwardedHead, RequestHead, kind_of_head
from .limits import Limits

# Methods of the quick path, which have no rule of their own (CONNECT has).
_METHODS = {
    name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
}
# Connection as nearly every client sends it.
_OPTIONS = frozenset((b"keep-alive", b"Keep-Alive", b"close"))
_new = RequestHead.__new__

# Every control character but HTAB and LF becomes a CR. The pattern requires that an LF follows
# each CR. When the result has as many LFs as the original has CRs, every LF followed a CR, and
# no CR replaced another control character.
_FOLD = bytes(13 if (i < 32 and i not in (9, 10)) or i == 127 else i for i in range(256))
_TOKEN = r"0-9!#$%&'*+\-.^`|~"  # and letters; a name with "_" is for the line reader


def _head_pattern(value: str) -> re.Pattern[bytes]:
    """A whole head, with `value` for one byte of a value. Possessive throughout, so linear.

    Three names may come once: a second one sets the empty group before the value's group.
    The first alternative takes the lines no other one could, and saves trying them.
    No group may open before something that can fail: until Python 3.13 a possessive loop does
    not take that back, and re then raises SystemError about the group's span (gh-101955).
    """

    def letters(name: str) -> str:
        return "".join(c if c == "-" else f"[{c.upper()}{c}]" for c in name)

    def named(name: str, group: int) -> str:
        return rf"{letters(name)}:(?({group})()|)[ \t]*+({value}*+)"

    def unnamed(first: str) -> str:
        return f"[{first}][a-zA-Z{_TOKEN}]*+:{value}*+"

    closer = "|".join(letters(name) for name in ("transfer-encoding", "expect", "upgrade"))
    # Content-Type may come once too. quick_head counts its last letters, because one more group
    # would slow every head down; this is for the spellings in which these are others.
    closer += "|[Cc][Oo][Nn][Tt][Ee][Nn][Tt]-[Tt](?!ype)[Yy][Pp][Ee]"
    alternatives = (
        unnamed(f"abdfgi-svw-zABDFGI-SVW-Z{_TOKEN}"),
        named("host", 6),
        named("connection", 8),
        named("content-length", 10),
        f"(?:{closer}):(){value}*+",
        unnamed("cehtuCEHTU"),
    )
    return re.compile(
        rf"([A-Z]++) (/[^\x00-\x20\x7f?#]*+)(\?[^\x00-\x20\x7f#]*+)?+ HTTP/1\.([01])\r\n"
        rf"(?:(?:{'|'.join(alternatives)})\r\n)*+\r\n".encode("latin-1")
    )


_short_head = _head_pattern(r"[^\x00-\x08\x0a-\x1f\x7f]").fullmatch
# For a folded head. `[^\r]` is the one loop of the regular expression engine that is nearly free.
_folded_head = _head_pattern(r"[^\r]").fullmatch
# The alternatives of the port begin with the longest, because [0-9]{1,4} is possessive.
_quick_host = re.compile(
    rb"[A-Za-z0-9.\-]++(?::(?:[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|[0-9]{1,4}))?+"
).fullmatch
# Hosts that were found valid: a server has few names. Bounded: a full table is emptied. Another
# engine of the process may empty these tables at any moment, so they are read with one `get`.
_HOSTS_SIZE = 256
_hosts: dict[bytes, str] = {}
# The bytes before a tail that is known already.
_start = re.compile(rb"([A-Z]++) (/[^\x00-\x20\x7f?#]*+)(\?[^\x00-\x20\x7f#]*+)?+").fullmatch
# Method and path of such starts that were found valid, if they are short and have no query: the
# same few are requested all the time. Bounded as above. A path with a long segment is not kept,
# because the segment may be a secret: the token of a link to reset a password, for example.
_STARTS_SIZE = 1024
_START_SIZE = 128
_starts: dict[bytes, tuple[str, str]] = {}
_long_segment = re.compile(rb"[^/]{20}").search
_host = re.compile(HOST.encode()).fullmatch

_FRAMING = frozenset(
    (b"host", b"connection", b"content-length", b"transfer-encoding", b"expect", b"upgrade")
)
COUNTED = _FRAMING | {b"content-type"}  # whose lines are looked at, or at least counted


def _bad(message: str, status: int = 400) -> RemoteProtocolError:
    return RemoteProtocolError(status, message)


def quick_head(data: bytes, limits: Limits) -> RequestHead | None:
    """The head if `data` is one complete head, or None if a closer look is needed.

    The caller has checked that `data` has at most `limits.quick` bytes.
    """
    if len(data) <= limits.short:
        match = _short_head(data)
        if match is None:
            return None
    else:
        folded = data.translate(_FOLD)
        match = _folded_head(folded)
        if match is None:
            return None
        count = folded.count(b"\n")
        if count != data.count(b"\r") or count - 2 > limits.fields_count:
            return None
    (
        method, path, query, minor,
        second_host, host, second_connection, connection, second_length, length, special,
    ) = match.groups()  # fmt: skip
    if (
        second_host is not None
        or special is not None
        or second_connection is not None
        or second_length is not None
        or host is None
        or data.count(b"ype:") > 1  # there may be two of Content-Type
    ):
        return None
    name = _METHODS.get(method)
    host_text = _hosts.get(host) or _checked_host(host)
    if name is None or host_text is None:
        return None
    # The same as kind_of_head, without its call.
    head = _new(ForwardedHead if b"forwarded" in data.lower() else RequestHead)
    _set_start(head, name, path, query)
    head.host = host_text
    head.tail = data[match.end(2 if query is None else 3) :]
    head.content_length = head.found = None
    if minor == b"1":
        head.minor = 1
        head.keep_alive = connection is None or connection != b"close"
    else:
        head.minor = 0
        head.keep_alive = connection is not None and connection != b"close"
    if connection is not None and connection not in _OPTIONS:
        return None
    if length is not None:
        if not _digits(length):
            return None
        head.content_length = int(length)
    return head


def similar_head(data: bytes, last: RequestHead) -> RequestHead | None:
    """The head in `data` if it ends in the tail of `last`, a result of quick_head; else None.

    Clients send the same fields again on a connection, and what was valid before is valid again,
    byte for byte. Method and target are checked in full. If they agree as well, `last` is returned.
    """
    start = data[: -len(last.tail)]
    known = _starts.get(start)
    if known is not None:
        method, path = known
        if path is last.target and path is last.path and method is last.method and not last.query:
            return last
        head = _new(last.__class__)
        head.method = method
        head.target = head.path = path
        head.query = ""
    else:
        head = _new(last.__class__)
        if not _read_start(head, start):
            return None
    head.host = last.host
    head.tail = last.tail
    head.found = last.found
    head.content_length = last.content_length
    head.minor = last.minor
    head.keep_alive = last.keep_alive
    return head


def has_start(head: RequestHead, start: bytes) -> bool:
    """Whether `start` is a valid method and target, which are set; as in `similar_head`."""
    known = _starts.get(start)
    if known is None:
        return _read_start(head, start)
    head.method, path = known
    head.target = head.path = path
    head.query = ""
    return True


def _read_start(head: RequestHead, start: bytes) -> bool:
    match = _start(start)
    if match is None:
        return False
    method, path, query = match.groups()
    name = _METHODS.get(method)
    if name is None:
        return False
    _set_start(head, name, path, query)
    if query is None and len(start) <= _START_SIZE and not _long_segment(path):
        if len(_starts) >= _STARTS_SIZE:
            _starts.clear()
        _starts[start] = name, head.path
    return True


def _set_start(head: RequestHead, method: str, path: bytes, query: bytes | None) -> None:
    head.method = method
    head.path = head.target = path.decode("latin-1")
    if query is None:
        head.query = ""
    else:
        text = query.decode("latin-1")
        head.target += text
        head.query = text[1:]


def _checked_host(host: bytes) -> str | None:
    if not _quick_host(host):
        return None
    if len(_hosts) >= _HOSTS_SIZE:
        _hosts.clear()
    text = _hosts[host] = host.decode("latin-1")
    return text


# -- the careful way ---------------------------------------------------------------------------

_request_line = re.compile(rb"([^ ]++) ([^ ]++) ([^ ]++)").fullmatch
_token = re.compile(f"[{TCHAR}]++".encode()).fullmatch
_version = re.compile(rb"HTTP/([0-9])\.([0-9])").fullmatch
_name_of_a_version = re.compile(rb"HTTP/[02-9]").fullmatch  # as in "HTTP/2"
_control = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]").search
_absolute = re.compile(rb"([Hh][Tt][Tt][Pp][Ss]?)://([^/?]*+)(.*+)", re.DOTALL).fullmatch
# Leading zeros are harmless; the text for int() is bounded anyway.
_digits = re.compile(rb"0{0,238}+[0-9]{1,18}|0{1,238}").fullmatch


def split_field_line(line: bytes) -> tuple[bytes, bytes]:
    """Lower-cased name and trimmed value of a field line without its CRLF (RFC 9112, 5)."""
    name, colon, value = line.partition(b":")
    if line[:1] in (b" ", b"\t"):
        raise _bad("a header line starts with white space (line folding is obsolete)")
    if not colon:
        raise _bad("a header line has no colon")
    if not _token(name):
        raise _bad("a header name is empty or has a character that names may not have")
    if _control(value):
        raise _bad("a header value has a control character")
    return name.lower(), value.strip(b" \t")


def chop(line: bytes) -> bytes:
    """`line` without its CRLF; a bare LF or a bare CR is refused (RFC 9112, section 2.2)."""
    if line[-2:] != b"\r\n":
        raise _bad("a line ends in LF without CR")
    if b"\r" in line[:-2]:
        raise _bad("a line has a CR without LF")
    return line[:-2]


class Target:
    """The request target, taken apart (RFC 9112, section 3.2)."""

    __slots__ = ("authority", "path", "query")

    def __init__(self, path: bytes, query: bytes | None, authority: bytes | None = None) -> None:
        self.path = path
        self.query = query
        self.authority = authority


def parse_target(method: bytes, target: bytes) -> Target:
    """Origin form, absolute form of http and https, or `*` for OPTIONS."""
    if method == b"CONNECT":
        raise _bad("CONNECT is not implemented: this is not a proxy", 501)
    if _control(target) or b"\t" in target:
        raise _bad("the request target has a control character")
    if b"#" in target:
        raise _bad("the request target has a fragment: leave out '#' and what follows")
    if target == b"*":
        if method != b"OPTIONS":
            raise _bad("the request target '*' is for OPTIONS only")
        return Target(target, None)
    authority = None
    if target[:1] != b"/":
        match = _absolute(target)
        if not match:
            raise _bad("the request target has to start with '/', 'http://' or 'https://'")
        authority, target = match.group(2, 3)
        if not _host(authority):
            raise _bad("the request target names no valid host")
        if not target and method == b"OPTIONS":
            return Target(b"*", None, authority)
        if target[:1] != b"/":
            target = b"/" + target
    path, question, query = target.partition(b"?")
    return Target(path, query if question else None, authority)


def parse_version(version: bytes) -> int:
    """The minor version, 0 or 1: a later 1.x is answered as 1.1 (RFC 9110, section 2.5).

    A version has one digit on each side of its point (RFC 9112, section 2.3).
    """
    match = _version(version)
    if match and match.group(1) == b"1":
        return int(match.group(2) != b"0")
    if match or _name_of_a_version(version):
        raise _bad("this server speaks HTTP/1.1 and HTTP/1.0", 505)
    raise _bad("the request line does not end in an HTTP version")


def parse_coding(values: list[bytes], minor: int) -> None:
    """Accept Transfer-Encoding if it is `chunked`, once (RFC 9112, section 6.1).

    When the last coding is another one, the end of the body is unknown: 400 (section 6.3).
    A coding before a last `chunked` is one this server does not know: 501.
    """
    if not minor:
        raise _bad("Transfer-Encoding does not exist in HTTP/1.0")
    codings = [coding.strip(b" \t").lower() for coding in b",".join(values).split(b",")]
    if codings == [b"chunked"]:
        return
    names = [coding.partition(b";")[0].rstrip(b" \t") for coding in codings]
    if codings[-1] != b"chunked":
        raise _bad("Transfer-Encoding has to end in 'chunked'")
    if names.count(b"chunked") > 1 or not all(map(_token, names)):
        raise _bad("Transfer-Encoding has to be 'chunked', once")
    raise _bad("a transfer coding other than 'chunked' is not implemented", 501)


def parse_length(values: list[bytes]) -> int:
    """One Content-Length of ASCII digits (RFC 9112, section 6.3)."""
    if len(values) > 1:
        raise _bad("there is more than one Content-Length")
    if not _digits(values[0]):
        raise _bad("Content-Length has to be a decimal number of at most 18 digits")
    return int(values[0])


def parse_host(values: list[bytes], minor: int) -> bytes:
    """The one valid Host; HTTP/1.0 may leave it out (RFC 9112, section 3.2)."""
    if len(values) > 1:
        raise _bad("there is more than one Host header")
    if not values:
        if minor:
            raise _bad("an HTTP/1.1 request needs a Host header")
        return b""
    if not _host(values[0]):
        raise _bad("the Host header is not a valid host name or address with an optional port")
    return values[0]


class HeadReader:
    """Reads one head line by line; `add` returns the head after its empty line.

    The outcome depends on the bytes alone: a rule about one line is applied when the line is
    complete, a rule about the whole head at its end, a limit as soon as it is exceeded.
    """

    __slots__ = ("_fields", "_limits", "_lines", "_minor", "_parts", "_size", "request_line")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.request_line: bytes | None = None
        self._parts: tuple[bytes, bytes, Target] | None = None
        self._minor = 1
        self._lines: list[bytes] = []
        self._fields: dict[bytes, list[bytes]] = {}
        self._size = 0

    def room(self) -> int:
        """How many bytes the next line may have before its CRLF."""
        if self.request_line is None:
            return self._limits.request_line
        left = max(0, self._limits.fields_size - self._size - 2)
        return min(self._limits.field_line, left)

    def too_long(self) -> RemoteProtocolError:
        """The error for a line that has more bytes than `room`."""
        if self.request_line is None:
            return _bad("the request line is too long", 414)
        if self.room() < self._limits.field_line:
            return _bad("the headers are too large", 431)
        return _bad("a header line is too long", 431)

    def add(self, line: bytes) -> RequestHead | None:
        """Take the next line with its CRLF. Returns the head if this was the empty line."""
        if self.request_line is None:
            self._start(line)
            return None
        text = chop(line)
        if not text:
            return self._finish()
        self._field(line, text)
        return None

    def _start(self, line: bytes) -> None:
        self.request_line = line.rstrip(b"\r\n")
        match = _request_line(chop(line))
        if not match:
            raise _bad("the request line is not 'METHOD target HTTP/1.1'")
        method, target, version = match.groups()
        if not _token(method):
            raise _bad("the request method has a character that methods may not have")
        self._minor = parse_version(version)
        self._parts = (method, target, parse_target(method, target))

    def _field(self, line: bytes, text: bytes) -> None:
        self._size += len(line)
        if len(self._lines) == self._limits.fields_count:
            raise _bad("there are too many headers", 431)
        name, value = split_field_line(text)
        if b"_" in name and not self._limits.underscore_fields:
            # Counted as nothing but a line: in an environ it would shadow the name with "-".
            line = b""
        elif name in COUNTED:
            self._fields.setdefault(name, []).append(value)
        self._lines.append(line)

    def _finish(self) -> RequestHead:
        if self._parts is None:
            raise _bad("the request line is missing")
        method, raw, target = self._parts
        host = parse_host(self._fields.get(b"host", []), self._minor)
        if target.authority is not None:
            host = target.authority
            self._replace_host(host)
        block = b"".join(self._lines)
        head = kind_of_head(block)(
            method.decode("latin-1"),
            raw.decode("latin-1"),
            target.path.decode("latin-1"),
            (target.query or b"").decode("latin-1"),
            self._minor,
            host.decode("latin-1"),
            block,
        )
        apply_framing(head, self._fields)
        return head

    def _replace_host(self, host: bytes) -> None:
        """Let the authority of an absolute-form target win everywhere (RFC 9112, 3.2.2)."""
        self._lines = [line for line in self._lines if line[:5].lower() != b"host:"]
        self._lines.insert(0, b"Host: %b\r\n" % host)


def apply_framing(head: RequestHead, fields: dict[bytes, list[bytes]]) -> None:
    """Set framing, keep-alive, expectation and upgrade of a request from its fields."""
    if len(fields.get(b"content-type", ())) > 1:
        # Two readers could take the same content for different things.
        raise _bad("there is more than one Content-Type")
    if b"transfer-encoding" in fields:
        if b"content-length" in fields:
            raise _bad("Content-Length and Transfer-Encoding exclude each other")
        parse_coding(fields[b"transfer-encoding"], head.minor)
        head.chunked = True
    elif b"content-length" in fields:
        head.content_length = parse_length(fields[b"content-length"])
    options = {
        option.strip(b" \t").lower()
        for option in b",".join(fields.get(b"connection", ())).split(b",")
    }
    head.keep_alive = b"close" not in options and (head.minor == 1 or b"keep-alive" in options)
    if b"expect" in fields and head.minor:
        if [value.lower() for value in fields[b"expect"]] != [b"100-continue"]:
            raise _bad("the only expectation this server knows is '100-continue'", 417)
        head.expect_continue = head.has_body
    head.upgrade = b"upgrade" in fields and b"upgrade" in options and head.minor == 1
