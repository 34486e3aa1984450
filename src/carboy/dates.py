"""HTTP dates and ages: text to datetime and back (RFC 9110, sections 5.6.7 and 10.2.3).

Knows no header and no clock but the one in `http_date()` without an argument. Nothing
here follows the locale: names of days and months are English by the RFC.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, date, datetime, timedelta, timezone

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# The longest form of RFC 9110 has 33 characters; more is not worth looking at.
MAX_DATE_LENGTH = 100

_MONTH_NUMBERS = {name.lower(): number for number, name in enumerate(MONTHS, 1)}
# Hours of the zones RFC 5322 (4.3) names; every other name counts as UTC.
_ZONE_HOURS = {"est": -5, "edt": -4, "cst": -6, "cdt": -5}
_ZONE_HOURS |= {"mst": -7, "mdt": -6, "pst": -8, "pdt": -7}

_TIME = r"(?P<hour>[0-9]{1,2})[:.](?P<minute>[0-9]{1,2})(?:[:.](?P<second>[0-9]{1,2}))?"
_ZONE = r"(?:[ ]+(?P<zone>[+-][0-9]{2}:?[0-9]{2}|[A-Za-z]{1,5}))?"
_WEEKDAY = r"[ ]*(?:[A-Za-z]{3,9}(?:,[ ]*|[ ]+))?"

_FIXDATE = "%s, %02d %s %04d %02d:%02d:%02d GMT"

# What nearly everybody sends, read without further questions.
_fixdate = re.compile(
    r"[A-Za-z]{3}, ([0-9]{2}) ([A-Za-z]{3}) ([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT"
).fullmatch
# IMF-fixdate "Sun, 06 Nov 1994 08:49:37 GMT" and RFC 850 "Sunday, 06-Nov-94 08:49:37 GMT"
_DAY_FIRST = re.compile(
    _WEEKDAY + r"(?P<day>[0-9]{1,2})[ -](?P<month>[A-Za-z]{3,9})[ -](?P<year>[0-9]{1,4})"
    r"[ ]+" + _TIME + _ZONE + r"[ ]*"
)
# asctime "Sun Nov  6 08:49:37 1994"
_MONTH_FIRST = re.compile(
    _WEEKDAY
    + r"(?P<month>[A-Za-z]{3,9})[ ]+(?P<day>[0-9]{1,2})[ ]+"
    + _TIME
    + r"[ ]+(?P<year>[0-9]{4})"
    + _ZONE
    + r"[ ]*"
)


def http_date(
    timestamp: datetime | date | int | float | time.struct_time | None = None,
) -> str:
    """The time as an IMF-fixdate, "Sun, 06 Nov 1994 08:49:37 GMT"; without argument, now.

    A naive datetime is UTC, a date its midnight, a number seconds since the epoch, a
    struct_time local time. Raises ValueError, OverflowError or OSError when the time is
    not between the years 1 and 9999.
    """
    if isinstance(timestamp, date):
        if isinstance(timestamp, datetime) and timestamp.tzinfo is not None:
            timestamp = timestamp.astimezone(UTC)
        fields = timestamp.timetuple()
    else:
        fields = time.gmtime(_seconds(timestamp))
    year, month, day, hour, minute, second, weekday = fields[:7]
    if not 0 < year < 10_000:
        raise ValueError(f"an HTTP date has a year from 1 to 9999, not {year}")
    return _FIXDATE % (DAYS[weekday], day, MONTHS[month - 1], year, hour, minute, second)


def _seconds(timestamp: float | time.struct_time | None) -> float:
    if timestamp is None:
        return time.time()
    if isinstance(timestamp, time.struct_time):
        return time.mktime(timestamp)
    return timestamp


def parse_date(value: str | None) -> datetime | None:
    """The date of a header field as an aware datetime, or None if it is not one.

    Takes the three forms of RFC 9110 and, as everybody does, a numeric or American zone
    instead of GMT (it stays in the result), a missing zone (UTC) and full names of months.
    What follows a semicolon, sent by old browsers, is ignored.
    """
    if not value or not isinstance(value, str) or len(value) > MAX_DATE_LENGTH:
        return None
    fast = _fixdate(value)
    if fast is not None:
        day, month, year, hour, minute, second = fast.groups()
        return _date(year, month, day, hour, minute, second, UTC)
    text = value.partition(";")[0]
    match = _DAY_FIRST.fullmatch(text) or _MONTH_FIRST.fullmatch(text)
    if match is None:
        return None
    day, month, year, hour, minute, second, zone = match.group(
        "day", "month", "year", "hour", "minute", "second", "zone"
    )
    return _date(year, month, day, hour, minute, second or 0, _zone(zone))


def _date(
    year: str,
    month: str,
    day: str,
    hour: str,
    minute: str,
    second: str | int,
    zone: timezone | None,
) -> datetime | None:
    number = _MONTH_NUMBERS.get(month[:3].lower())
    if number is None or zone is None:
        return None
    try:
        return datetime(
            _full_year(int(year)), number, int(day), int(hour), int(minute), int(second), 0, zone
        )
    except ValueError:
        return None


def _full_year(year: int) -> int:
    """RFC 850's two digits: 69 to 99 are the twentieth century (POSIX)."""
    if year < 69:
        return year + 2000
    return year + 1900 if year < 100 else year


def _zone(name: str | None) -> timezone | None:
    """The zone, UTC if it has no name or an unknown one, None if it is 24 hours off or more."""
    if not name:
        return UTC
    if name[0] in "+-":
        minutes = int(name[1:3]) * 60 + int(name[-2:])
        if minutes >= 24 * 60:
            return None
        return (
            timezone(timedelta(minutes=-minutes if name[0] == "-" else minutes)) if minutes else UTC
        )
    hours = _ZONE_HOURS.get(name.lower())
    return timezone(timedelta(hours=hours)) if hours else UTC


def parse_age(value: str | None = None) -> timedelta | None:
    """Seconds as a timedelta (`Age`, `Retry-After`); None if it is no such number."""
    if not value:
        return None
    try:
        seconds = int(value)
        return timedelta(seconds=seconds) if seconds >= 0 else None
    except (ValueError, OverflowError):
        return None


def dump_age(age: timedelta | int | None = None) -> str | None:
    """Whole seconds as text. Raises ValueError for a negative age; None stays None."""
    if age is None:
        return None
    seconds = int(age.total_seconds()) if isinstance(age, timedelta) else int(age)
    if seconds < 0:
        raise ValueError(
            f"age cannot be negative: {seconds} seconds since something happened is below 0."
        )
    return str(seconds)
