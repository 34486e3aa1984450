"""Secrets that were seen under their name, so that they are left out where nothing names them.

A password that came as `password=…` goes on as the argument of a function that calls it `value`.
"""

from __future__ import annotations

import base64
import binascii
import re

MASK = "…"
SHORTEST = 4  # characters: what is shorter is part of too many other things
LONG = 24  # of a longer one the beginning is looked for, because values are cut off
MOST = 50  # that are remembered, the newest
HARMLESS = re.compile(r"(?i)true|false|none|null|\d{1,7}")

_seen: dict[str, None] = {}


def learn(name: str, value: str) -> None:
    """A secret of this name was seen; of a header field the secrets in it."""
    name = name.lower()
    if "cookie" in name:
        pairs = value.split(";")[: 1 if "set-cookie" in name else None]
        for pair in pairs:
            _add(pair.rpartition("=")[2])
    elif "authorization" in name:
        scheme, _, credentials = value.partition(" ")
        _add(credentials or scheme)
        if scheme.lower() == "basic":
            _add(_password(credentials))
    else:
        _add(value)


def without(text: str) -> str:
    """The text without those that were seen."""
    for secret in tuple(_seen):
        if secret[:LONG] in text:
            more = r"[^\s'\",;&]*" if len(secret) > LONG else ""
            text = re.sub(re.escape(secret[:LONG]) + more, MASK, text)
    return text


def _add(secret: str) -> None:
    secret = secret.strip(" \"'")
    if len(secret) < SHORTEST or HARMLESS.fullmatch(secret):
        return
    _seen.pop(secret, None)
    _seen[secret] = None
    for old in tuple(_seen)[:-MOST]:
        _seen.pop(old, None)


def _password(credentials: str) -> str:
    try:
        return base64.b64decode(credentials).decode("utf-8", "replace").partition(":")[2]
    except (binascii.Error, ValueError):
        return ""
