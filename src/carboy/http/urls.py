"""Conversion between IRIs (RFC 3987), which people read, and URIs (RFC 3986), which are sent."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from carboy.late import compiled_later, parse

if TYPE_CHECKING:
    from urllib.parse import SplitResult

# Usual URLs that are equal in both forms; they need not be parsed.
_plain = compiled_later(
    r"(?:https?://[a-z0-9\-.]++(?::[1-9][0-9]{0,3}+)?+)?+/(?!/)[A-Za-z0-9\-._~/]*+(?:\?[A-Za-z0-9\-._~&=+]++)?+"
)


def _quote_undecodable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return parse.quote(error.object[error.start : error.end]), error.end


codecs.register_error("werkzeug.url_quote", _quote_undecodable)

# Characters that are not encoded (RFC 3986, sections 3.3 to 3.5). "%" begins an encoded one.
PATH_SAFE = "%!$&'()*+,/:;=@"
QUERY_SAFE = PATH_SAFE + "?"
FRAGMENT_SAFE = QUERY_SAFE + "#"

# Control characters, space and percent are never shown decoded.
_ALWAYS = "".join(map(chr, range(0x21))) + "%\x7f"


def _partial_unquote(keep: str) -> Callable[[str], str]:
    """A function that decodes percent-encoded bytes, except those of the characters in `keep`."""
    kept = "|".join(f"{ord(char):02x}" for char in _ALWAYS + keep)
    run = f"(?i:%(?!{kept})[0-9a-f]{{2}})++"

    def decode(match: re.Match[str]) -> str:
        return parse.unquote(match[0], "utf-8", "werkzeug.url_quote")

    # `re` compiles the expression when it is first used, and keeps it: few programs need all four.
    return lambda text: re.sub(run, decode, text) if "%" in text else text


# RFC 3986, section 2.2: delimiters that have a meaning in a part stay encoded.
_unquote_path = _partial_unquote("/?#")
_unquote_query = _partial_unquote("&=+#")
_unquote_fragment = _partial_unquote("")
_unquote_user = _partial_unquote(":@/?#")


def iri_to_uri(iri: str) -> str:
    """The URL in ASCII: percent-encoded, with the host in IDNA. Encoded parts stay unchanged.

    ValueError (or its subclass UnicodeError) if the host or port cannot be encoded.
    """
    if _plain.fullmatch(iri):
        return iri
    parts = _urlsplit()(iri)
    path = parse.quote(parts.path, safe=PATH_SAFE)
    query = parse.quote(parts.query, safe=QUERY_SAFE)
    fragment = parse.quote(parts.fragment, safe=FRAGMENT_SAFE)
    netloc = _netloc(parts, _ascii_host, lambda text: parse.quote(text, safe="%!$&'()*+,;="))
    return parse.urlunsplit((parts.scheme, netloc, path, query, fragment))


def uri_to_iri(uri: str) -> str:
    """The URL as people read it: decoded where this does not change its meaning.

    Bytes that are not UTF-8 and hosts that are not IDNA stay encoded.
    """
    if "xn--" not in uri and _plain.fullmatch(uri):
        return uri
    parts = _urlsplit()(uri)
    return parse.urlunsplit(
        (
            parts.scheme,
            _netloc(parts, _readable_host, _unquote_user),
            _unquote_path(parts.path),
            _unquote_query(parts.query),
            _unquote_fragment(parts.fragment),
        )
    )


@cache
def _urlsplit() -> Callable[[str], SplitResult]:
    """urlsplit without its cache, which would keep clients' URLs, with their tokens."""
    # Otherwise urlunsplit drops the slashes of Apple's scheme, whose host is empty.
    if "itms-services" not in parse.uses_netloc:
        parse.uses_netloc.append("itms-services")
    split = parse.urlsplit
    undecorated: Callable[[str], SplitResult] = getattr(split, "__wrapped__", split)
    return undecorated


def _netloc(parts: SplitResult, host: Callable[[str], str], user: Callable[[str], str]) -> str:
    if not parts.netloc:
        return ""
    name = host(parts.hostname) if parts.hostname else ""
    netloc = f"[{name}]" if ":" in name else name
    if parts.port is not None:
        netloc = f"{netloc}:{parts.port}"
    if parts.username is not None:
        login = user(parts.username)
        if parts.password is not None:
            login = f"{login}:{user(parts.password)}"
        netloc = f"{login}@{netloc}"
    return netloc


def _ascii_host(name: str) -> str:
    return name if name.isascii() else name.encode("idna").decode("ascii")


def _readable_host(name: str) -> str:
    if "xn--" not in name:
        return name
    try:
        return name.encode("ascii").decode("idna")
    except UnicodeError:
        return name
