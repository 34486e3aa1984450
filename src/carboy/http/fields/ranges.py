"""`Range`, `Content-Range` and `If-Range` (RFC 9110, sections 13.1.5 and 14)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from carboy.dates import http_date, parse_date
from carboy.http.fields.etag import quote_etag, unquote_etag

# Download managers request a few ranges; more are an attack (CVE-2011-3192). A server may ignore
# Range (RFC 9110, section 14.2).
MAX_RANGES = 100

# int() is quadratic in the number of digits and refuses more than 4,300; sizes have less than 20.
_number = re.compile(r"[0-9]{1,1000}", re.ASCII).fullmatch


def _int(text: str) -> int | None:
    text = text.strip(" \t")
    return int(text) if _number(text) else None


def is_byte_range_valid(start: int | None, stop: int | None, length: int | None) -> bool:
    """Whether `start` to `stop` (exclusive) begins within `length` bytes (None: unknown)."""
    if (start is None) != (stop is None):
        return False
    if start is None or stop is None:
        return length is None or length >= 0
    if start < 0 or start >= stop:
        return False
    return length is None or start < length


class IfRange:
    """The condition of a range request: an entity tag, a date, or neither."""

    def __init__(self, etag: str | None = None, date: datetime | None = None) -> None:
        self.etag = etag
        self.date = date

    def to_header(self) -> str:
        """The condition as the value of a field."""
        if self.date is not None:
            return http_date(self.date)
        return "" if self.etag is None else quote_etag(self.etag)

    def __str__(self) -> str:
        return self.to_header()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {str(self)!r}>"


def parse_if_range_header(value: str | None) -> IfRange:
    """The field as a date if it is one, otherwise as an entity tag."""
    if not value:
        return IfRange()
    date = parse_date(value)
    return IfRange(date=date) if date is not None else IfRange(unquote_etag(value)[0])


class Range:
    """The requested ranges of a representation.

    `ranges` has tuples (start, stop) with stop exclusive; (start, None) is the rest from `start`
    on, and (-n, None) is the last n. ValueError for other tuples.
    """

    def __init__(self, units: str, ranges: Sequence[tuple[int, int | None]]) -> None:
        self.units = units
        self.ranges = ranges
        for start, stop in ranges:
            if start is None or (stop is not None and not 0 <= start < stop):
                raise ValueError(
                    f"{(start, stop)} is not a valid range: start has to be smaller than stop."
                )

    def range_for_length(self, length: int | None) -> tuple[int, int] | None:
        """(start, stop) within `length` bytes; None unless it is one satisfiable range of bytes."""
        if self.units != "bytes" or length is None or len(self.ranges) != 1:
            return None
        start, stop = self.ranges[0]
        if stop is None:
            stop = length
            if start < 0:  # a longer suffix is the whole representation (RFC 9110, 14.1.2)
                start = max(0, start + length)
        if is_byte_range_valid(start, stop, length):
            return start, min(stop, length)
        return None

    def make_content_range(self, length: int | None) -> ContentRange | None:
        """The `Content-Range` of the response; None if the range cannot be satisfied."""
        found = self.range_for_length(length)
        return None if found is None else ContentRange(self.units, found[0], found[1], length)

    def to_header(self) -> str:
        """The ranges as the value of a field."""
        parts = []
        for start, stop in self.ranges:
            if stop is None:
                parts.append(f"{start}-" if start >= 0 else str(start))
            else:
                parts.append(f"{start}-{stop - 1}")
        return f"{self.units}={','.join(parts)}"

    def to_content_range_header(self, length: int | None) -> str | None:
        """The result of `make_content_range` as text."""
        found = self.range_for_length(length)
        return None if found is None else f"{self.units} {found[0]}-{found[1] - 1}/{length}"

    def __str__(self) -> str:
        return self.to_header()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {str(self)!r}>"


def parse_range_header(value: str | None, make_inclusive: bool = True) -> Range | None:
    """The ranges of a field; None if it is malformed, or the ranges overlap or are not in order."""
    if not value or "=" not in value:
        return None
    units, _, text = value.partition("=")
    items = text.split(",")
    if len(items) > MAX_RANGES:
        return None
    ranges: list[tuple[int, int | None]] = []
    last_stop: int | None = 0
    for item in items:
        found = _parse_range(item.strip(" \t"))
        if found is None or last_stop is None or 0 <= found[0] < last_stop:
            return None
        ranges.append(found)
        last_stop = found[1]
    return Range(units.strip(" \t").lower(), ranges)


def _parse_range(item: str) -> tuple[int, int | None] | None:
    first, dash, last = item.partition("-")
    if not dash:
        return None
    if not first:
        count = int(last) if _number(last) else None
        return (-count, None) if count else None
    start = _int(first)
    if start is None:
        return None
    if not last:
        return start, None
    stop = _int(last)
    return None if stop is None or stop < start else (start, stop + 1)


class ContentRange:
    """The part of a representation that a response contains.

    `stop` is exclusive. Without start and stop, only the length of the whole is given.
    `on_update(self)` is called after each change.
    """

    def __init__(
        self,
        units: str | None,
        start: int | None,
        stop: int | None,
        length: int | None = None,
        on_update: Callable[[ContentRange], None] | None = None,
    ) -> None:
        self.on_update = on_update
        self.set(start, stop, length, units)

    def _changed(self) -> None:
        if self.on_update is not None:
            self.on_update(self)

    @property
    def units(self) -> str | None:
        """The unit, "bytes"; None without a `Content-Range`."""
        return self._units

    @units.setter
    def units(self, value: str | None) -> None:
        self._units = value
        self._changed()

    @property
    def start(self) -> int | None:
        """The position of the first byte."""
        return self._start

    @start.setter
    def start(self, value: int | None) -> None:
        self._start = value
        self._changed()

    @property
    def stop(self) -> int | None:
        """The position after the last byte."""
        return self._stop

    @stop.setter
    def stop(self, value: int | None) -> None:
        self._stop = value
        self._changed()

    @property
    def length(self) -> int | None:
        """Number of bytes of the whole representation; None if unknown."""
        return self._length

    @length.setter
    def length(self, value: int | None) -> None:
        self._length = value
        self._changed()

    def set(
        self,
        start: int | None,
        stop: int | None,
        length: int | None = None,
        units: str | None = "bytes",
    ) -> None:
        """Set all values. ValueError if start and stop are not a valid range."""
        if not is_byte_range_valid(start, stop, length):
            raise ValueError(
                f"Bad range provided: {start} to {stop} of {length}. start has to be smaller"
                " than stop."
            )
        self._units = units
        self._start = start
        self._stop = stop
        self._length = length
        self._changed()

    def unset(self) -> None:
        """Remove the field."""
        self.set(None, None, units=None)

    def to_header(self) -> str:
        """The range as the value of a field; "" after `unset`."""
        if self._units is None:
            return ""
        length: Any = "*" if self._length is None else self._length
        if self._start is None or self._stop is None:
            return f"{self._units} */{length}"
        return f"{self._units} {self._start}-{self._stop - 1}/{length}"

    def __bool__(self) -> bool:
        return self._units is not None

    def __str__(self) -> str:
        return self.to_header()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {str(self)!r}>"


def parse_content_range_header(
    value: str | None, on_update: Callable[[ContentRange], None] | None = None
) -> ContentRange | None:
    """The range of a field; None if it is malformed."""
    if value is None:
        return None
    units, _, text = value.strip(" \t").partition(" ")
    span, slash, whole = text.partition("/")
    if not units or not slash:
        return None
    length = None if whole == "*" else _int(whole)
    if length is None and whole != "*":
        return None
    if span == "*":
        return ContentRange(units, None, None, length, on_update)
    first, dash, last = span.partition("-")
    start, stop = _int(first), _int(last)
    if not dash or start is None or stop is None:
        return None
    if not is_byte_range_valid(start, stop + 1, length):
        return None
    return ContentRange(units, start, stop + 1, length, on_update)
