"""Cookies, compared with Werkzeug."""

from __future__ import annotations

import re
import time
import warnings
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import werkzeug.http as theirs
import werkzeug.wrappers
from hypothesis import example, given, settings
from hypothesis import strategies as st

import carboy.http as ours
from black_box import outcome
from carboy.http.fields.cookies import MAX_COOKIES

FIELDS = st.text('ab=;" \t\\073,é', max_size=20).map(lambda text: text.encode().decode("latin-1"))


@given(FIELDS)
@settings(max_examples=300)
@example('a="x;y; b=c')
@example('a="x"y;z"; b=c')
@example('a="\\303\\251"; b="\\400\\8\\q"')
@example("a = b ; c= d")
@example("$Version=1; a=b; a=c")
def test_fields_are_parsed_as_in_werkzeug(field: str) -> None:
    assert repr(ours.parse_cookie(field)) == repr(theirs.parse_cookie(field))


@pytest.mark.parametrize(
    "source", [None, "", {}, {"HTTP_COOKIE": "a=b; c=\xc3\xa9"}, "\na=b", "a=b\n; c=d", "a=b\0c"]
)
def test_fields_and_environs_are_parsed_as_in_werkzeug(source: Any) -> None:
    assert repr(ours.parse_cookie(source)) == repr(theirs.parse_cookie(source))


def test_the_class_of_the_result_can_be_chosen() -> None:
    cookies = ours.parse_cookie("a=b", ours.ImmutableMultiDict)
    assert type(cookies) is ours.ImmutableMultiDict
    assert type(ours.parse_cookie(None)) is ours.MultiDict


PRINTABLE = st.characters(exclude_categories=["Cs"]).filter(lambda char: not "\x1a" <= char < " ")


@given(st.text(PRINTABLE))
def test_any_value_is_written_as_in_werkzeug(value: str) -> None:
    assert ours.dump_cookie("a", value, max_size=0) == theirs.dump_cookie("a", value, max_size=0)


@given(st.text())
def test_a_value_that_was_written_is_read_back(value: str) -> None:
    pair = ours.dump_cookie("name", value, path=None, max_size=0)
    assert ours.parse_cookie(pair).to_dict() == {"name": value}


MOMENTS = st.sampled_from([0, 1.5, datetime(2020, 1, 1), date(2020, 1, 1), "Thu, 01 Jan 1970", ""])
ATTRIBUTES = st.fixed_dictionaries(
    {},
    optional={
        "max_age": st.sampled_from([0, 5, 5.5, -1, timedelta(days=1, microseconds=9), None]),
        "expires": MOMENTS,
        "path": st.sampled_from(["/", None, "", "/a b", "/é", "/a;b", "/%20?x#y", 'f,b"', "/\n"]),
        "domain": st.sampled_from(
            [
                "example.com",
                ".example.com",
                "ex.com:80",
                "☃.com",
                "",
                ".",
                "A.com",
                "a..b",
                "x" * 70,
            ]
        ),
        "secure": st.booleans(),
        "httponly": st.booleans(),
        "samesite": st.sampled_from(["lax", "STRICT", "None", None, "foo", ""]),
        "partitioned": st.booleans(),
    },
)


@given(st.sampled_from(["a", "__Host-a", "!#$%&'*+-.^_`|~", "é", "a(b", "a,b", "a/b"]), ATTRIBUTES)
def test_every_attribute_is_written_as_in_werkzeug(key: str, attributes: dict[str, Any]) -> None:
    mine = outcome(lambda: ours.dump_cookie(key, "v", sync_expires=False, **attributes))
    other = outcome(lambda: theirs.dump_cookie(key, "v", sync_expires=False, **attributes))
    # For an invalid domain Werkzeug raises UnicodeError, which is a ValueError.
    assert mine == other.replace("UnicodeError", "ValueError")


@pytest.mark.parametrize("max_age", [0, 5, -1, timedelta(hours=1)])
def test_a_max_age_also_sets_expires(max_age: Any) -> None:
    before = int(time.time())
    cookie = ours.dump_cookie("a", "b", max_age=max_age)
    after = time.time()
    match = re.fullmatch("a=b; Expires=(.* GMT); Max-Age=(-?[0-9]+); Path=/", cookie)
    assert match
    expires = ours.parse_date(match[1])
    assert expires is not None
    assert before <= expires.timestamp() - int(match[2]) <= after


