"""Bytes as a learner types them, and as the course shows them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy.dev.learn.typed import (
    MOST_BYTES,
    TypedError,
    excerpt,
    lines_of,
    of_line,
    of_text,
    visible,
)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", b""),
        ("GET / HTTP/1.1\nHost: x\n\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("a\\c\nb", b"ab"),
        ("a\\c", b"a"),
        ("a\r\nb", b"a\r\nb"),
        ("\\r\\n\\t\\0\\\\", b"\r\n\t\0\\"),
        ("\\x41\\xff", b"A\xff"),
        ("ü\udcff", b"\xc3\xbc\xff"),
    ],
)
def test_text_becomes_bytes(text: str, data: bytes) -> None:
    assert of_text(text) == data


def test_a_line_ends_in_cr_lf() -> None:
    assert of_line("Host: x") == b"Host: x\r\n"
    assert of_line("hello\\c") == b"hello"
    assert of_line("") == b"\r\n"


@pytest.mark.parametrize("text", ["\\q", "\\", "\\x4", "a\\cb", "\\u0041"])
def test_an_escape_that_does_not_exist_is_explained(text: str) -> None:
    with pytest.raises(TypedError, match="is not an escape. Use"):
        of_text(text)


def test_half_a_character_is_explained() -> None:
    with pytest.raises(TypedError, match="half a character"):
        of_text("\ud800")


@given(st.binary())
def test_visible_bytes_can_be_typed_again(data: bytes) -> None:
    assert of_text(visible(data)) == data
    assert of_text("".join(lines_of(data))) == data


def test_an_excerpt_is_short() -> None:
    assert excerpt(b"a\r\nb", 5) == ["a\\r\\n", "b"]
    assert excerpt(b"a\nb\nc\n", 2) == ["a\\n", "b\\n", "… and 1 more lines"]
    long = excerpt(b"x" * (MOST_BYTES + 2000), 5)
    assert len(long[0]) < 400
    assert long[-1] == "… and 2,000 more bytes"
