"""Values in a request: where they are in the bytes, and how they are recognised."""

from __future__ import annotations

import pytest

from carboy.dev.explain.wanted_value import Matcher, Sent, UnknownValue, wanted_value

HEAD = (
    b"POST /a%20b?q=%C3%A9&x=1 HTTP/1.1\r\nHost: here\r\nX-Agent: me\r\nAgent: me\r\n"
    b"Cookie: a=1; b=1\r\n\r\n"
)
FIELDS = [("Host", "here"), ("X-Agent", "me"), ("Agent", "me"), ("Cookie", "a=1; b=1")]


@pytest.mark.parametrize(
    ("what", "wire", "after"),
    [
        ("header:agent", b"me", b"1\r\nAgent: "),
        ("header:Agent", b"me", b"\r\nAgent: "),
        ("path", b"/a%20b", b"POST "),
        ("query:q", b"%C3%A9", b"?q="),
        ("query:x", b"1", b"&x="),
        ("cookie:b", b"1", b"; b="),
        ("form:y", b"1", b"&y="),
        ("body", b"x=1&y=1", b"\r\n\r\n"),
    ],
)
def test_the_offset_is_that_of_the_value(what: str, wire: bytes, after: bytes) -> None:
    received = HEAD + b"x=1&y=1"
    found = wanted_value(what, Sent("POST", "/a%20b?q=%C3%A9&x=1", FIELDS, b"x=1&y=1"))
    ((offset, size),) = found.places(received)
    assert received[offset : offset + size] == wire
    assert received[:offset].endswith(after.removeprefix(b"1"))


def test_a_value_that_was_split_has_no_place() -> None:
    found = wanted_value("body", Sent("POST", "/", [], b"hello"))
    assert found.places(b"POST / HTTP/1.1\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n") == []


@pytest.mark.parametrize(
    ("what", "wires"),
    [
        ("header:x-a", [b"1", b"1", b"2"]),
        ("query:q", [b"1", b"1", b"2"]),
        ("form:q", [b"3", b"1"]),
        ("cookie:c", [b"1", b"2"]),
    ],
)
def test_each_of_several_values_of_a_name_has_its_place(what: str, wires: list[bytes]) -> None:
    fields = [("X-A", "1"), ("X-A", "1"), ("x-a", "2"), ("Cookie", "c=1"), ("cookie", "d=1; c=2")]
    head = "".join(f"{name}: {value}\r\n" for name, value in fields)
    received = f"POST /?q=1&q=1&q=2 HTTP/1.1\r\n{head}\r\nq=3&q=1".encode()
    found = wanted_value(what, Sent("POST", "/?q=1&q=1&q=2", fields, b"q=3&q=1"))
    assert [received[offset : offset + size] for offset, size in found.places(received)] == wires


def test_the_matcher_knows_all_forms_of_a_value() -> None:
    matcher = Matcher(wanted_value("query:q", Sent("GET", "/?q=caf%C3%A9", [])))
    forms = ("caf%C3%A9", b"caf%C3%A9", "café", "café".encode(), "cafÃ©", " café ")
    assert all(matcher.is_value(each) for each in forms)
    assert not matcher.is_value("cafés")
    assert matcher.contains("q=caf%C3%A9") and matcher.contains(b"?q=caf%C3%A9&x")
    assert not matcher.contains("q=other")


def test_the_matcher_tells_equal_values_apart_by_their_names() -> None:
    matcher = Matcher(wanted_value("header:Agent", Sent("GET", "/", FIELDS)))
    assert matcher.is_other("HTTP_X_AGENT") and not matcher.is_other("HTTP_AGENT")
    assert matcher.is_about_another(["X-Agent", "me"])
    assert not matcher.is_about_another(["x-agent", "agent"])


def test_an_empty_value_cannot_be_followed() -> None:
    with pytest.raises(UnknownValue, match="query:q is empty"):
        wanted_value("query:q", Sent("GET", "/?q=", []))


def test_the_place_of_a_short_value_is_next_to_its_name() -> None:
    matcher = Matcher(wanted_value("query:q", Sent("GET", "/1?q=1", [])))
    text = "GET /1?q=1 HTTP/1.1"
    start, size = matcher.place_in(text)
    assert (text[:start], text[start : start + size]) == ("GET /1?q=", "1")
    assert matcher.place_in(text.encode()) == (start, size)


@pytest.mark.parametrize(
    ("code", "is_another"),
    [
        ('environ.get("HTTP_X_NAME")', True),
        ('request.form["other"]', True),
        ('request.args["q"]', False),
        ('request.args["q"] + request.form["other"]', False),
        ("value", False),
    ],
)
def test_code_that_reads_an_equal_value_of_another_kind_is_told_apart(
    code: str, is_another: bool
) -> None:
    fields = [("X-Name", "1"), ("X-More", "2")]
    matcher = Matcher(wanted_value("query:q", Sent("GET", "/?q=1", fields, b"other=1")))
    assert matcher.is_read_of_another(code) is is_another
