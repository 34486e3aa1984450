"""HTTP dates and ages: text to datetime and back (RFC 9110, sections 5.6.7 and 10.2.3).

This module does not know any header. Only `http_date()` without an argument reads a clock. The
names of days and months are English in every locale, as the RFC requires.
"""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta

from carboy.late import compiled_later

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_MONTH_NUMBERS = {name.lower(): number for number, name in enumerate(MONTHS, 1)}
_FIXDATE = "%s, %02d %s %04d %02d:%02d:%02d GMT"

# The form that almost all clients send, which is read without further checks.
_fixdate = compiled_later(
    r"[A-Za-z]{3}, ([0-9]{2}) ([A-Za-z]{3}) ([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT"
)


def http_date(
    timestamp: datetime | date | int | float | time.struct_time | None = None,
) -> str:
    """Format a time as an IMF-fixdate, "Sun, 06 Nov 1994 08:49:37 GMT". Default: now.

    A naive datetime is in UTC, a date is its midnight in UTC, a number is seconds since the epoch,
    and a struct_time is local time. Raises ValueError, OverflowError or OSError if the year is not
    between 1 and 9999.
    """
    if isinstance(timestamp, date):
        if isinstance(timestamp, datetime) and timestamp.tzinfo is not None:
            timestamp = timestamp.astimezone(UTC)
        fields = timestamp.timetuple()
    else:
        fields = time.gmtime(_seconds(timestamp))
    year, month, day, hour, minute, second, weekday = fields[:7]
    if not 0 < year < 10_000:
        raise ValueError(f"The year of an HTTP date must be from 1 to 9999, not {year}.")
    return _FIXDATE % (DAYS[weekday], day, MONTHS[month - 1], year, hour, minute, second)


def _seconds(timestamp: float | time.struct_time | None) -> float:
    if timestamp is None:
        return time.time()
    if isinstance(timestamp, time.struct_time):
        return time.mktime(timestamp)
    return timestamp


def parse_date(value: str | None) -> datetime | None:
    """The date in a header field as an aware datetime; None if it is not a date.

    Accepts what Python's mail parser accepts (RFC 5322, section 4.3): the three forms of
    RFC 9110, a numeric or American zone instead of GMT (it stays in the result), a missing zone
    (UTC), full names of months, a word before the date.
    """
    if not value or not isinstance(value, str):
        return None
    fast = _fixdate.fullmatch(value)
    if fast is None:
        return _mail_date(value)
    day, month, year, hour, minute, second = fast.groups()
    number = _MONTH_NUMBERS.get(month.lower())
    if number is None:
        return None
    try:
        return datetime(
            _full_year(int(year)), number, int(day), int(hour), int(minute), int(second), 0, UTC
        )
    except ValueError:
        return None


def _mail_date(value: str) -> datetime | None:
    from email.utils import parsedate_to_datetime

    try:
        found = parsedate_to_datetime(value)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None  # mostly ValueError, but the parser raises others for some texts
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _full_year(year: int) -> int:
    """The year of two digits (RFC 850): 69 to 99 are in the twentieth century (POSIX)."""
    if year < 69:
        return year + 2000
    return year + 1900 if year < 100 else year


def parse_age(value: str | None = None) -> timedelta | None:
    """Seconds as a timedelta (`Age`, `Retry-After`); None if the value is not a valid number."""
    if not value:
        return None
    try:
        seconds = int(value)
        return timedelta(seconds=seconds) if seconds >= 0 else None
    except (ValueError, OverflowError):
        return None


def dump_age(age: timedelta | int | None = None) -> str | None:
    """Whole seconds as text; None for None. Raises ValueError for a negative age."""
    if age is None:
        return None
    seconds = int(age.total_seconds()) if isinstance(age, timedelta) else int(age)
    if seconds < 0:
        raise ValueError(
            f"age cannot be negative: {seconds} seconds. Pass the time since an event in the past."
        )
    return str(seconds)
