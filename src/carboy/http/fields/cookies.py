"""The parser of `Cookie` and the writer of `Set-Cookie` (RFC 6265)."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar, overload
from urllib.parse import quote

from carboy.dates import http_date
from carboy.grammar import has_control_or_tab
from carboy.http.containers.multidict import MultiDict, made_of

M = TypeVar("M", bound="MultiDict[str, str]")

# Browsers keep at most 180 cookies for a site (RFC 6265 requires 50). More cookies are dropped.
MAX_COOKIES = 500
# Every browser accepts cookies of 4096 bytes, with name and attributes.
MAX_COOKIE_SIZE = 4093

# A pair and the semicolon after it. Names and values with a space or quote do not match.
_pair = re.compile(
    r'[ \t]*+([^ \t";=]++)[ \t]*+'
    r'(?:=[ \t]*+(?:("(?:[^"\\]++|\\.)*+")|([^ \t";]*+))[ \t]*+)?(?:;|\Z)',
)
_escape = re.compile(rb"\\(?:([0-3][0-7]{2})|(.))")

_plain_value = re.compile(r"[\w!#$%&'()*+\-./:<=>?@\[\]^`{|}~]*+", re.ASCII).fullmatch
_ESCAPES = {byte: f"\\{byte:03o}" for byte in (*range(0x20), *b",;", *range(0x7F, 0x100))}
_ESCAPES |= {ord('"'): '\\"', ord("\\"): "\\\\"}
_no_name = re.compile(r'[\x00-\x20\x7f";=]').search
_no_domain = re.compile(r"[\x00-\x20\x7f;,]").search

_SAME_SITE = frozenset({"Strict", "Lax", "None"})


@overload
def parse_cookie(header: Mapping[str, Any] | str | None) -> MultiDict[str, str]: ...
@overload
def parse_cookie(header: Mapping[str, Any] | str | None, cls: None) -> MultiDict[str, str]: ...
@overload
def parse_cookie(header: Mapping[str, Any] | str | None, cls: type[M]) -> M: ...
def parse_cookie(header: Mapping[str, Any] | str | None, cls: Any = None) -> Any:
    """The cookies of a `Cookie` field (text or a WSGI environ), in order.

    Bytes are decoded as UTF-8. A cookie without a name, with a space in its value or with an
    unclosed quote is dropped, and so are cookies after the 500th.
    """
    if header is not None and not isinstance(header, str):
        header = header.get("HTTP_COOKIE")
    cls = MultiDict if cls is None else cls
    if not header:
        return cls()
    if not header.isascii():
        header = _utf8(header)
    return made_of(cls, _quoted_pairs(header) if '"' in header else _plain_pairs(header))


def parse_cookie_field(cookie: str | None = None, cls: type[Any] | None = None) -> Any:
    """The cookies of a `Cookie` field that is decoded text, unlike the text of an environ."""
    return parse_cookie(cookie and cookie.encode().decode("latin-1"), cls)


def _utf8(header: str) -> str:
    try:
        return header.encode("latin-1").decode("utf-8", "replace")
    except UnicodeEncodeError:  # the header is decoded text, not bytes read as Latin-1
        return header


def _plain_pairs(header: str) -> list[tuple[str, str]]:
    header = header.replace("; ", ";")
    parts = header.split(";", MAX_COOKIES)[:MAX_COOKIES]
    pairs: list[tuple[str, str]] = []
    if " " not in header and "\t" not in header:  # the usual case
        for part in parts:
            name, _, value = part.partition("=")
            if name:
                pairs.append((name, value))
        return pairs
    for part in parts:
        name, _, value = part.partition("=")
        name = name.strip(" \t")
        value = value.strip(" \t")
        if name and not (" " in name or " " in value or "\t" in name or "\t" in value):
            pairs.append((name, value))
    return pairs


def _quoted_pairs(header: str) -> list[tuple[str, str]]:
    # The scan of a quoted value ends at the next quote at the latest, so the time is linear.
    pairs: list[tuple[str, str]] = []
    position, end = 0, len(header)
    while position < end and len(pairs) < MAX_COOKIES:
        match = _pair.match(header, position)
        if match is None:
            position = header.find(";", position) + 1 or end
            continue
        position = match.end()
        name, quoted, plain = match.groups()
        pairs.append((name, plain or "" if quoted is None else _unquoted(quoted[1:-1])))
    return pairs


def _unquoted(value: str) -> str:
    if "\\" not in value:
        return value
    return _escape.sub(_unescape, value.encode()).decode("utf-8", "replace")


def _unescape(match: re.Match[bytes]) -> bytes:
    octal, char = match.groups()
    return char if octal is None else bytes((int(octal, 8),))


def dump_cookie(
    key: str,
    value: str = "",
    max_age: timedelta | int | None = None,
    expires: str | datetime | int | float | None = None,
    path: str | None = "/",
    domain: str | None = None,
    secure: bool = False,
    httponly: bool = False,
    sync_expires: bool = True,
    max_size: int = MAX_COOKIE_SIZE,
    samesite: str | None = None,
    partitioned: bool = False,
) -> str:
    """The value of a `Set-Cookie` field.

    `max_age` is in seconds. With `sync_expires` it also sets `Expires`, for old browsers.
    `partitioned` requires and sets `Secure`. ValueError if a name, domain or date contains
    characters that would change the rest of the field. A warning is issued for a cookie of more
    than `max_size` bytes (0: no limit).
    """
    if not key or _no_name(key):
        raise ValueError(
            f"{key!r} is not a cookie name. Use a name without spaces, quotes, ';', '=' and control"
            " characters."
        )
    parts = [f"{_as_latin1(key)}={_dumped(value)}"]
    if domain is not None:
        parts.append(f"Domain={_domain(domain)}")
    if isinstance(max_age, timedelta):
        max_age = int(max_age.total_seconds())
    if expires is not None:
        parts.append(f"Expires={_expires(expires)}")
    elif max_age is not None and sync_expires:
        parts.append(f"Expires={http_date(time.time() + max_age)}")
    if max_age is not None:
        parts.append(f"Max-Age={max_age}")
    if secure or partitioned:
        parts.append("Secure")
    if httponly:
        parts.append("HttpOnly")
    if path is not None:
        parts.append("Path=/" if path == "/" else f"Path={quote(path, safe=_PATH_SAFE)}")
    if samesite is not None:
        parts.append(f"SameSite={_same_site(samesite)}")
    if partitioned:
        parts.append("Partitioned")
    cookie = "; ".join(parts)
    if max_size and len(cookie) > max_size:
        warnings.warn(
            f"The {key!r} cookie is too large: it has {len(cookie)} bytes, {len(value)} of them"
            f" its value, but the limit is {max_size} bytes. Browsers may drop it. Store less"
            " in it.",
            stacklevel=2,
        )
    return cookie


_PATH_SAFE = "%!$&'()*+,/:=@"


def _as_latin1(key: str) -> str:
    return key if key.isascii() else key.encode().decode("latin-1")


def _dumped(value: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"A cookie's value has to be text, not {type(value).__name__}: {value!r}.")
    if _plain_value(value):
        return value
    return f'"{_as_latin1(value).translate(_ESCAPES)}"'


def _domain(domain: str) -> str:
    """The domain without port and leading dot, in ASCII (RFC 6265, section 5.2.3)."""
    if _no_domain(domain):
        raise ValueError(f"{domain!r} is not a domain. Use a name such as 'example.com'.")
    domain = domain.partition(":")[0].lstrip(".")
    if not domain.isascii():
        return domain.encode("idna").decode("ascii")
    labels = domain.removesuffix(".").split(".") if domain else []
    if any(not 0 < len(label) < 64 for label in labels):
        raise ValueError(
            f"{domain!r} is not a domain. Each of its labels needs 1 to 63 characters."
        )
    return domain


def _expires(expires: str | datetime | int | float) -> str:
    if not isinstance(expires, str):
        return http_date(expires)
    if ";" in expires or has_control_or_tab(expires):
        raise ValueError(
            f"{expires!r} is not a date. Pass a datetime, or text made by http_date()."
        )
    return expires


def _same_site(samesite: str) -> str:
    samesite = samesite.title()
    if samesite not in _SAME_SITE:
        raise ValueError(f"SameSite must be 'Strict', 'Lax', or 'None', not {samesite!r}.")
    return samesite
