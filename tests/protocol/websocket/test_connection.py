"""Frames and messages of an open WebSocket, in the order of the sections of the Autobahn suite.

Each case is fed whole, byte by byte, and with and without the short way for ordinary frames.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy.protocol.websocket import connection
from carboy.protocol.websocket.connection import Closed, Pong, State, WebSocketMachine
from carboy.protocol.websocket.deflate import MOST_ENDS, Deflate
from websocket_client import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close, frame

LIMIT = 1 << 20
Outcome = tuple[list[Any], bytes, State]


class WithoutShortWay(WebSocketMachine):
    """Gives every frame to the Protocol of websockets."""

    __slots__ = ()

    def _quick(self, data: bytes, position: int, end: int) -> int:
        return 0


def outcome(machine: WebSocketMachine, pieces: Iterable[bytes]) -> Outcome:
    events: list[Any] = []
    sent = b""
    for piece in pieces:
        events += machine.receive(piece)
        sent += machine.to_send()
    return [plain(each) for each in events], sent, machine.state


def plain(event: Any) -> Any:
    if isinstance(event, Pong):
        return ("pong", event.data)
    if isinstance(event, Closed):
        return ("closed", event.code, event.clean)
    return event


def split(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def fed(data: bytes, deflate: bool = False, limit: int = LIMIT) -> Outcome:
    """The outcome, which is the same for all ways to feed."""

    def made(kind: Callable[..., WebSocketMachine]) -> WebSocketMachine:
        return kind(limit, Deflate(15, 15) if deflate else None)

    expected = outcome(made(WithoutShortWay), [data])
    assert outcome(made(WebSocketMachine), [data]) == expected
    assert outcome(made(WebSocketMachine), split(data, 1)) == expected
    assert outcome(made(WebSocketMachine), split(data, 7)) == expected
    return expected


def failure(data: bytes, code: int, deflate: bool = False, limit: int = LIMIT) -> list[Any]:
    """The events before a failure with this code, after which nothing is read."""
    events, sent, state = fed(data + frame(TEXT, "after"), deflate, limit)
    assert state is State.CLOSED
    assert events[-1] == ("closed", code, False), events
    assert code_sent(sent) == code
    return events[:-1]


def code_sent(sent: bytes) -> int | None:
    """The code of the close frame, which is the last one that was sent."""
    position = 0
    while True:
        opcode, size = sent[position] & 0x0F, sent[position + 1]
        payload = sent[position + 2 : position + 2 + size]
        position += 2 + size
        if opcode == CLOSE:
            assert position == len(sent)
            return int.from_bytes(payload[:2], "big") if payload else None


def messages(data: bytes, deflate: bool = False, limit: int = LIMIT) -> list[Any]:
    events, _, state = fed(data, deflate, limit)
    assert state is State.OPEN
    return events


# --- 1: framing


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 128, 65535, 65536])
def test_messages_of_all_sizes(size: int) -> None:
    text, data = "*" * size, b"\xfe" * size
    sent = frame(TEXT, text) + frame(BINARY, data)
    assert outcome(WebSocketMachine(LIMIT), [sent])[0] == [text, data]
    assert outcome(WithoutShortWay(LIMIT), split(sent, 997))[0] == [text, data]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
def test_frames_of_the_server_have_the_shortest_length(size: int) -> None:
    machine = WebSocketMachine(LIMIT)
    made = machine.binary(b"x" * size)
    expected = 2 if size < 126 else 4 if size < 65536 else 10
    assert made[0] == 0x82
    assert made[expected:] == b"x" * size
    assert machine.text("x" * size)[0] == 0x81


@pytest.mark.parametrize(("size", "form"), [(0, 2), (125, 2), (0, 8), (126, 8), (65535, 8)])
def test_a_length_in_a_longer_form_is_an_error(size: int, form: int) -> None:
    """RFC 6455, section 5.2: the minimal number of bytes MUST be used."""
    failure(frame(BINARY, b"x" * size, form=form), 1002)


def test_a_length_of_64_bits_is_an_error() -> None:
    failure(b"\x82\xff" + b"\xff" * 8, 1002)


def test_a_frame_without_a_mask_is_an_error() -> None:
    """Section 5.1."""
    failure(frame(TEXT, "hello", mask=None), 1002)
    failure(frame(PING, "hello", mask=None), 1002)
    failure(frame(BINARY, b"x" * 70000, mask=None), 1002)


@pytest.mark.parametrize("mask", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"abcd"])
def test_every_mask_is_removed(mask: bytes) -> None:
    assert messages(frame(TEXT, "hello world", mask=mask)) == ["hello world"]


# --- 2: pings and pongs


@pytest.mark.parametrize("payload", [b"", b"hello", b"\0\xff\xfe", b"\xfe" * 125])
def test_a_ping_is_answered_with_the_same_payload(payload: bytes) -> None:
    _, sent, state = fed(frame(PING, payload))
    assert sent == bytes((0x8A, len(payload))) + payload
    assert state is State.OPEN


def test_a_ping_of_more_than_125_bytes_is_an_error() -> None:
    failure(frame(PING, b"x" * 126), 1002)


def test_an_oversized_ping_is_refused_by_its_header() -> None:
    machine = WebSocketMachine(LIMIT)
    machine.receive(frame(PING, b"x" * 126)[:4])
    assert machine.state is State.CLOSED


def test_pongs_that_were_not_asked_for_are_reported_and_not_answered() -> None:
    events, sent, _ = fed(frame(PONG, b"one") + frame(PONG) + frame(PING, b"two"))
    assert events == [("pong", b"one"), ("pong", b"")]
    assert sent == b"\x8a\x03two"


def test_ten_pings_are_answered_in_their_order() -> None:
    pings = b"".join(frame(PING, f"{number}") for number in range(10))
    assert fed(pings)[1] == b"".join(b"\x8a\x01%d" % number for number in range(10))


# --- 3: reserved bits


@pytest.mark.parametrize("rsv", range(1, 8))
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, PONG, CLOSE, CONTINUATION])
def test_reserved_bits_are_an_error(opcode: int, rsv: int) -> None:
    first = frame(TEXT, "first")
    assert failure(first + frame(opcode, b"", rsv=rsv), 1002) == ["first"]


@pytest.mark.parametrize("rsv", [1, 2, 3, 5, 6, 7])
def test_other_reserved_bits_are_an_error_with_compression(rsv: int) -> None:
    failure(frame(TEXT, b"", rsv=rsv), 1002, deflate=True)


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_a_compressed_control_frame_is_an_error(opcode: int) -> None:
    failure(frame(opcode, b"", rsv=4), 1002, deflate=True)


# --- 4: opcodes


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
@pytest.mark.parametrize("payload", [b"", b"x"])
def test_reserved_opcodes_are_an_error(opcode: int, payload: bytes) -> None:
    first = frame(TEXT, "first")
    assert failure(first + frame(opcode, payload), 1002) == ["first"]


# --- 5: fragments


def test_fragments_are_put_together() -> None:
    assert messages(
        frame(TEXT, "one", fin=False)
        + frame(CONTINUATION, "two", fin=False)
        + frame(CONTINUATION, "three")
        + frame(BINARY, b"a", fin=False)
        + frame(CONTINUATION, b"b")
        + frame(TEXT, "last")
    ) == ["onetwothree", b"ab", "last"]


def test_control_frames_may_come_between_fragments() -> None:
    events, sent, _ = fed(
        frame(TEXT, "one", fin=False)
        + frame(PING, "now")
        + frame(PONG, "and")
        + frame(CONTINUATION, "two")
    )
    assert events == [("pong", b"and"), "onetwo"]
    assert sent == b"\x8a\x03now"


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_a_control_frame_in_fragments_is_an_error(opcode: int) -> None:
    failure(frame(opcode, b"", fin=False) + frame(CONTINUATION, b""), 1002)


def test_a_continuation_of_nothing_is_an_error() -> None:
    failure(frame(CONTINUATION, "x"), 1002)
    failure(frame(CONTINUATION, "x", fin=False), 1002)
    done = frame(TEXT, "a", fin=False) + frame(CONTINUATION, "b")
    assert failure(done + frame(CONTINUATION, "c"), 1002) == ["ab"]


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("fin", [True, False])
def test_a_message_within_the_fragments_of_another_is_an_error(opcode: int, fin: bool) -> None:
    assert not failure(frame(TEXT, "one", fin=False) + frame(opcode, b"two", fin=fin), 1002)


def test_empty_fragments_are_allowed_up_to_a_number() -> None:
    empty = frame(CONTINUATION, b"", fin=False)
    begin = frame(TEXT, "", fin=False)
    most = connection.MOST_EMPTY
    machine = WebSocketMachine(LIMIT)
    assert machine.receive(begin + empty * (most - 1) + frame(CONTINUATION, "end")) == ["end"]
    events = machine.receive(begin + empty * most)
    assert plain(events[-1]) == ("closed", 1008, False)


# --- 6: UTF-8

INVALID = [
    b"\x80", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xed\xa0\x80", b"\xed\xbf\xbf",
    b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xff", b"\xfe", b"\xce",
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80\x65\x64\x69\x74\x65\x64",
]  # fmt: skip
VALID = ["κόσμε", "\ud7ff\ue000\uffff", "\U00010000\U0010ffff", "\0", "\ufffe\uffff", "Hellö ߿ࠀ"]


@pytest.mark.parametrize("data", INVALID)
def test_text_that_is_not_utf_8_is_an_error(data: bytes) -> None:
    failure(frame(TEXT, data), 1007)
    failure(frame(TEXT, b"ok", fin=False) + frame(CONTINUATION, data), 1007)
    failure(b"".join(
        frame(TEXT if not number else CONTINUATION, data[number : number + 1],
              fin=number == len(data) - 1)
        for number in range(len(data))
    ), 1007)  # fmt: skip
    assert messages(frame(BINARY, data)) == [data]


@pytest.mark.parametrize("text", VALID)
def test_characters_may_be_split_between_fragments(text: str) -> None:
    data = text.encode()
    for place in range(len(data) + 1):
        sent = frame(TEXT, data[:place], fin=False) + frame(CONTINUATION, data[place:])
        assert WebSocketMachine(LIMIT).receive(sent) == [text]


def test_an_error_in_a_fragment_is_found_before_the_message_is_complete() -> None:
    machine = WebSocketMachine(LIMIT)
    machine.receive(frame(TEXT, "κόσμε".encode() + b"\xf4\x90", fin=False))
    assert machine.state is State.CLOSED
    assert code_sent(machine.to_send()) == 1007


@pytest.mark.parametrize("before", ["", "κόσ"])
def test_an_error_is_found_before_the_frame_is_complete(before: str) -> None:
    """Section 6.4.3 of the suite: the frame comes in pieces, the second one is wrong."""
    machine = WebSocketMachine(LIMIT)
    if before:
        machine.receive(frame(TEXT, before.encode()[:-1], fin=False))
        text = before.encode()[-1:] + "με".encode()
    else:
        text = "κόσμε".encode()
    whole = frame(CONTINUATION if before else TEXT, text + b"\xf4\x90\x80\x80" + b"x" * 500)
    header = 8
    for piece in split(whole[: header + len(text)], 3):
        machine.receive(piece)
    assert machine.state is State.OPEN
    machine.receive(whole[header + len(text) :][:2])
    assert machine.state is State.CLOSED
    assert code_sent(machine.to_send()) == 1007


def test_text_in_pieces_is_put_together_from_all_of_them() -> None:
    text = "κόσμε \U0001f600 " * 3000
    for size in (1, 2, 3, 5, 7, 64, 1000):
        machine = WebSocketMachine(LIMIT)
        events: list[Any] = []
        for piece in split(frame(TEXT, text), size):
            events += machine.receive(piece)
        assert events == [text]


# --- 7: the close


def test_a_close_is_answered_with_its_code() -> None:
    events, sent, state = fed(close(1000, "bye") + frame(TEXT, "after") + frame(PING))
    assert events == [("closed", 1000, True)]
    assert sent == b"\x88\x05\x03\xe8bye"
    assert state is State.CLOSED


def test_a_close_without_a_code_is_1005_for_the_application() -> None:
    events, sent, _ = fed(close(None))
    assert events == [("closed", 1005, True)]
    assert sent == b"\x88\x00"


@pytest.mark.parametrize(
    "code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999,
             4000, 4999],
)  # fmt: skip
def test_valid_codes_are_accepted(code: int) -> None:
    assert fed(close(code))[0] == [("closed", code, True)]


@pytest.mark.parametrize(
    "code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]
)
def test_codes_that_may_not_be_sent_are_an_error(code: int) -> None:
    failure(close(code), 1002)


def test_a_close_of_one_byte_or_with_a_wrong_reason_is_an_error() -> None:
    failure(frame(CLOSE, b"\x03"), 1002)
    failure(frame(CLOSE, b"\x03\xe8\xce\xff"), 1007)
    failure(frame(CLOSE, b"\x03\xe8" + b"x" * 124), 1002)
    assert fed(close(1000, "x" * 123))[0] == [("closed", 1000, True)]


def test_a_close_between_fragments_is_a_clean_close() -> None:
    events, sent, _ = fed(frame(TEXT, "one", fin=False) + close(1000) + frame(CONTINUATION, "two"))
    assert events == [("closed", 1000, True)]
    assert sent == b"\x88\x02\x03\xe8"


def test_the_server_closes_and_waits_for_the_client() -> None:
    machine = WebSocketMachine(LIMIT)
    assert machine.close(4000, "gone") == b"\x88\x06\x0f\xa0gone"
    assert machine.state is State.CLOSING
    assert machine.close(1000) == b""
    assert machine.receive(frame(TEXT, "crossing") + frame(BINARY, b"x", fin=False)) == []
    assert [plain(each) for each in machine.receive(close(4000))] == [("closed", 4000, True)]
    assert machine.state is State.CLOSED
    assert machine.to_send() == b""


def test_a_broken_frame_after_the_close_of_the_server_ends_the_connection() -> None:
    machine = WebSocketMachine(LIMIT)
    machine.close(1000)
    events = machine.receive(frame(TEXT, "x", mask=None))
    assert machine.state is State.CLOSED
    assert [plain(each)[2] for each in events] == [False]
    assert machine.to_send() == b""


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000])
def test_the_server_never_sends_a_reserved_code(code: int) -> None:
    with pytest.raises(ValueError, match=f"cannot have the code {code}"):
        WebSocketMachine(LIMIT).close(code)


def test_a_reason_that_cannot_be_sent_is_refused() -> None:
    machine = WebSocketMachine(LIMIT)
    with pytest.raises(ValueError, match="at most 123 bytes"):
        machine.close(1000, "ü" * 62)
    with pytest.raises(ValueError, match="needs a code"):
        machine.close(None, "why")
    assert machine.state is State.OPEN
    assert machine.close(None) == b"\x88\x00"


# --- 9: limits


def test_a_message_up_to_the_limit_is_accepted_and_a_larger_one_is_not() -> None:
    assert messages(frame(BINARY, b"x" * 1000), limit=1000) == [b"x" * 1000]
    failure(frame(BINARY, b"x" * 1001), 1009, limit=1000)
    failure(frame(TEXT, "x" * 1001), 1009, limit=1000)


def test_the_limit_is_for_all_fragments_together() -> None:
    begin = frame(BINARY, b"x" * 600, fin=False)
    assert messages(begin + frame(CONTINUATION, b"x" * 400), limit=1000) == [b"x" * 1000]
    failure(begin + frame(CONTINUATION, b"x" * 401), 1009, limit=1000)


def test_a_message_that_is_too_large_is_refused_by_its_header() -> None:
    machine = WebSocketMachine(1000)
    machine.receive(frame(BINARY, b"x" * 70000)[:10])
    assert machine.state is State.CLOSED


def test_a_message_of_16_mib_in_pieces_is_accepted() -> None:
    data = b"\x01\x02\x03\x04" * (4 << 20)
    machine = WebSocketMachine(16 << 20)
    events: list[Any] = []
    for piece in split(frame(BINARY, data), 1 << 18):
        events += machine.receive(piece)
    assert events == [data]


def test_many_small_fragments_are_one_message() -> None:
    machine = WebSocketMachine(LIMIT)
    middle = frame(CONTINUATION, b"x" * 64, fin=False)
    sent = frame(BINARY, b"", fin=False) + middle * 4096 + frame(CONTINUATION, b"")
    assert machine.receive(sent) == [b"x" * 64 * 4096]


def test_only_as_many_events_as_asked_for_are_returned() -> None:
    machine = WebSocketMachine(LIMIT)
    sent = b"".join(frame(TEXT, f"{number}") for number in range(10))
    assert machine.receive(sent, 4) == ["0", "1", "2", "3"]
    assert machine.held
    assert machine.receive(frame(TEXT, "10"), 4) == ["4", "5", "6", "7"]
    assert machine.receive(b"", 4) == ["8", "9", "10"]
    assert not machine.held


# --- 12 and 13: compression


def compressed(data: bytes, bits: int = 15, mode: int = zlib.Z_SYNC_FLUSH, level: int = 6) -> bytes:
    context = zlib.compressobj(level, wbits=-bits)
    return (context.compress(data) + context.flush(mode)).removesuffix(b"\0\0\xff\xff")


def test_the_examples_of_rfc_7692_are_read() -> None:
    """Section 7.2.3."""
    hello = bytes.fromhex("f248cdc9c90700")
    stored = bytes.fromhex("000500faff48656c6c6f00")
    final = bytes.fromhex("f348cdc9c9070000")
    two = bytes.fromhex("f248050000 00ffffcac9c90700")
    for payload in (hello, stored, final, two):
        assert messages(frame(TEXT, payload, rsv=4), deflate=True) == ["Hello"]
    fragments = frame(TEXT, hello[:3], rsv=4, fin=False) + frame(CONTINUATION, hello[3:])
    assert messages(fragments, deflate=True) == ["Hello"]


@pytest.mark.parametrize("size", [0, 1, 255, 256, 1000, 70000, 200000])
@pytest.mark.parametrize("bits", [9, 12, 15])
def test_what_the_server_compresses_can_be_read(size: int, bits: int) -> None:
    machine = WebSocketMachine(LIMIT, Deflate(15, bits))
    data = bytes(number * number % 251 for number in range(size))
    made = machine.binary(data)
    header = 2 if len(made) - 2 < 126 else 4 if len(made) - 4 < 65536 else 10
    if size < 256:
        assert made == WebSocketMachine(LIMIT).binary(data)
    else:
        assert made[0] == 0xC2
        inflated = zlib.decompressobj(wbits=-bits).decompress(made[header:] + b"\0\0\xff\xff")
        assert inflated == data


@pytest.mark.parametrize("bits", [9, 10, 15])
@pytest.mark.parametrize("level", [0, 1, 9])
def test_compressed_messages_of_a_client_are_read(bits: int, level: int) -> None:
    text = "".join(f"line {number}\n" for number in range(500))
    payload = compressed(text.encode(), bits, level=level)
    plain_one = frame(TEXT, "not compressed")
    sent = frame(TEXT, payload, rsv=4) + plain_one + frame(TEXT, payload, rsv=4)
    assert messages(sent, deflate=True) == [text, "not compressed", text]
    third = len(payload) // 3
    fragments = (
        frame(TEXT, payload[:third], rsv=4, fin=False)
        + frame(PING, "between")
        + frame(CONTINUATION, payload[third : 2 * third], fin=False)
        + frame(CONTINUATION, payload[2 * third :])
    )
    assert messages(fragments, deflate=True) == [text]


def test_an_empty_compressed_message_is_empty() -> None:
    assert messages(frame(TEXT, b"\x00", rsv=4), deflate=True) == [""]
    assert messages(frame(BINARY, b"\x02\x00", rsv=4), deflate=True) == [b""]
    assert messages(frame(BINARY, b"", rsv=4), deflate=True) == [b""]


def test_a_message_may_consist_of_several_compressed_streams() -> None:
    """RFC 7692, section 7.2.3.5: a sender may set the final bit of a block."""
    one, two = (compressed(each, mode=zlib.Z_FINISH) for each in (b"one, ", b"two"))
    assert messages(frame(TEXT, one + two, rsv=4), deflate=True) == ["one, two"]
    fragments = frame(TEXT, one, rsv=4, fin=False) + frame(CONTINUATION, two)
    assert messages(fragments, deflate=True) == ["one, two"]
    empty = compressed(b"", mode=zlib.Z_FINISH)
    failure(frame(TEXT, empty * (MOST_ENDS + 1), rsv=4), 1002, deflate=True)


def test_bytes_that_are_not_compressed_correctly_are_an_error() -> None:
    failure(frame(TEXT, b"\xff\xff\xff", rsv=4), 1002, deflate=True)


def test_rsv1_in_a_continuation_is_an_error() -> None:
    payload = compressed(b"hello")
    begin = frame(TEXT, payload[:2], rsv=4, fin=False)
    failure(begin + frame(CONTINUATION, payload[2:], rsv=4), 1002, deflate=True)
    failure(frame(TEXT, "x", fin=False) + frame(CONTINUATION, "y", rsv=4), 1002, deflate=True)


def test_compressed_text_that_is_not_utf_8_is_an_error() -> None:
    failure(frame(TEXT, compressed(b"ok \xff"), rsv=4), 1007, deflate=True)


def test_the_limit_is_for_the_decompressed_size() -> None:
    exact = compressed(b"x" * 1000)
    assert messages(frame(BINARY, exact, rsv=4), deflate=True, limit=1000) == [b"x" * 1000]
    failure(frame(BINARY, compressed(b"x" * 1001), rsv=4), 1009, deflate=True, limit=1000)


def test_a_bomb_is_not_decompressed_beyond_the_limit() -> None:
    bomb = compressed(b"\0" * (64 << 20))
    assert len(bomb) < 100_000
    failure(frame(BINARY, bomb, rsv=4), 1009, deflate=True, limit=100_000)
    half = len(bomb) // 2
    machine = WebSocketMachine(100_000, Deflate(15, 15))
    events = machine.receive(frame(BINARY, bomb[:half], rsv=4, fin=False))
    assert plain(events[-1]) == ("closed", 1009, False)


# --- any bytes, in any pieces

payloads = st.one_of(st.binary(max_size=20), st.text(max_size=10).map(str.encode))
frames = st.builds(
    frame,
    st.sampled_from([TEXT, TEXT, BINARY, CONTINUATION, PING, PONG, CLOSE, 3]),
    payloads,
    fin=st.booleans() | st.just(True),
    rsv=st.sampled_from([0, 0, 0, 0, 0, 4, 1]),
)
streams = st.lists(frames, max_size=6).map(b"".join) | st.binary(max_size=40)


@given(streams, st.lists(st.integers(1, 12), min_size=1, max_size=5), st.booleans())
def test_any_bytes_have_the_same_outcome_in_any_pieces(
    data: bytes, sizes: list[int], deflate: bool
) -> None:
    def made(kind: Callable[..., WebSocketMachine]) -> WebSocketMachine:
        return kind(40, Deflate(15, 15) if deflate else None)

    pieces, position, turn = [], 0, 0
    while position < len(data):
        size = sizes[turn % len(sizes)]
        pieces.append(data[position : position + size])
        position, turn = position + size, turn + 1
    expected = outcome(made(WithoutShortWay), [data])
    assert outcome(made(WebSocketMachine), [data]) == expected
    assert outcome(made(WebSocketMachine), pieces) == expected
    assert outcome(made(WithoutShortWay), pieces) == expected