@pytest.mark.parametrize("size", [4083, 4084, 5000])
@pytest.mark.parametrize("limit", [4093, 0])
def test_a_cookie_that_is_too_large_causes_the_warning_of_werkzeug(size: int, limit: int) -> None:
    caught = []
    for library in (ours, theirs):
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            library.dump_cookie("a", "x" * size, max_size=limit)
        caught.append([(each.category, each.filename) for each in found])
    assert caught[0] == caught[1]


@pytest.mark.parametrize("value", [5, None, b"b"])
def test_a_value_has_to_be_text(value: Any) -> None:
    with pytest.raises(TypeError):
        ours.dump_cookie("a", value)


@pytest.mark.parametrize(
    "evil", ['a="' * 60_000, 'a="\\' * 50_000, ";" * 200_000, "a= " * 60_000, '"' * 200_000 + ";"]
)
def test_parsing_is_linear_in_the_input(evil: str) -> None:
    """tornado CVE-2024-7592."""
    started = time.process_time()
    ours.parse_cookie(evil)
    assert time.process_time() - started < 5


# intentional differences


@pytest.mark.parametrize("key", ["", "a b", "a=b", "a;", "a\nb", "a\0", " a", "a\t", 'a"', "\x7f"])
def test_a_name_that_cannot_be_parsed_is_refused_while_werkzeug_writes_it(key: str) -> None:
    with pytest.raises(ValueError, match="is not a cookie name"):
        ours.dump_cookie(key, "value")


@pytest.mark.parametrize("byte", [*range(32), 127, ord(";")])
@pytest.mark.parametrize("attribute", ["domain", "expires"])
def test_an_attribute_cannot_add_another_one_unlike_in_werkzeug(attribute: str, byte: int) -> None:
    """tornado CVE-2025-67724; a semicolon would begin another attribute."""
    with pytest.raises(ValueError, match="is not a d"):
        ours.dump_cookie("a", "b", **{attribute: f"x{chr(byte)}y"})  # type: ignore[arg-type]


@pytest.mark.parametrize("byte", range(0x1A, 0x20))
def test_all_control_characters_are_escaped_while_werkzeug_leaves_some(
    byte: int,
) -> None:
    assert ours.dump_cookie("a", chr(byte), path=None) == f'a="\\{byte:03o}"'


def test_bytes_that_are_not_utf8_are_replaced_while_werkzeug_raises() -> None:
    assert ours.parse_cookie("a=\xff; b=c").to_dict() == {"a": "\ufffd", "b": "c"}
    assert ours.parse_cookie("a=☃").to_dict() == {"a": "☃"}
    with pytest.raises(UnicodeError):
        theirs.parse_cookie("a=\xff; b=c")


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"a=\xc3\xa4", "ä"),
        (b"a=\xe4", "\ufffd"),
        (b'a="\xc3\xa4"', "ä"),
        (b"a=\xc3\xa4\xff", "ä\ufffd"),
    ],
)
def test_an_unquoted_cookie_is_decoded_as_utf8_while_werkzeug_uses_latin_1(
    raw: bytes, value: str
) -> None:
    environ = {"HTTP_COOKIE": raw.decode("latin-1")}
    assert ours.Request(environ).cookies["a"] == value
    latin = raw.decode("latin-1").removeprefix("a=").strip('"')
    assert werkzeug.wrappers.Request(environ).cookies["a"] == latin


@pytest.mark.parametrize("value", ["v", '"v"'])
def test_the_number_of_cookies_is_limited_unlike_in_werkzeug(value: str) -> None:
    """Go CVE-2025-58186."""
    field = "; ".join(f"c{number}={value}" for number in range(MAX_COOKIES + 10))
    assert len(ours.parse_cookie(field)) == MAX_COOKIES
    assert len(theirs.parse_cookie(field)) == MAX_COOKIES + 10


def test_a_date_with_a_zone_is_converted() -> None:
    moment = datetime(2020, 1, 1, tzinfo=UTC)
    assert ours.dump_cookie("a", expires=moment).startswith("a=; Expires=Wed, 01 Jan 2020 00:00:00")


def test_the_warning_about_a_large_cookie_has_its_size_and_the_limit() -> None:
    with pytest.warns(UserWarning, match="210 bytes.*the limit is 200 bytes"):
        ours.dump_cookie("a", "x" * 200, max_size=200)
