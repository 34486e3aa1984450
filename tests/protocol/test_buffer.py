"""The queue of received bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from carboy.protocol.buffer import ReceiveBuffer


def test_a_line_is_given_when_its_end_has_come() -> None:
    buffer = ReceiveBuffer()
    buffer.feed(b"ab")
    assert buffer.line() is None
    buffer.feed(b"c\nd")
    assert buffer.line() == b"abc\n"
    assert buffer.line() is None
    assert buffer.take(9) == b"d"
    assert len(buffer) == 0


def test_dropped_bytes_are_gone() -> None:
    buffer = ReceiveBuffer()
    buffer.feed(b"ab\ncd")
    assert buffer.line() == b"ab\n"
    assert buffer.line() is None
    buffer.drop(1)
    buffer.feed(b"\n")
    assert buffer.line() == b"d\n"


def test_peeking_removes_nothing() -> None:
    buffer = ReceiveBuffer()
    assert buffer.first() == -1
    buffer.feed(b"abc")
    assert (buffer.first(), buffer.peek(2), buffer.find(b"c"), len(buffer)) == (97, b"ab", 2, 3)


def test_clearing_resets_the_search() -> None:
    buffer = ReceiveBuffer()
    buffer.feed(b"abc")
    assert buffer.line() is None
    buffer.clear()
    buffer.feed(b"\n")
    assert buffer.line() == b"\n"


@given(st.lists(st.binary(max_size=8) | st.integers(0, 9) | st.just("line")))
def test_bytes_come_out_in_the_order_they_were_fed(steps: list[object]) -> None:
    buffer, reference = ReceiveBuffer(), b""
    for step in steps:
        if isinstance(step, bytes):
            buffer.feed(step)
            reference += step
        elif isinstance(step, int):
            assert buffer.take(step) == reference[:step]
            reference = reference[step:]
        else:
            end = reference.find(b"\n") + 1
            assert buffer.line() == (reference[:end] or None)
            reference = reference[end:]
        assert buffer.data == reference
