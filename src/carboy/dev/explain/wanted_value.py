"""A value in a request that `carboy explain` follows: where it is, and how to recognise it.

It is given as `header:User-Agent`, `query:q`, `form:name`, `cookie:theme`, `path` or `body`. On its
way a value changes its form: from bytes to text, from percent-encoded to decoded. A text or bytes
holds the value if it is one of these forms, or contains the value together with its name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, cast
from urllib.parse import parse_qsl, unquote, unquote_plus, unquote_to_bytes

PLAIN = ("path", "body")
NAMED = ("header", "query", "form", "cookie")
KINDS = "header:NAME, query:NAME, form:NAME, cookie:NAME, path or body"
LARGE = 4096  # characters of a text that is not searched twice
MOST_KEPT = 64  # large texts
LEAST = 4  # bytes of a piece of the body
LONG = 6  # characters; a shorter value may be equal to other text by chance
FORM = re.compile(r"(?i)multipart/form-data\s*;.*?boundary=\"?([^\";,]+)")
PART_NAME = re.compile(rb"(?i)[; ]name=(?:\"([^\"]*)\"|([^;\"\s]+))")


class UnknownValue(Exception):
    """The value is not of a known kind, or the request does not have it; the text says which."""


class Sent(NamedTuple):
    """The request that the client sends."""

    method: str
    path: str
    fields: Sequence[tuple[str, str]]
    body: bytes | None = None


class Piece(NamedTuple):
    """Bytes of the value, and the bytes in front of them from the start of the line or the body."""

    before: str
    wire: str


@dataclass(slots=True)
class Wanted:
    """The value to follow. Bytes are kept as text of the characters 0 to 255."""

    kind: str
    name: str
    pieces: list[Piece]  # more than one if the request has the name more than once
    contexts: list[str] = field(default_factory=list)  # the value with its name
    others: list[str] = field(default_factory=list)  # names of other fields with this value
    forms: list[str] = field(default_factory=list)  # the value, encoded and decoded
    parts: list[str] = field(default_factory=list)  # of a path, which a rule takes apart

    @property
    def title(self) -> str:
        """The kind and the name as words: `the header User-Agent`."""
        words = {"query": "query parameter", "form": "form field"}
        return " ".join(filter(None, ("the", words.get(self.kind, self.kind), self.name)))

    def places(self, received: bytes) -> list[tuple[int, int]]:
        """First byte and length of each piece in the bytes, without those that are divided."""
        found: list[tuple[int, int]] = []
        for piece in self.pieces:
            before, wire = (each.encode("latin-1") for each in (piece.before, piece.wire))
            for offset in self._offsets(received, before, wire):
                if (offset, len(wire)) not in found:
                    found.append((offset, len(wire)))
                    break
        return sorted(found)

    def _offsets(self, received: bytes, before: bytes, wire: bytes) -> Iterator[int]:
        """The places of `wire` after `before`, whose case is ignored."""
        head = received.find(b"\r\n\r\n") + 4
        lines = 0 if self.kind in ("path", "query") else received.find(b"\r\n")
        start, end = (head, len(received)) if self.kind in ("form", "body") else (lines, head)
        lower, wanted = received.lower(), before.lower() + wire.lower()
        found = lower.find(wanted, start, end)
        while found >= 0:
            if received.startswith(wire, found + len(before)):
                yield found + len(before)
            found = lower.find(wanted, found + 1, end)

    def as_data(self) -> dict[str, Any]:
        """The value for a file."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Wanted:
        """The value from a file."""
        pieces = [Piece(*each) for each in data["pieces"]]
        return cls(**{**data, "pieces": pieces})


