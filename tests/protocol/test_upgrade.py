"""The machine after a response 101: bytes of another protocol, unchanged in both directions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy.protocol import (
    Data,
    Limits,
    LocalProtocolError,
    Machine,
    Reading,
    RequestHead,
    Signal,
    Writing,
)

FIELDS = b"Host: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: h2c, WebSocket\r\n"
HANDSHAKE = b"GET / HTTP/1.1\r\n" + FIELDS + b"\r\n"
CHOSEN = [("Upgrade", "websocket")]
STATUS = "101 Switching Protocols"


def asked(data: bytes = HANDSHAKE) -> Machine:
    machine = Machine(Limits())
    assert isinstance(machine.receive(data), RequestHead)
    return machine


def drained(machine: Machine, data: bytes | None = None) -> bytes:
    """Bytes of all Data that the machine has."""
    found = b""
    event = machine.next_event() if data is None else machine.receive(data)
    while isinstance(event, Data):
        found += event.data
        event = machine.next_event()
    assert event is Signal.NEED_DATA
    return found


def test_the_response_has_the_chosen_protocol_and_nothing_that_frames_content() -> None:
    data = asked().upgrade(STATUS, [*CHOSEN, ("Sec-X", "1"), ("Connection", "close")])
    assert data == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-X: 1\r\n"
        b"Connection: Upgrade\r\n\r\n"
    )


@given(st.binary(), st.lists(st.binary(min_size=1)))
def test_bytes_arrive_unchanged_in_whatever_pieces(behind: bytes, pieces: list[bytes]) -> None:
    machine = asked(HANDSHAKE + behind)
    machine.upgrade(STATUS, CHOSEN)
    found = drained(machine)
    assert found == behind
    for piece in pieces:
        found += drained(machine, piece)
    assert found == behind + b"".join(pieces)
    assert machine.receive(b"") is Signal.END_OF_MESSAGE
    assert machine.receive(b"") is Signal.CLOSED


@given(st.integers(1, len(HANDSHAKE) + 5))
def test_a_handshake_in_two_pieces_is_the_same(at: int) -> None:
    machine = Machine(Limits())
    data = HANDSHAKE + b"after"
    event = machine.receive(data[:at])
    if at < len(HANDSHAKE):
        assert event is Signal.NEED_DATA
        event = machine.receive(data[at:])
        at = len(data)
    assert isinstance(event, RequestHead)
    machine.upgrade(STATUS, CHOSEN)
    rest = data[at:]
    assert drained(machine) + (drained(machine, rest) if rest else b"") == b"after"


def test_sent_bytes_are_not_framed_and_the_end_adds_none() -> None:
    machine = asked()
    machine.upgrade(STATUS, CHOSEN)
    assert machine.must_close
    assert machine.writing is Writing.OTHER
    assert machine.send_data(b"\x81\x00") == b"\x81\x00"
    assert machine.send_data(b"") == b""
    assert machine.end_response() == b""
    assert machine.reading is Reading.CLOSED
    assert not (machine.short or machine.excess)


REFUSED = {
    "another status": ("200 OK", CHOSEN),
    "an interim status": ("103 Early Hints", CHOSEN),
    "no protocol": (STATUS, []),
    "an empty protocol": (STATUS, [("Upgrade", " ,")]),
    "another protocol": (STATUS, [("Upgrade", "echo")]),
    "one protocol too many": (STATUS, [("Upgrade", "websocket, echo")]),
    "a length": (STATUS, [*CHOSEN, ("Content-Length", "0")]),
    "a coding": (STATUS, [*CHOSEN, ("Transfer-Encoding", "chunked")]),
    "a control character": (STATUS, [*CHOSEN, ("X", "a\r\nb")]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_response_that_may_not_be_sent_is_refused_and_another_can_be(name: str) -> None:
    machine = asked()
    with pytest.raises(LocalProtocolError):
        machine.upgrade(*REFUSED[name])
    assert machine.whole_response("400 Bad Request", [], b"no", b"").endswith(b"no")
    with pytest.raises(LocalProtocolError):
        machine.upgrade(STATUS, CHOSEN)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",  # not a connection option
        HANDSHAKE.replace(b"HTTP/1.1", b"HTTP/1.0"),
        b"GET / HTTP/1.1\r\n" + FIELDS + b"Content-Length: 3\r\n\r\nab",
    ],
    ids=["no field", "no option", "HTTP/1.0", "content that is missing"],
)
def test_a_request_that_cannot_be_switched_is_refused(data: bytes) -> None:
    machine = asked(data)
    with pytest.raises(LocalProtocolError):
        machine.upgrade(STATUS, CHOSEN)


def test_bytes_after_the_content_belong_to_the_other_protocol() -> None:
    machine = asked(b"GET / HTTP/1.1\r\n" + FIELDS + b"Content-Length: 3\r\n\r\nabcxyz")
    event = machine.next_event()
    assert isinstance(event, Data)
    assert event.data == b"abc"
    machine.upgrade(STATUS, CHOSEN)
    assert drained(machine) == b"xyz"
