"""Replaces the values of named query parameters in what is logged of a request.

`carboy run --access-log-redact token` logs `/reset?token=***`. A name is compared after it was
percent-decoded, and without regard to case, so `%74oken` is found too. A value goes on to the next
`&` or `#`, or to the end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from urllib.parse import unquote_plus

from carboy.server.logs.debugger_secrets import without_secrets

MASK = "***"
# Some applications separate parameters with ";".
_name = re.compile(r"(?:^|(?<=[?&;#]))([^=&;?#]+)=").finditer
# The space is that of a request line; no valid target has one.
_end = re.compile(r"[&#]| HTTP/|$").search

Private = Callable[[str], str]


def redaction(names: Iterable[str]) -> Private:
    """A function that removes secrets from a request line, target, query or URL."""
    wanted = frozenset(name.casefold() for name in names)
    if not wanted:
        return without_secrets

    def private(text: str) -> str:
        if "=" not in text:
            return text
        return without_secrets(without_values(text, wanted))

    return private


def without_values(text: str, wanted: frozenset[str]) -> str:
    """`text` with MASK instead of the values of the parameters that are `wanted` (casefolded)."""
    parts = []
    done = 0
    for found in _name(text):
        if found.start() < done or unquote_plus(found[1]).casefold() not in wanted:
            continue
        end = _end(text, found.end())
        assert end is not None  # the end of the text matches
        parts += [text[done : found.end()], MASK]
        done = end.start()
    return "".join(parts) + text[done:]