class Matcher:
    """Says whether a text or bytes holds the value."""

    def __init__(self, wanted: Wanted) -> None:
        texts = {each for each in (*wanted.forms, *wanted.parts) if each}
        self.forms: frozenset[str | bytes] = frozenset(texts | set(_as_bytes(texts)))
        is_body = wanted.kind == "body"
        self._whole = wanted.pieces[0].wire.encode("latin-1") if is_body else b""
        self.is_long = min(map(len, texts), default=0) >= LONG
        self.longest = max(map(len, self.forms), default=0)
        contexts = {each for each in wanted.contexts if each}
        self._by_length: list[Any] = sorted(self.forms, key=len, reverse=True)
        self._texts = sorted(contexts)
        self._bytes = sorted(set(_as_bytes(contexts)))
        self._without: dict[int, object] = {}  # large texts without the value, kept alive
        self._names = {_plain_name(wanted.name), *_names_of(wanted.kind)} - {""}
        self._others = {_plain_name(each) for each in wanted.others}

    def is_value(self, text: str | bytes) -> bool:
        """Whether the text is the value and nothing else."""
        if self._whole and type(text) is bytes and len(text) >= LEAST:
            return text in self._whole  # a stream is read piece by piece
        # A long text is not compared, because that would compute its hash.
        return len(text) <= self.longest + 4 and (text in self.forms or text.strip() in self.forms)

    def contains(self, text: str | bytes | bytearray) -> bool:
        """Whether the text contains the value together with its name."""
        if self._without.get(id(text)) is text:
            return False
        contexts: Any = self._texts if isinstance(text, str) else self._bytes
        found = False
        for each in contexts:  # a generator would take most of the time
            found = found or each in text
        if not found and len(text) >= LARGE and not isinstance(text, bytearray):
            self._without[id(text)] = text
            if len(self._without) > MOST_KEPT:
                del self._without[next(iter(self._without))]
        return found

    def is_named(self, key: object) -> bool:
        """Whether the key of a container is the name of the value."""
        name = _plain_name(key)
        return any(each in name for each in self._names)

    def is_read_of_another(self, code: str) -> bool:
        """Whether an expression such as `environ["HTTP_X"]` reads another field."""
        if not self._others or code.isidentifier():
            return False
        words = set(re.findall(r"[\w-]+", code))
        names = {_plain_name(each) for each in words}
        return bool(names & self._others) and not names & self._names

    def place_in(self, text: str | bytes) -> tuple[int, int]:
        """First character and length of the value in a text that contains it with its name."""
        contexts: Any = self._texts if isinstance(text, str) else self._bytes
        for context in contexts:
            start = cast("Any", text).find(context)
            for form in self._by_length if start >= 0 else ():
                if type(form) is type(text) and (at := context.rfind(form)) >= 0:
                    return start + at, len(form)
        return 0, min(len(text), 60)

    def is_among(self, values: Iterable[object]) -> bool:
        """Whether one of the values is the name."""
        return any(_plain_name(each) in self._names for each in values if type(each) is str)

    def is_other(self, key: object) -> bool:
        """Whether the key is the name of another field that has the same value."""
        return bool(self._others) and _plain_name(key) in self._others

    def is_about_another(self, variables: Iterable[object]) -> bool:
        """Whether the variables of a call name another field that has the same value."""
        if not self._others:
            return False
        names = {_plain_name(each) for each in variables if type(each) in (str, bytes)}
        return bool(names & self._others) and not names & self._names


def _as_bytes(texts: Iterable[str]) -> Iterator[bytes]:
    for each in texts:
        for coding in ("latin-1", "utf-8"):
            try:
                yield each.encode(coding)
            except UnicodeEncodeError:
                pass


def _names_of(kind: str) -> tuple[str, ...]:
    return {"path": ("path", "uri", "target", "url"), "body": ("body", "data")}.get(kind, ())


def _plain_name(key: object) -> str:
    """`user-agent` for HTTP_USER_AGENT, User-Agent and b'user-agent'."""
    if isinstance(key, bytes):
        key = key.decode("latin-1")
    if not isinstance(key, str):
        return ""
    return key.lower().replace("_", "-").removeprefix("http-")


def wanted_value(what: str, sent: Sent) -> Wanted:
    """The value `what` of a request. Raises `UnknownValue`."""
    kind, colon, name = what.partition(":")
    kind = kind.strip().lower()
    name = name.strip()
    if kind not in PLAIN + NAMED or (kind in NAMED) != bool(name) or (colon and not name):
        raise UnknownValue(f"{what!r} is not a value of a request. Use {KINDS}.")
    found = _FINDERS[kind](name, sent)
    shown = f"{kind}:{name}" if name else kind
    if found is None:
        raise UnknownValue(f"{shown} is not in the request. {_hint(kind, sent)}".rstrip())
    if not any(piece.wire for piece in found.pieces):
        raise UnknownValue(f"{shown} is empty, so it cannot be recognised. Send another value.")
    found.pieces = [piece for piece in found.pieces if piece.wire]
    found.others += _elsewhere(found, sent)
    found.forms = _forms(found)
    return found


def _hint(kind: str, sent: Sent) -> str:
    return {
        "header": f"The headers are {', '.join(name for name, _ in sent.fields)}. Add one with -H.",
        "cookie": "Send it with -H 'Cookie: NAME=VALUE'.",
        "query": "Add ?NAME=VALUE to the path.",
        "form": "Send it with -d 'NAME=VALUE'.",
        "body": "Send one with -d or --json.",
    }.get(kind, "")


def _elsewhere(found: Wanted, sent: Sent) -> Iterator[str]:
    """Names of values of other kinds that are equal to this one."""
    wires = {piece.wire for piece in found.pieces}
    pairs: list[tuple[str, str]] = []
    if found.kind != "header":
        pairs += sent.fields
    if found.kind != "query":
        pairs += parse_qsl(sent.path.partition("?")[2])
    if found.kind not in ("form", "body") and sent.body and len(sent.body) < LARGE:
        pairs += parse_qsl(sent.body.decode("latin-1"))
    yield from (name for name, value in pairs if value in wires and name != found.name)


