"""Which responses are compressed, and what their header fields are then. Decides only.

The attack BREACH finds out a secret in a response from the lengths of many compressed responses, if
the attacker's own input is repeated beside the secret. So a response is not compressed if both are
likely:

    a secret   the response sets a cookie, varies by Cookie or Authorization, or is private; or the
               request has an Authorization field
    input      the request has a query or a body

With `personal`, such responses are compressed with gzip and padded with a random number of bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from functools import partial

from carboy.gateway.request_fields import fields_of, joined, preferred_coding
from carboy.protocol.events import RequestHead
from carboy.server.dataclass import dataclass
from carboy.server.encoders import Encoder
from carboy.server.setting import COMPRESSION, check_values, setting

Headers = list[tuple[str, str]]
TYPES = (
    "text/*, application/json, application/javascript, application/xml, application/wasm,"
    " application/manifest+json, image/svg+xml, image/x-icon, font/ttf, font/otf, *+json, *+xml"
)
EVENTS = "text/event-stream"
# They say something about the content as it is, so it may not be changed (RFC 9530).
BOUND = frozenset({"content-encoding", "content-range", "content-digest", "content-md5", "digest",
                   "repr-digest"})  # fmt: skip
NEVER = frozenset({"204", "205", "206", "304"})
VARY = ("Vary", "Accept-Encoding")


class Change(Enum):
    """The change to a response."""

    NONE = "none: its content cannot be compressed"
    VARY = "it says that other clients get it compressed"
    COMPRESS = "it is compressed"


@dataclass(frozen=True, slots=True)
class Compression:
    """Compression of responses by the server."""

    compress: bool = setting(
        False,
        "yes or no",
        "Compression of responses, in the coding that the client prefers.",
        COMPRESSION,
    )
    compress_min_size: int = setting(
        1024, "bytes", "Smallest content of a response that is compressed.", COMPRESSION
    )
    compress_types: str = setting(
        TYPES,
        "types",
        "Media types of the responses that are compressed, separated by commas; * is any text.",
        COMPRESSION,
        shown="text, JSON, JavaScript, XML, SVG, WebAssembly and fonts",
    )
    compress_personal: bool = setting(
        False,
        "yes or no",
        "Compression also of responses to requests with a query or body that may have a secret"
        " in them, with a length that varies at random.",
        COMPRESSION,
    )

    def __post_init__(self) -> None:
        check_values(self)
        for each in self.compress_types.split(","):
            if not re.fullmatch(r"\s*[\w.*+-]+(/[\w.*+-]+)?\s*", each):
                raise ValueError(
                    f"--compress-types: {each.strip()!r} is not a media type. Write it like"
                    " application/json or text/*, with commas between several."
                )


@dataclass(slots=True)
class Decision:
    """The change to one response: its header fields then, and the encoder of its content."""

    change: Change
    headers: Headers
    encoder: Callable[[], Encoder] | None = None
    coding: str = ""  # "": each response is encoded in another way
    length: int | None = None  # Content-Length before the change


class Policy:
    """Decides for each response; `encoders` are those of encoders.available()."""

    def __init__(self, settings: Compression, encoders: dict[str, Callable[..., Encoder]]) -> None:
        self._least = settings.compress_min_size
        self._personal = settings.compress_personal
        self._encoders = encoders
        self._codings = tuple(encoders)
        parts = [each.strip().lower() for each in settings.compress_types.split(",")]
        patterns = [re.escape(part).replace(r"\*", "[^;]*") for part in parts]
        self._is_wanted = re.compile("|".join(patterns)).fullmatch
        self._events = EVENTS in parts

    def decide(
        self, head: RequestHead, status: str, headers: Headers, size: int | None, large: int
    ) -> Decision:
        """The decision for a response with `size` bytes of content; None: not known.

        Content of more than `large` bytes is compressed quickly.
        """
        code = status[:3]
        fields = joined(headers)
        if code == "304":
            return _not_modified(head, headers, fields)
        if size is None and fields.get("content-length", "").isdecimal():
            size = int(fields["content-length"])
        if (
            code in NEVER
            or (size is not None and size < self._least)
            or not BOUND.isdisjoint(fields)
            or not self._has_wanted_type(fields.get("content-type", ""))
            or "no-transform" in fields.get("cache-control", "").lower()
        ):
            return Decision(Change.NONE, headers)
        asked = fields_of(head)
        personal = has_secret(asked, headers) and has_input(head)
        if personal and not self._personal:
            return Decision(Change.NONE, headers)
        codings = ("gzip",) if personal else self._codings
        coding = preferred_coding(asked.get("accept-encoding", ""), codings)
        if coding is None:
            return Decision(Change.VARY, with_vary(headers))
        if head.method == "HEAD" and size is None:
            return Decision(Change.VARY, with_vary(headers))
        encoder = partial(self._encoders[coding], size is not None and size > large, personal)
        return Decision(
            Change.COMPRESS,
            encoded(headers, coding),
            encoder,
            "" if personal else coding,
            size,
        )

    def _has_wanted_type(self, value: str) -> bool:
        kind = value.partition(";")[0].strip().lower()
        if kind == EVENTS:
            return self._events
        return self._is_wanted(kind) is not None


def has_secret(asked: dict[str, str], headers: Headers) -> bool:
    """Whether the response may have a secret of one user in it."""
    if "authorization" in asked:
        return True
    for name, value in headers:
        name = name.lower()
        if name == "set-cookie":
            return True
        if name == "vary" and re.search(r"cookie|authorization|\*", value, re.IGNORECASE):
            return True
        if name == "cache-control" and "private" in value.lower():
            return True
    return False


def has_input(head: RequestHead) -> bool:
    """Whether the request has input that the response may repeat."""
    return bool(head.query) or head.has_body


def encoded(headers: Headers, coding: str) -> Headers:
    """The fields of a response in this coding, without its length."""
    changed = [
        (name, weak(value) if name.lower() == "etag" else value)
        for name, value in with_vary(headers)
        if name.lower() not in ("content-length", "accept-ranges")
    ]
    return [*changed, ("Content-Encoding", coding)]


def with_vary(headers: Headers) -> Headers:
    """The fields with Accept-Encoding among those of Vary (RFC 9110, section 12.5.5)."""
    values = ",".join(value for name, value in headers if name.lower() == "vary")
    named = {each.strip().lower() for each in values.split(",")}
    if named & {"*", "accept-encoding"}:
        return headers
    return [*headers, VARY]


def weak(tag: str) -> str:
    """An entity tag for content that is equivalent, not equal (RFC 9110, section 8.8.1)."""
    return tag if tag.startswith("W/") or not tag.startswith('"') else f"W/{tag}"


def _not_modified(head: RequestHead, headers: Headers, fields: dict[str, str]) -> Decision:
    """A 304 has the weak tag that the client has from a compressed response."""
    tag = fields.get("etag", "")
    if tag.startswith('"') and weak(tag) in fields_of(head).get("if-none-match", ""):
        changed = [
            (name, weak(value) if name.lower() == "etag" else value)
            for name, value in with_vary(headers)
        ]
        return Decision(Change.VARY, changed)
    return Decision(Change.NONE, headers)
