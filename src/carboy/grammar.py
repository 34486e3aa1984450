"""Tokens of RFC 9110 and RFC 9112 that the server and the framework share.

Patterns are used with `fullmatch`, because ``$`` accepts a newline. Each repetition is possessive
or bounded, so that the time of a check is linear in its input.
"""

from __future__ import annotations

import re

# RFC 9110, section 5.6.2: tchar
TCHAR = r"!#$%&'*+\-.^_`|~0-9A-Za-z"
# RFC 9110, section 5.6.4: quoted-string, without control characters, which have no use in it
QUOTED_STRING = r'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t !-~\x80-\xff])*+"'
# RFC 9110, section 5.5: characters that a field value never has (HTAB is allowed)
CONTROL = r"\x00-\x08\x0a-\x1f\x7f"

_token = re.compile(f"[{TCHAR}]++").fullmatch
_control = re.compile(f"[{CONTROL}]").search
_control_or_tab = re.compile(r"[\x00-\x1f\x7f]").search

# RFC 3986, section 3.2.2
_H16 = "[0-9A-Fa-f]{1,4}"
_DEC_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"{_DEC_OCTET}(?:\.{_DEC_OCTET}){{3}}"
_LS32 = f"(?:{_H16}:{_H16}|{_IPV4})"
_IPV6 = "|".join(
    (
        f"(?:{_H16}:){{6}}{_LS32}",
        f"::(?:{_H16}:){{5}}{_LS32}",
        f"(?:{_H16})?::(?:{_H16}:){{4}}{_LS32}",
        f"(?:(?:{_H16}:){{0,1}}{_H16})?::(?:{_H16}:){{3}}{_LS32}",
        f"(?:(?:{_H16}:){{0,2}}{_H16})?::(?:{_H16}:){{2}}{_LS32}",
        f"(?:(?:{_H16}:){{0,3}}{_H16})?::{_H16}:{_LS32}",
        f"(?:(?:{_H16}:){{0,4}}{_H16})?::{_LS32}",
        f"(?:(?:{_H16}:){{0,5}}{_H16})?::{_H16}",
        f"(?:(?:{_H16}:){{0,6}}{_H16})?::",
    )
)
_IPVFUTURE = r"[vV][0-9A-Fa-f]{1,8}\.[0-9A-Za-z\-._~!$&'()*+,;=:]{1,64}"
_REG_NAME = r"(?:[0-9A-Za-z\-._~!$&'()*+,;=]++|%[0-9A-Fa-f]{2})++"
_PORT = "(?:6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[0-9]{0,4})"
# RFC 9110, section 7.2: Host = uri-host [ ":" port ]. An empty host is invalid for http
# (RFC 9110, section 4.2.1). Userinfo is not allowed: RFC 9110, section 4.2.4.
HOST = rf"(?:\[(?:{_IPV6}|{_IPVFUTURE})\]|{_REG_NAME})(?::{_PORT})?"


def is_token(text: str) -> bool:
    """Whether `text` is a token: a method, field name or parameter name (RFC 9110, 5.6.2)."""
    return _token(text) is not None


def has_control(text: str) -> bool:
    """Whether `text` has a control character other than HTAB: CR, LF, NUL, DEL, …"""
    return _control(text) is not None


def has_control_or_tab(text: str) -> bool:
    """Whether `text` has any control character, including HTAB (cookies, reasons)."""
    return _control_or_tab(text) is not None