def _forms(wanted: Wanted) -> list[str]:
    found: set[str] = set()
    wires = [piece.wire for piece in wanted.pieces]
    # Servers join the lines of one header (RFC 9110, 5.3).
    joined = [comma.join(wires) for comma in (", ", ",")] if wanted.kind == "header" else []
    for wire in [*wires, *joined]:
        found |= {wire, _utf8(wire.encode("latin-1"))}
        if wanted.kind in ("query", "path", "form"):
            plus = wire if wanted.kind == "path" else wire.replace("+", " ")
            decoded = unquote_to_bytes(plus.encode("latin-1"))
            found |= {_utf8(decoded), decoded.decode("latin-1")}
        if wanted.kind == "cookie" and wire.startswith('"'):
            found.add(wire.strip('"'))
    return sorted(found)


def _utf8(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _latin(text: str) -> str:
    """The bytes of a text as characters."""
    return text.encode().decode("latin-1")


def _header(name: str, sent: Sent) -> Wanted | None:
    lines = [field for field in sent.fields if field[0].lower() == name.lower()]
    if not lines:
        return None
    wires = {_latin(value.strip()) for _, value in lines}
    others = [
        key for key, value in sent.fields
        if key.lower() != name.lower() and _latin(value.strip()) in wires
    ]  # fmt: skip
    pieces, contexts = [], []
    for key, value in lines:
        wire = _latin(value.strip())
        pieces.append(Piece(f"\r\n{key}: ", wire))
        contexts += [f"{key}: {wire}", f"{key.lower()}: {wire}", f"{key}:{wire}"]
    return Wanted("header", lines[0][0], pieces, contexts, others)


def _path(name: str, sent: Sent) -> Wanted | None:
    alone = sent.path.partition("?")[0]
    contexts = [f"{sent.method} {sent.path}", *([sent.path] if sent.path != alone else [])]
    found = Wanted("path", "", [Piece(f"{sent.method} ", alone)], contexts)
    found.parts = [form for part in alone.split("/") for form in sorted({part, unquote(part)})]
    return found


def _query(name: str, sent: Sent) -> Wanted | None:
    first, mark, query = sent.path.partition("?")
    return _pairs("query", name, query, f"{sent.method} {first}{mark}", "&", unquote_plus)


def _cookie(name: str, sent: Sent) -> Wanted | None:
    found: Wanted | None = None
    for key, value in sent.fields:
        if key.lower() == "cookie":
            part = _pairs("cookie", name, _latin(value), f"\r\n{key}: ", ";", str.strip)
            found = _both(found, part)
    return found


def _both(first: Wanted | None, second: Wanted | None) -> Wanted | None:
    if first is None or second is None:
        return first or second
    first.pieces += second.pieces
    first.contexts += second.contexts
    first.others += second.others
    return first


def _pairs(
    kind: str,
    name: str,
    text: str,
    before: str,
    separator: str,
    decoded: Callable[[str], str],
) -> Wanted | None:
    """The values of `name` in a text such as `a=1&b=2`."""
    found = Wanted(kind, name, [])
    pairs = text.split(separator)
    for number, pair in enumerate(pairs):
        key, equals, value = pair.partition("=")
        if decoded(key) != name:
            continue
        space = value[: len(value) - len(value.lstrip())]
        in_front = separator.join([*pairs[:number], ""]) + key + equals + space
        found.pieces.append(Piece(before + in_front, value.strip()))
        found.contexts.append(pair.strip())
    wires = {piece.wire for piece in found.pieces}
    for pair in pairs:
        key, _, value = pair.partition("=")
        if decoded(key) != name and value.strip() in wires:
            found.others.append(decoded(key))
    return found if found.pieces else None


def _form(name: str, sent: Sent) -> Wanted | None:
    body = sent.body or b""
    content_type = next((value for key, value in sent.fields if key.lower() == "content-type"), "")
    boundary = FORM.search(content_type)
    if boundary is None:
        return _pairs("form", name, body.decode("latin-1"), "", "&", unquote_plus)
    found = Wanted("form", name, [])
    end = b"\r\n--" + boundary[1].strip().encode()
    for part in (b"\r\n" + body).split(end):
        head, blank, content = part.partition(b"\r\n\r\n")
        named = PART_NAME.search(head)
        if named and blank and (named[1] or named[2]).decode("utf-8", "replace") == name:
            before = (head + blank).lstrip(b"\r\n").decode("latin-1")
            wire = content.decode("latin-1")
            found.pieces.append(Piece(before, wire))
            found.contexts += [before + wire, wire + end.decode("latin-1")]
    return found if found.pieces else None


def _body(name: str, sent: Sent) -> Wanted | None:
    if not sent.body:
        return None
    wire = sent.body.decode("latin-1")
    contexts = [wire] if len(wire) >= LONG else [f"\r\n\r\n{wire}"]
    return Wanted("body", "", [Piece("", wire)], contexts)


_FINDERS = {
    "header": _header,
    "path": _path,
    "query": _query,
    "form": _form,
    "cookie": _cookie,
    "body": _body,
}
