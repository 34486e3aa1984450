"""Masks secrets in what the debugger and the list of requests show, by the names of values."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_plus

SECRET = re.compile(
    "pass|secret|token|key(?!word|board)|auth(?!or(?!i[sz]))|csrf|session|cookie|credential|signature",
    re.I,
)  # but not "author" and "keyword"
MASK = "••••••"
URL_FIELDS = ("referer", "origin", "location")
QUERY = re.compile(r"([?&;#])([^=&;#]*)=([^&;#]*)")
PASSWORD = re.compile(r"(//[^/@:]*:)[^/@]*@")


def masked(name: str, value: Any) -> Any:
    """The value, masked if its name is that of a secret; so are the values inside it."""
    if SECRET.search(name):
        return MASK
    if isinstance(value, dict):
        return {key: masked(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        inside = [masked("", inner) for inner in value]
        return inside if isinstance(value, list) else tuple(inside)
    return value


def masked_url(url: str) -> str:
    """A URL with masked secrets in its query and a masked password in its user information."""
    url = PASSWORD.sub(rf"\1{MASK}@", url)
    return QUERY.sub(_masked_parameter, url)


def _masked_parameter(match: re.Match[str]) -> str:
    before, name, value = match.groups()
    return f"{before}{name}={masked(unquote_plus(name), value)}"


def masked_header(name: str, value: str) -> str:
    """The value of a header field without secrets."""
    return masked_url(value) if name.lower() in URL_FIELDS else str(masked(name, value))
