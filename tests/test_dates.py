"""carboy.dates beside Werkzeug's dates."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
import werkzeug.http as theirs
from hypothesis import given
from hypothesis import strategies as st

from black_box import outcome
from carboy import dates as ours

ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(
    datetime(2, 1, 1), datetime(9998, 12, 31), timezones=st.one_of(st.none(), ZONES)
)
FORMS = (
    "%a, %d %b %Y %H:%M:%S GMT",
    "%A, %d-%b-%y %H:%M:%S GMT",
    "%a %b %d %H:%M:%S %Y",
    "%d %b %Y %H:%M:%S",
    "%d %b %Y %H:%M",
    "%a, %d %B %Y %H:%M:%S +0130",
    "%a, %d %b %Y %H:%M:%S -0800",
    "%a,%d %b %Y %H.%M.%S PDT",
    "%d %b %Y %H:%M:%S GMT; length=17",
    "%d %b %Y %H:%M:%S EST",
)


@given(MOMENTS | st.dates(date(1, 1, 1)) | st.integers(-(10**9), 10**10) | st.floats(0, 1e10))
def test_every_type_of_time_is_written_as_in_werkzeug(moment: Any) -> None:
    assert ours.http_date(moment) == theirs.http_date(moment)


@given(st.integers(0, 10**9))
def test_a_struct_time_is_local_time(seconds: int) -> None:
    moment = time.localtime(seconds)
    assert ours.http_date(moment) == theirs.http_date(moment)


def test_the_default_is_the_current_time() -> None:
    before = int(time.time())
    now = ours.parse_date(ours.http_date())
    assert now is not None
    assert before <= now.timestamp() <= time.time()


@pytest.mark.parametrize("moment", [1e12, 1e18, float("nan"), "x", (2020, 1, 1)])
def test_a_value_that_is_not_a_time_raises(moment: Any) -> None:
    with pytest.raises((ValueError, OverflowError, OSError, TypeError)):
        ours.http_date(moment)


@given(st.datetimes(datetime(1969, 1, 1), datetime(2068, 12, 31)), st.sampled_from(FORMS))
def test_every_form_of_a_date_is_parsed_as_in_werkzeug(moment: datetime, form: str) -> None:
    text = moment.strftime(form)
    assert ours.parse_date(text) == theirs.parse_date(text) is not None


@given(MOMENTS.filter(lambda moment: moment.year > 100))  # below, two digits are meant
def test_a_date_that_was_written_is_read_back(moment: datetime) -> None:
    assert theirs.http_date(ours.parse_date(ours.http_date(moment))) == ours.http_date(moment)


@given(st.text("Thu, 02Jan3:4.GMT+-;\n٣", max_size=40))
def test_no_text_makes_the_parser_raise(text: str) -> None:
    found = ours.parse_date(text)
    assert found is None or found.tzinfo is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "foo",
        "2020-01-02",
        "02 Jan 2020",
        "Thu, 32 Jan 2020 03:04:05 GMT",
        "Thu, 02 Foo 2020 03:04:05 GMT",
        "Thu, 02 Jan 2020 24:00:00 GMT",
        "Thu, 02 Jan 2020 03:04:60 GMT",
        "Wed, 02 Jan 2020 03:04:05 GMT",
        "thu, 02 jan 2020 03:04:05 gmt",
        " Thu, 02 Jan 2020 03:04:05 GMT ",
        "Thu, 2 Jan 2020 3:4:5 GMT",
        "Thu, 02 Jan 0099 03:04:05 GMT",
        "Thu, 02 Jan 100 03:04:05 GMT",
        "Thu, 02 Jan 2020 03:04:05 UTC",
        "Thu, 02 Jan 2020 03:04:05 XYZ",
        "Thu, 02 Jan 2020 03:04:05 +00:00",
        "Thu, 02 Jan 2020 03:04:05 -0000",
        "1 Jan 10000 00:00:00 GMT",
        "1 Jan 2020 00:00:00 +2500",
        "1 Jan 2020 00:00:00 +0260",
        "1 Jan -2020 00:00:00 GMT",
        "0 Jan 2020 00:00:00 GMT",
        "1 Jan 0 00:00:00 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun Nov  6 08:49:37 1994 GMT",
        "Thursday, 02-Jan-68 03:04:05 GMT",
        "Thursday, 02-Jan-69 03:04:05 GMT",
        None,
    ],
)
def test_an_unusual_date_is_accepted_or_refused_as_in_werkzeug(text: str | None) -> None:
    assert repr(ours.parse_date(text)) == repr(theirs.parse_date(text))


@pytest.mark.parametrize(
    "text",
    [
        "expires=Tue, 01 Dec 2026 10:00:00 GMT",
        "Jan 02 2020 03:04:05",  # the month first, but not in asctime's order
        "1 Jan ２０２０ 00:00:00 GMT",  # digits of another script
        "1 Jan 2020 00:00:00 +5",  # an offset of one digit
        "Thu, 02 Jan 2020 03:04:05 GMT " + " " * 100,
        "Thu, 02 Jan 2020 03:04:05 GMT; length=5",
        "Thu, 02 Jan 2_020 03:04:05 GMT",
        "Thu, 02 Jan-2020 03:04:05 GMT",
    ],
)
def test_a_form_of_no_rfc_is_parsed_as_in_werkzeug(text: str) -> None:
    assert repr(ours.parse_date(text)) == repr(theirs.parse_date(text))


@pytest.mark.parametrize("year", ["9" * 12, "9" * 30, "9" * 5000, "-5", "10000"])
def test_a_date_out_of_range_is_not_a_date(year: str) -> None:
    # Werkzeug raises OverflowError for some of them, a 500.
    assert ours.parse_date(f"Thu, 02 Jan {year} 03:04:05 GMT") is None


@pytest.mark.parametrize("value", [None, "", "5", "-1", "x", " 5 ", "9" * 20, "1.5", "+5", "1_0"])
def test_an_age_is_parsed_as_in_werkzeug(value: str | None) -> None:
    assert ours.parse_age(value) == theirs.parse_age(value)


@pytest.mark.parametrize("age", [None, 5, 5.9, "7", "x", -1, timedelta(-1), timedelta(1, 0, 999)])
def test_an_age_is_written_as_in_werkzeug(age: Any) -> None:
    assert outcome(lambda: ours.dump_age(age)) == outcome(lambda: theirs.dump_age(age))


def test_a_naive_datetime_is_utc_and_an_aware_one_is_converted() -> None:
    assert ours.http_date(datetime(2020, 1, 2, 3, 4, 5)) == "Thu, 02 Jan 2020 03:04:05 GMT"
    east = datetime(2020, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2)))
    assert ours.http_date(east) == "Thu, 02 Jan 2020 01:04:05 GMT"
    assert ours.http_date(east.astimezone(UTC)) == "Thu, 02 Jan 2020 01:04:05 GMT"
