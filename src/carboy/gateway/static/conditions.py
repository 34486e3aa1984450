"""The conditions and ranges of a request for a file (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

from carboy.dates import parse_date

Range = tuple[int, int]  # the first byte, and the number of bytes
_tags = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")').findall
_range = re.compile(r"(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))").fullmatch
# Of one request. More of them are a sign of an attack (RFC 9110, section 17.15).
MOST_RANGES = 16
CONDITIONS = ("if-match", "if-unmodified-since", "if-none-match", "if-modified-since", "range")


def status_of(fields: Mapping[str, str], tag: str, modified: int) -> int:
    """200, 304 or 412, as the conditions say: in the order of RFC 9110, section 13.2.2.

    `tag` is the strong entity tag with its quotes, `modified` seconds since the epoch.
    """
    if (match := fields.get("if-match")) is not None:
        if match.strip() != "*" and not any(t == tag and not w for w, t in _tags(match)):
            return 412
    elif (since := fields.get("if-unmodified-since")) is not None:
        limit = seconds(since)
        if limit is not None and modified > limit:
            return 412
    if (none := fields.get("if-none-match")) is not None:
        if names_tag(none, tag):
            return 304
    elif (since := fields.get("if-modified-since")) is not None:
        limit = seconds(since)
        if limit is not None and modified <= limit:
            return 304
    return 200


def names_tag(field: str, tag: str) -> bool:
    """Whether an If-None-Match field names this tag, or all. W/ makes no difference (13.1.2)."""
    tag = tag.removeprefix("W/")
    return field.strip() == "*" or any(opaque == tag for _, opaque in _tags(field))


def ranges_of(fields: Mapping[str, str], tag: str, modified: int, size: int) -> list[Range] | None:
    """The ranges to send; [] if there are none in the file (416), None for the whole file.

    A Range field that is malformed is ignored, as one with many or overlapping ranges is.
    """
    text = fields.get("range")
    if text is None or not _holds(fields.get("if-range"), tag, modified):
        return None
    unit, equals, rest = text.partition("=")
    parts = [part.strip() for part in rest.split(",")]
    parts = [part for part in parts if part]
    if unit.strip().lower() != "bytes" or not equals or not 0 < len(parts) <= MOST_RANGES:
        return None
    found: list[Range] = []
    for part in parts:
        match = _range(part)
        if match is None or (match[1] and match[2] and int(match[2]) < int(match[1])):
            return None
        if match[3] is not None:
            start, stop = max(0, size - int(match[3])), size
        else:
            start = int(match[1])
            stop = min(size, int(match[2]) + 1) if match[2] else size
        if start < stop:
            found.append((start, stop - start))
    return None if _overlap(found) else found


def _overlap(ranges: list[Range]) -> bool:
    inorder = sorted(ranges)
    return any(a + n > b for (a, n), (b, _) in pairwise(inorder))


def _holds(condition: str | None, tag: str, modified: int) -> bool:
    """Whether If-Range holds (RFC 9110, section 13.1.5): the same strong tag, or the same date."""
    if condition is None:
        return True
    condition = condition.strip()
    if condition.startswith(('"', "W/")):
        return condition == tag
    return seconds(condition) == modified


def seconds(date: str) -> int | None:
    """An HTTP date in seconds since the epoch; None if it is not a date."""
    found = parse_date(date)
    try:
        return None if found is None else int(found.timestamp())
    except (OverflowError, ValueError):
        return None
