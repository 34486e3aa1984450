"""A value in a request that `carboy explain` follows: where it is, and how to recognise it.

It is given as `header:User-Agent`, `query:q`, `form:name`, `cookie:theme`, `path` or `body`. On its
way a value changes its form: from bytes to text, from percent-encoded to decoded. A text or bytes
holds the value if it is one of these forms, or contains the value together with its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import unquote_plus, unquote_to_bytes

PLAIN = ("path", "body")
NAMED = ("header", "query", "form", "cookie")
KINDS = "header:NAME, query:NAME, form:NAME, cookie:NAME, path or body"
LONG = 6  # characters; a shorter value may be equal to other text by chance
FORM = re.compile(r"(?i)multipart/form-data\s*;.*?boundary=\"?([^\";,]+)")
PART_NAME = re.compile(rb"(?i)[; ]name=\"([^\"]*)\"")


class UnknownValue(Exception):
    """The value is not of a known kind, or the request does not have it; the text says which."""


@dataclass(slots=True)
class Wanted:
    """The value to follow. Bytes are kept as text of the characters 0 to 255."""

    kind: str
    name: str
    wire: str  # the bytes of the value as they are sent
    before: str  # the bytes in front of it, from the start of its line or of the body
    forms: list[str] = field(default_factory=list)  # the value, encoded and decoded
    contexts: list[str] = field(default_factory=list)  # the value with its name
    others: list[str] = field(default_factory=list)  # names of other fields with this value

    @property
    def title(self) -> str:
        """The kind and the name as words: `the header User-Agent`."""
        words = {"query": "query parameter", "form": "form field"}
        return " ".join(filter(None, ("the", words.get(self.kind, self.kind), self.name)))

    def offset(self, received: bytes) -> int:
        """The number of bytes in front of the value, or -1 if it is not in one piece."""
        head = received.find(b"\r\n\r\n") + 4
        lines = 0 if self.kind in ("path", "query") else received.find(b"\r\n")
        start, end = (head, len(received)) if self.kind in ("form", "body") else (lines, head)
        before, wire = (each.encode("latin-1") for each in (self.before, self.wire))
        found = received.lower().find(before.lower() + wire.lower(), start, end)
        while found >= 0 and not received.startswith(wire, found + len(before)):
            found = received.lower().find(before.lower() + wire.lower(), found + 1, end)
        return found + len(before) if found >= 0 else -1

    def as_data(self) -> dict[str, Any]:
        """The value for a file."""
        return asdict(self)


class Matcher:
    """Says whether a text or bytes holds the value."""

    def __init__(self, wanted: Wanted) -> None:
        texts = {each for each in wanted.forms if each}
        self.forms: frozenset[str | bytes] = frozenset(texts | set(_as_bytes(texts)))
        self.is_long = min(map(len, texts), default=0) >= LONG
        self.longest = max(map(len, self.forms), default=0)
        contexts = {each for each in wanted.contexts if each}
        self._texts = sorted(contexts)
        self._bytes = sorted(set(_as_bytes(contexts)))
        self._names = {_plain_name(wanted.name), *_names_of(wanted.kind)} - {""}
        self._others = {_plain_name(each) for each in wanted.others}

    def is_value(self, text: str | bytes) -> bool:
        """Whether the text is the value and nothing else."""
        if text in self.forms:
            return True
        return len(text) <= self.longest + 4 and text.strip() in self.forms

    def contains(self, text: str | bytes) -> bool:
        """Whether the text contains the value together with its name."""
        if isinstance(text, str):
            return any(each in text for each in self._texts)
        return any(each in text for each in self._bytes)

    def is_named(self, key: object) -> bool:
        """Whether the key of a container is the name of the value."""
        name = _plain_name(key)
        return any(each in name for each in self._names)

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


def wanted_value(
    what: str, method: str, path: str, fields: Mapping[str, str], body: bytes | None
) -> Wanted:
    """The value `what` of a request. Raises `UnknownValue`."""
    kind, colon, name = what.partition(":")
    kind = kind.strip().lower()
    name = name.strip()
    if kind not in PLAIN + NAMED or (kind in NAMED) != bool(name) or (colon and not name):
        raise UnknownValue(f"{what!r} is not a value of a request. Use {KINDS}.")
    found = _FINDERS[kind](name, method, path, fields, body or b"")
    if found is None or not found.wire:
        empty = "is empty" if found is not None else "is not in the request"
        shown = f"{kind}:{name}" if name else kind
        raise UnknownValue(f"{shown} {empty}. {_hint(kind, fields)}")
    found.forms = _forms(found.wire, kind)
    return found


def _hint(kind: str, fields: Mapping[str, str]) -> str:
    return {
        "header": f"The headers are {', '.join(fields)}. Add one with -H.",
        "cookie": "Send it with -H 'Cookie: NAME=VALUE'.",
        "query": "Add ?NAME=VALUE to the path.",
        "form": "Send it with -d 'NAME=VALUE'.",
        "body": "Send one with -d or --json.",
    }.get(kind, "")


def _forms(wire: str, kind: str) -> list[str]:
    raw = wire.encode("latin-1")
    found = {wire, _utf8(raw)}
    if kind in ("query", "path", "form"):
        decoded = unquote_to_bytes(wire.replace("+", " ") if kind != "path" else wire)
        found |= {_utf8(decoded), decoded.decode("latin-1")}
    if kind == "cookie" and wire.startswith('"'):
        found.add(wire.strip('"'))
    return sorted(found)


def _utf8(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _header(
    name: str, method: str, path: str, fields: Mapping[str, str], body: bytes
) -> Wanted | None:
    found = next((each for each in fields if each.lower() == name.lower()), None)
    if found is None:
        return None
    wire = fields[found].strip().encode().decode("latin-1")
    others = [each for each, value in fields.items() if each != found and value == fields[found]]
    line = f"{found}: {wire}"
    contexts = [line, f"{found.lower()}: {wire}", f"{found}:{wire}"]
    return Wanted("header", found, wire, f"\r\n{found}: ", [], contexts, others)


def _path(
    name: str, method: str, path: str, fields: Mapping[str, str], body: bytes
) -> Wanted | None:
    alone = path.partition("?")[0]
    contexts = [f"{method} {path}", *([path] if path != alone else [])]
    return Wanted("path", "", alone, f"{method} ", [], contexts)


def _query(
    name: str, method: str, path: str, fields: Mapping[str, str], body: bytes
) -> Wanted | None:
    first, mark, query = path.partition("?")
    return _pair("query", name, query, f"{method} {first}{mark}", "&", unquote_plus)


def _cookie(
    name: str, method: str, path: str, fields: Mapping[str, str], body: bytes
) -> Wanted | None:
    found = next((each for each in fields if each.lower() == "cookie"), "")
    cookies = fields.get(found, "").encode().decode("latin-1")
    return _pair("cookie", name, cookies, f"\r\n{found}: ", ";", str.strip)


def _pair(
    kind: str, name: str, text: str, before: str, separator: str, decoded: Any
) -> Wanted | None:
    """The value of `name` in a text such as `a=1&b=2`."""
    pairs = text.split(separator)
    for number, pair in enumerate(pairs):
        key, equals, value = pair.partition("=")
        if decoded(key) != name:
            continue
        in_front = separator.join([*pairs[:number], ""]) + key + equals
        others = [
            decoded(other.partition("=")[0]) for other in pairs
            if other is not pair and other.partition("=")[2] == value
        ]  # fmt: skip
        return Wanted(
            kind, name, value.strip(), before + in_front, [], [pair.strip()],
            [each for each in others if each != name],
        )  # fmt: skip
    return None


def _form(
    name: str, method: str, path: str, fields: Mapping[str, str], body: bytes
) -> Wanted | None:
    content_type = next(
        (value for key, value in fields.items() if key.lower() == "content-type"), ""
    )
    boundary = FORM.search(content_type)
    if boundary is None:
        return _pair("form", name, body.decode("latin-1"), "", "&", unquote_plus)
    end = b"\r\n--" + boundary[1].strip().encode()
    start = 0
    for part in (b"\r\n" + body).split(end):
        head, blank, content = part.partition(b"\r\n\r\n")
        named = PART_NAME.search(head)
        if named and blank and named[1].decode("utf-8", "replace") == name:
            before = (head + blank).lstrip(b"\r\n").decode("latin-1")
            wire = content.decode("latin-1")
            contexts = [before + wire, wire + end.decode("latin-1")]
            return Wanted("form", name, wire, before, [], contexts)
        start += len(part)
    return None


def _body(
    name: str, method: str, path: str, fields: Mapping[str, str], body: bytes
) -> Wanted | None:
    if not body:
        return None
    wire = body.decode("latin-1")
    contexts = [wire] if len(wire) >= LONG else [f"\r\n\r\n{wire}"]
    return Wanted("body", "", wire, "", [], contexts)


_FINDERS = {
    "header": _header,
    "path": _path,
    "query": _query,
    "form": _form,
    "cookie": _cookie,
    "body": _body,
}
