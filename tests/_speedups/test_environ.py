"""The compiled function that puts fields into an environ: the same results as its twin."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from _speedups.twins import compiled
from carboy.gateway import wsgi as python
from carboy.protocol import Limits, Machine, RequestHead
from carboy.protocol.head import quick_head
from protocol.rules import get

twin = compiled("environ")

NAMES = st.sampled_from(
    ["Accept", "accept", "Cookie", "COOKIE", "Content-Type", "content-length", "X-Forwarded-For",
     "User-Agent", "X-Token", "x-token", "X_Token", "X", "_", "Hosu", "Sec-Fetch-Mode", "~!", "a.b",
     "Sec-CH-UA", "Accept-Language", "Cookid", "Cookie2", "x" * 64, "x" * 65]
)  # fmt: skip
VALUES = st.text(
    st.characters(min_codepoint=9, max_codepoint=255, exclude_characters="\r\n")
).filter(lambda text: not set(map(ord, text)) & {*range(10, 32), 127, 11, 12})
FIELDS = st.lists(st.tuples(NAMES, VALUES | st.sampled_from(["", "1", " a\t", "\t", "a:b"])))


def head_of(lines: bytes, kept: bool, minor: int = 1) -> RequestHead:
    head = RequestHead("GET", "/", "/", "", minor, "x", lines)
    if kept:  # as a quick reader leaves it
        head.tail = b" HTTP/1.1\r\n" + lines + b"\r\n"
        head._block = None
    return head


def filled(module: Any, head: RequestHead, underscores: bool) -> dict[str, Any]:
    environ = {"SCRIPT_NAME": "", "SERVER_PROTOCOL": "old", "wsgi.input": None}
    module.add_fields(environ, head, underscores)
    return environ


@given(FIELDS, st.booleans(), st.booleans(), st.sampled_from([0, 1, 2]))
@example([("Cookie", "a=b"), ("cookie", "c=d"), ("X", "1"), ("x", "1")], False, False, 1)
@example([("Content-Length", "1"), ("Content-Length", "1")], True, True, 1)
def test_both_make_the_same_variables(
    fields: list[tuple[str, str]], kept: bool, underscores: bool, minor: int
) -> None:
    lines = "".join(f"{name}:{value}\r\n" for name, value in fields).encode("latin-1")
    compiled_one = filled(twin, head_of(lines, kept, minor), underscores)
    interpreted = filled(python, head_of(lines, kept, minor), underscores)
    assert list(compiled_one.items()) == list(interpreted.items())


@given(st.binary(max_size=60), st.booleans())
@example(b"A: b", True)
@example(b"A", False)
def test_lines_that_no_machine_lets_through_do_no_harm(lines: bytes, kept: bool) -> None:
    filled(twin, head_of(lines, kept), False)


def test_fields_that_are_not_those_of_the_bytes_are_left_to_the_twin() -> None:
    head = head_of(b"A: b\r\n", False)
    head._fields = [("A", "c")]
    environ: dict[str, Any] = {}
    assert twin.add_fields(environ, head, False) is None
    assert not environ


def test_every_known_name_has_its_variable_in_any_case() -> None:
    known = b"Accept-Charset Accept-Encoding Authorization Cache-Control Content-Encoding Dnt Host"
    known += b" If-None-Match If-Modified-Since Origin Range Referer Sec-Ch-Ua-Platform Te Via"
    known += b" Upgrade-Insecure-Requests X-Real-Ip X-Request-Id Traceparent Transfer-Encoding"
    for name in known.split():
        for spelled in (name, name.lower(), name.upper(), name.swapcase()):
            head = head_of(spelled + b": x\r\n", False)
            assert filled(twin, head, False) == filled(python, head, False)


def test_values_of_one_request_are_not_those_of_another() -> None:
    machine = Machine(Limits())
    for number in (1, 2):
        head = machine.receive(get(b"Cookie: a=%d" % number, target=b"/%d" % number))
        assert isinstance(head, RequestHead)
        machine.whole_response("200 OK", [], b"", b"")
        environ = filled(twin, head, False)
        assert environ["HTTP_COOKIE"] == f"a={number}"


@pytest.mark.parametrize("wrong", [None, [], "text"])
def test_anything_but_a_dictionary_is_a_type_error(wrong: Any) -> None:
    head = quick_head(get(), Limits())
    with pytest.raises(TypeError):
        twin.add_fields(wrong, head, False)
