"""Reads a head whose fields differ little from those of the request before on the connection.

Of the fields that browsers send, one or two change: Referer, Cookie, a time. So the lines of both
heads are compared, and only those that differ are checked. The compiled reader of whole heads
(_speedups/head.pyx) is quicker than this, and needs no such function.
"""

from __future__ import annotations

from itertools import compress
from operator import ne

from .events import RequestHead
from .head import COUNTED, has_start, quick_head
from .limits import Limits

MOST_CHANGES = 4  # fields that differ; with more, the whole head is read as quickly
# Names of fields that were found to decide nothing. Bounded: a full table is emptied.
NAMES_SIZE, NAME_SIZE = 256, 64
_names: dict[bytes, str] = {}
_CONTROLS = bytes(i for i in range(256) if (i < 32 and i != 9) or i == 127)  # without HTAB
_new = RequestHead.__new__


def whole_head(data: bytes, limits: Limits, last: RequestHead | None = None) -> RequestHead | None:
    """As `quick_head`; `last` is the head before on the connection."""
    if last is not None and last.tail:
        head = changed_head(data, last)
        if head is not None:
            return head
    return quick_head(data, limits)


def changed_head(data: bytes, last: RequestHead) -> RequestHead | None:
    """The head in `data` if only values of fields differ from `last`; else None.

    `last` has a tail. A line that differs has to have the name of the line before, which must not
    decide anything about the request, and a value without a control character (RFC 9110, section
    5.5). Everything else was valid in `last`, byte for byte; method and target are checked in full.
    """
    before = last.lines
    if before is None:
        before = last.lines = last.tail.split(b"\r\n")
    version = before[0]
    lines = data.split(b"\r\n")
    first = lines[0]
    if (
        len(lines) != len(before)
        or not first.endswith(version)
        or last.__class__ is not RequestHead
    ):
        return None
    lines[0] = version
    changes: list[tuple[str, str, str]] = []
    for line, old in compress(zip(lines, before, strict=True), map(ne, lines, before)):
        name, colon, value = line.partition(b":")
        text = _names.get(name) or _checked_name(name)
        if (
            text is None
            or not old.startswith(name + b":")
            or not colon
            or len(value.translate(None, _CONTROLS)) != len(value)
            or b"forwarded" in value.lower()
            or len(changes) == MOST_CHANGES
        ):
            return None
        changes.append((text, _text(old[len(name) + 1 :]), _text(value)))
    head = _new(RequestHead)
    start = first[: -len(version)]
    if not has_start(head, start):
        return None
    head.host = last.host
    head.tail = data[len(start) :]
    head.found = None
    head.lines = lines
    head.changes = last.tail, changes
    head.content_length = last.content_length
    head.minor = last.minor
    head.keep_alive = last.keep_alive
    return head


def _text(value: bytes) -> str:
    return value.strip(b" \t").decode("latin-1")


def _checked_name(name: bytes) -> str | None:
    """A name that decides nothing, if the head before has it as well; else None."""
    lower = name.lower()
    if not name or lower in COUNTED or b"forwarded" in lower:
        return None
    if len(_names) >= NAMES_SIZE:
        _names.clear()
    text = name.decode("latin-1")
    if len(name) <= NAME_SIZE:
        _names[name] = text
    return text
