"""Quoting, lists, dicts and parameters, compared with Werkzeug."""

from __future__ import annotations

import time
from typing import Any

import pytest
import werkzeug.http as theirs
from hypothesis import example, given, settings
from hypothesis import strategies as st

import carboy.http as ours
from black_box import outcome

# A small alphabet, so that special characters are frequent.
LISTS = st.text('ab=*,"\\ \t;', max_size=20)
PIECES = st.lists(
    st.sampled_from(
        [
            "a",
            "b",
            ";",
            "; ",
            "=",
            '"',
            "\\",
            "*",
            "*0",
            "*1",
            "*0*",
            "'",
            "''",
            "utf-8''",
            "UTF-8'en'",
            "iso-8859-1''",
            "latin1''",
            "%41",
            "%e9",
            "%C3%A9",
            "%22",
            " ",
            "\t",
            ",",
            "é",
            "/",
        ]
    ),
    max_size=14,
).map("".join)
PARAMETERS = st.builds(
    "".join,
    st.lists(
        st.builds(
            "; {}={}".format,
            st.sampled_from(["a", "A", "a*", "a*0", "a*1", "a*0*", "a*1*", "b*0*", "b"]),
            st.sampled_from(
                [
                    "x",
                    '"y z"',
                    "utf-8''%C3%A9",
                    "iso-8859-1''%e9",
                    "foo''%41",
                    "%42",
                    '"a\\"b"',
                    "%22",
                ]
            )
            | PIECES,
        ),
        max_size=5,
    ),
).map("form-data{}".format)


@given(st.text(max_size=10) | st.integers() | st.none(), st.booleans())
def test_a_value_is_quoted_as_in_werkzeug(value: Any, allow_token: bool) -> None:
    assert ours.quote_header_value(value, allow_token) == theirs.quote_header_value(
        value, allow_token
    )


@given(st.text('ab"\\', max_size=8))
def test_a_value_is_unquoted_as_in_werkzeug(value: str) -> None:
    assert ours.unquote_header_value(value) == theirs.unquote_header_value(value)


@given(st.text())
def test_a_quoted_value_is_unquoted(value: str) -> None:
    assert ours.unquote_header_value(ours.quote_header_value(value)) == value


@given(LISTS)
def test_a_list_is_parsed_as_in_werkzeug(value: str) -> None:
    assert ours.parse_list_header(value) == theirs.parse_list_header(value)


@given(LISTS | PIECES)
@example("a*=UTF-8''%c3%a9, b*=foo, c*=x''y, *=UTF-8''x")
@example('a="b", a*="utf-8\'\'%41", b*=utf-8\'\'"%41"')
@example("a*=utf-8''%ff, b*=latin1''%e9, c*=UTF-8''")
def test_a_dict_is_parsed_as_in_werkzeug(value: str) -> None:
    assert ours.parse_dict_header(value) == theirs.parse_dict_header(value)


@given(PIECES | PARAMETERS)
@settings(max_examples=400)
@example("a; b*0=x; c=d; b*1=y")
@example("a; b*0*=UTF-8''%c3; b*1*=%a9; b*2=\"%42\"")
@example("a; b*0*=utf-8''%C3%A9; b*1*=''%41")
@example("a; b*1=y; b*0=x; b=z")
@example('form-data; name="f"; filename="C:\\\\foo\\\\bar.txt"')
@example("a; b*=UTF-8''%; c**=utf-8''x; *=x; *0=y")
@example('a; b="x"y;z="1"; c=d')
@example("text/html; charset=utf-8")
@example(" text/html ;charset=%22")
def test_parameters_are_parsed_as_in_werkzeug(value: str) -> None:
    head, options = ours.parse_options_header(value)
    assert (head, list(options.items())) == (
        theirs.parse_options_header(value)[0],
        list(theirs.parse_options_header(value)[1].items()),
    )


@pytest.mark.parametrize(
    "value", [None, "", "  ", ";a=b", "a", "a;", "a; =d", "a; b=", "a;\nb=c", "\na; b=c", "a; b=é"]
)
def test_an_unusual_field_is_parsed_as_in_werkzeug(value: str | None) -> None:
    assert ours.parse_options_header(value) == theirs.parse_options_header(value)


OPTIONS = st.dictionaries(
    st.sampled_from(["a", "b-c", "d*", "E"]), st.text(max_size=6) | st.integers() | st.none()
)


@given(st.none() | st.sampled_from(["", "text/html"]), OPTIONS)
def test_parameters_are_written_as_in_werkzeug(header: str | None, options: Any) -> None:
    assert ours.dump_options_header(header, options) == theirs.dump_options_header(header, options)


@given(OPTIONS | st.lists(st.text(max_size=6) | st.integers()))
def test_lists_and_dicts_are_written_as_in_werkzeug(value: Any) -> None:
    assert ours.dump_header(value) == theirs.dump_header(value)


@given(st.text("ab é\"\\;=,'%", min_size=1, max_size=12).filter(lambda text: "%22" not in text))
def test_parameters_that_were_written_are_read_back(value: str) -> None:
    text = ours.dump_options_header("a/b", {"name": value, "z": "1"})
    assert ours.parse_options_header(text) == ("a/b", {"name": value, "z": "1"})


@pytest.mark.parametrize("value", [None, 5])
def test_a_list_has_to_be_text(value: Any) -> None:
    assert outcome(lambda: ours.parse_list_header(value)).startswith("raises")


@pytest.mark.parametrize(
    "evil",
    [
        '"' * 100_000,
        'a="' * 60_000,
        '"\\' * 100_000,
        "a;" * 100_000,
        '; a="\\' * 40_000,
        "; a*0=b" * 40_000,
        ", " * 100_000,
        "a; b*=utf-8''" + "'" * 100_000,
        " " * 200_000 + ";" + " " * 200_000,
        "x;" + "!" * 200_000,
    ],
)
@pytest.mark.parametrize(
    "parse", [ours.parse_options_header, ours.parse_list_header, ours.parse_dict_header]
)
def test_parsing_is_linear_in_the_input(parse: Any, evil: str) -> None:
    """A quadratic parser needs minutes for these texts (such as werkzeug CVE-2023-46136)."""
    started = time.process_time()
    parse(evil)
    assert time.process_time() - started < 5
