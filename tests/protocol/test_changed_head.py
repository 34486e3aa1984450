"""Heads that differ from the head before in values only: results of the reader of whole heads."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from carboy.protocol import Limits, Machine, RequestHead, changed_head, readers
from carboy.protocol.changed_head import MOST_CHANGES, NAMES_SIZE
from carboy.protocol.head import quick_head
from carboy.speedups import speedups
from protocol.feeding import describe

LIMITS = Limits()
FIELDS = (
    (b"Host", b"localhost"), (b"User-Agent", b"Browser/1.0 (Linux)"), (b"Accept", b"*/*"),
    (b"Referer", b"http://localhost/1"), (b"Connection", b"keep-alive"), (b"Cookie", b"a=b; c=d"),
    (b"cookie", b"e=f"), (b"Content-Type", b"text/plain"), (b"Content-Length", b"0"),
    (b"X-A", b""),
)  # fmt: skip
VALUES = (
    b"", b" ", b"x", b"\tx ", b"\xff", b"\x00", b"\x7f", b"a\rb", b"a\nb", b"a\r\nB: c", b"a\r\n",
    b"for=forwarded", b"ForWarded", b"close", b"1", b"chunked", b"other:80", b"a:b", b"y" * 300,
)  # fmt: skip


def head_of(fields: Any, start: bytes = b"GET /", version: bytes = b" HTTP/1.1") -> bytes:
    lines = (name + b": " + value + b"\r\n" for name, value in fields)
    return start + version + b"\r\n" + b"".join(lines) + b"\r\n"


def quick(data: bytes) -> RequestHead:
    head = quick_head(data, LIMITS)
    assert head is not None
    return head


def changed(number: int, value: bytes) -> list[tuple[bytes, bytes]]:
    return [(name, value if n == number else old) for n, (name, old) in enumerate(FIELDS)]


STARTS = (
    b"GET /", b"GET /a?b", b"POST /", b"BREW /", b"GET x", b"GET /\x00", b"", b"GET / x",
)  # fmt: skip
CHANGE = st.tuples(
    st.integers(0, len(FIELDS) - 1),
    st.sampled_from((b"Host", b"Referer", b"referer", b"X-Forwarded-For", b"X_A", b"Upgrade", b"")),
    st.sampled_from(VALUES) | st.binary(max_size=8),
    st.integers(0, 3),
)


@given(
    st.lists(CHANGE, max_size=6),
    st.sampled_from(STARTS),
    st.sampled_from((b" HTTP/1.1", b" HTTP/1.0", b"  HTTP/1.1", b" HTTP/1.2")),
)  # fmt: skip
@example([(3, b"", b"http://localhost/2", 0)], b"GET /", b" HTTP/1.1")
def test_a_head_is_that_of_the_reader_of_whole_heads(
    changes: list[tuple[int, bytes, bytes, int]], start: bytes, version: bytes
) -> None:
    fields = list(FIELDS)
    for number, name, value, kind in changes:
        old = fields[number % len(fields)]
        fields[number % len(fields)] = (name, old[1]) if kind == 0 else (old[0], value)
    data = head_of(fields, start, version)
    data = data[: data.find(b"\r\n\r\n") + 4]
    head = changed_head.changed_head(data, quick(head_of(FIELDS)))
    if head is None:
        return
    expected = quick(data)
    assert describe(head) == describe(expected)
    assert (head.__class__, head.tail, head.host) == (RequestHead, expected.tail, expected.host)


@pytest.mark.parametrize("value", [b"http://localhost/2", b"", b"\xff", b"a\tb"])
def test_another_value_is_read_from_its_line(value: bytes) -> None:
    head = changed_head.changed_head(head_of(changed(3, value)), quick(head_of(FIELDS)))
    assert head is not None
    assert head.changes is not None
    assert head.changes[1] == [("Referer", "http://localhost/1", value.decode("latin-1"))]


@pytest.mark.parametrize(
    "number", [n for n, (name, _) in enumerate(FIELDS) if name.startswith((b"Host", b"Con"))]
)
def test_fields_that_decide_something_are_left_to_the_reader_of_whole_heads(number: int) -> None:
    data = head_of(changed(number, b"1"))
    assert changed_head.changed_head(data, quick(head_of(FIELDS))) is None


def test_many_changes_are_left_to_the_reader_of_whole_heads() -> None:
    def fields(value: bytes, count: int) -> list[tuple[bytes, bytes]]:
        return [(b"Host", b"a"), *((b"X-%d" % n, value if n < count else b"x") for n in range(9))]

    last = quick(head_of(fields(b"x", 9)))
    assert changed_head.changed_head(head_of(fields(b"y", MOST_CHANGES)), last) is not None
    assert changed_head.changed_head(head_of(fields(b"y", MOST_CHANGES + 1)), last) is None


def test_the_table_of_names_is_bounded() -> None:
    for number in range(2 * NAMES_SIZE):
        field = b"X-Name-%d" % number
        last = quick(head_of([(b"Host", b"a"), (field, b"1")]))
        assert changed_head.changed_head(head_of([(b"Host", b"a"), (field, b"2")]), last)
    assert len(changed_head._names) <= NAMES_SIZE


def test_a_machine_compares_each_head_with_the_one_before() -> None:
    speedups.hold("a test of the functions in Python")
    try:
        assert readers.quick_head is changed_head.whole_head
        machine = Machine(LIMITS)
        for number in range(3):
            head = machine.receive(head_of(changed(3, b"%d" % number), b"GET /%d" % number))
            assert isinstance(head, RequestHead)
            assert (head.path, dict(head.fields())["Referer"]) == (f"/{number}", str(number))
            assert (head.changes is None) == (number == 0)
            machine.whole_response("200 OK", [], b"", b"")
    finally:
        speedups.release("a test of the functions in Python")
