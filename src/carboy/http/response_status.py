"""The status of a response: a code and its phrase."""

from __future__ import annotations

from typing import Any

from carboy.grammar import has_control_or_tab
from carboy.http.status import HTTP_STATUS_CODES

# A response without content whatever its body is (RFC 9110, sections 15.2, 15.3.5, 15.4.5).
EMPTY = frozenset({204, 304})

_known: dict[int, str] = {
    code: f"{code} {phrase.upper()}" for code, phrase in HTTP_STATUS_CODES.items()
}


def of_code(code: int) -> str:
    """`404 NOT FOUND`; UNKNOWN for a code without a phrase."""
    return _known.get(code) or f"{int(code)} UNKNOWN"


def cleaned(value: Any) -> tuple[str, int]:
    """Text and number of a status given as either. Text without a number gets the number 0.

    ValueError if it is empty or holds a control character, which would end the line.
    """
    if isinstance(value, int):
        return of_code(value), int(value)
    text = value.strip()
    if not text:
        raise ValueError("Empty status argument: give a code, or text such as '200 OK'.")
    if has_control_or_tab(text):
        raise ValueError(f"A status may not hold control characters: {text!r}.")
    code, _, phrase = text.partition(" ")
    try:
        number = int(code)
    except ValueError:
        return f"0 {text}", 0
    return (text if phrase else of_code(number)), number


def is_empty(code: int) -> bool:
    """Whether a response of this status has no content."""
    return code in EMPTY or 100 <= code < 200
