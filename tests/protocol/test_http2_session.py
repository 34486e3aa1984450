"""HTTP/2 without sockets: rules of RFC 9113, limits, and windows."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import Any

import pytest
from hpack import Decoder, Encoder
from hypothesis import given
from hypothesis import strategies as st

from carboy.protocol.errors import LocalProtocolError, RemoteProtocolError
from carboy.protocol.http2 import blocks, codes
from carboy.protocol.http2.codes import Code, ConnectionFailed, frame
from carboy.protocol.http2.events import Happened
from carboy.protocol.http2.limits import Http2Limits
from carboy.protocol.http2.session import Session
from carboy.protocol.http2.stream import Stream
from carboy.protocol.limits import Limits

GET = [
    (":method", "GET"), (":scheme", "https"), (":authority", "example.test"), (":path", "/"),
]  # fmt: skip
POST = [(":method", "POST"), *GET[1:]]
EXTRA = b"Server: carboy\r\n"
Pairs = list[tuple[str, str]]


class Peer:
    """A client without a socket."""

    def __init__(self, limits: Limits = Limits(), greet: bool = True, **http2: int) -> None:
        self.session = Session(limits, replace(Http2Limits(), **http2))
        self.encoder = Encoder()
        self.now = 1000.0
        self.feed(codes.PREFACE)
        if greet:
            self.feed(frame(codes.SETTINGS, 0, 0, b""))
        self.sent()

    def feed(self, data: bytes) -> list[Any]:
        self.session.receive(data, self.now)
        while self.session.more:
            self.session.receive(b"", self.now)
        events = list(self.session.events)
        self.session.events.clear()
        return events

    def block(self, pairs: Pairs) -> bytes:
        return self.encoder.encode(
            [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
        )

    def head(self, number: int, pairs: Pairs, end: bool = True) -> bytes:
        flags = codes.END_HEADERS | (codes.END_STREAM if end else 0)
        return frame(codes.HEADERS, flags, number, self.block(pairs))

    def opened(self, pairs: Pairs = GET, number: int = 1, end: bool = True) -> Stream:
        (event,) = self.feed(self.head(number, pairs, end))
        assert event.what is Happened.OPENED, event
        stream: Stream = event.stream
        return stream

    def sent(self) -> list[tuple[int, int, int, bytes]]:
        """The frames that the server has sent since the last call: type, flags, stream, payload."""
        data, found = bytes(self.session.sender.out), []
        self.session.sender.out.clear()
        while data:
            length = int.from_bytes(data[:3])
            number = int.from_bytes(data[5:9])
            found.append((data[3], data[4], number, data[9 : 9 + length]))
            data = data[9 + length :]
        return found

    def failure(self, data: bytes) -> Code:
        """The code with which the connection ends."""
        with pytest.raises(ConnectionFailed) as failed:
            self.feed(data)
        kind, _, _, payload = self.sent()[-1]
        assert kind == codes.GOAWAY
        assert int.from_bytes(payload[4:8]) == failed.value.code
        return failed.value.code

    def reset(self, data: bytes, number: int = 1) -> Code:
        """The code with which a stream is reset; the connection goes on."""
        self.feed(data)
        resets = [each for each in self.sent() if each[0] == codes.RST_STREAM]
        assert [each[2] for each in resets] == [number]
        assert not self.session.failed
        return Code(int.from_bytes(resets[0][3]))


def number_frame(kind: int, stream: int, value: int, flags: int = 0) -> bytes:
    return frame(kind, flags, stream, value.to_bytes(4))


# --- heads


def test_a_request_has_the_parts_of_a_head_of_http_1() -> None:
    pairs = [*GET[:3], (":path", "/a?b=c"), ("accept", "x"), ("cookie", "a=1"), ("cookie", "b=2")]
    stream = Peer().opened(pairs)
    head = stream.head
    assert head is not None
    assert (head.method, head.path, head.query, head.host) == ("GET", "/a", "b=c", "example.test")
    assert head.fields() == [("host", "example.test"), ("accept", "x"), ("cookie", "a=1; b=2")]
    assert head.request_line() == "GET /a?b=c HTTP/2.0"
    assert not head.has_body


MALFORMED = {
    "a name in upper case": [*GET, ("X-Name", "y")],
    "a space in a name": [*GET, ("x name", "y")],
    "a colon in a name": [*GET, ("x:name", "y")],
    "an empty name": [*GET, ("", "y")],
    "Connection": [*GET, ("connection", "close")],
    "Keep-Alive": [*GET, ("keep-alive", "1")],
    "Proxy-Connection": [*GET, ("proxy-connection", "close")],
    "Transfer-Encoding": [*GET, ("transfer-encoding", "chunked")],
    "Upgrade": [*GET, ("upgrade", "websocket")],
    "TE": [*GET, ("te", "gzip")],
    "a line break in a value": [*GET, ("x", "a\r\nhost: b")],
    "a line feed in a value": [*GET, ("x", "a\nb")],
    "NUL in a value": [*GET, ("x", "a\0b")],
    "a space before a value": [*GET, ("x", " a")],
    "a tab after a value": [*GET, ("x", "a\t")],
    "a line break in :path": [*GET[:3], (":path", "/\r\nx: y")],
    "a pseudo-header after a header": [*GET[:3], ("x", "y"), GET[3]],
    "a pseudo-header twice": [*GET, (":path", "/b")],
    "an unknown pseudo-header": [*GET, (":status", "200")],
    "no :method": GET[1:],
    "no :scheme": [GET[0], *GET[2:]],
    "no :path": GET[:3],
    "an empty :path": [*GET[:3], (":path", "")],
    "a :path that is a name": [*GET[:3], (":path", "a")],
    "a :path with an authority": [*GET[:3], (":path", "http://other.test/")],
    "no authority": [*GET[:2], GET[3]],
    "Host that differs": [*GET, ("host", "other.test")],
    "CONNECT with :path": [(":method", "CONNECT"), *GET[1:]],
    ":protocol without CONNECT": [*GET, (":protocol", "websocket")],
    "Content-Length without content": [*POST, ("content-length", "3")],
}


@pytest.mark.parametrize("pairs", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_request_is_reset(pairs: Pairs) -> None:
    peer = Peer()
    events = peer.feed(peer.head(1, pairs))
    assert [each.what for each in events] == [Happened.MALFORMED]
    kind, _, number, payload = peer.sent()[0]
    assert (kind, number, int.from_bytes(payload)) == (codes.RST_STREAM, 1, Code.PROTOCOL_ERROR)
    assert peer.opened(number=3).head is not None  # the connection goes on


REFUSED = {
    "a control character": (400, [*GET, ("x", "a\x01b")]),
    "an invalid host": (400, [*GET[:2], (":authority", "a b"), GET[3]]),
    "user information": (400, [*GET[:2], (":authority", "a@example.test"), GET[3]]),
    "Host twice": (400, [*GET, ("host", "example.test"), ("host", "example.test")]),
    "a fragment": (400, [*GET[:3], (":path", "/a#b")]),
    "a space in :path": (400, [*GET[:3], (":path", "/a b")]),
    "an asterisk": (400, [*GET[:3], (":path", "*")]),
    "a scheme": (400, [GET[0], (":scheme", "ftp"), *GET[2:]]),
    "a method": (400, [(":method", "GE T"), *GET[1:]]),
    "Content-Length with a sign": (400, [*POST, ("content-length", "+3")]),
    "Content-Length twice": (400, [*POST, ("content-length", "3"), ("content-length", "3")]),
    "Content-Type twice": (400, [*POST, ("content-type", "a"), ("content-type", "b")]),
    "an expectation": (417, [*POST, ("expect", "tea")]),
    "CONNECT": (501, [(":method", "CONNECT"), GET[2]]),
    "a long target": (414, [*GET[:3], (":path", "/" + "a" * 9000)]),
    "a long header": (431, [*GET, ("x", "a" * 9000)]),
    "many headers": (431, [*GET, *[("x", "y")] * 101]),
    "large headers": (431, [*GET, *[("x", "y" * 7000)] * 10]),
}


@pytest.mark.parametrize(("status", "pairs"), REFUSED.values(), ids=REFUSED)
def test_what_http_1_refuses_gets_the_same_status(status: int, pairs: Pairs) -> None:
    peer = Peer()
    data = peer.head(1, pairs, end=False)
    flags, block, frames = data[4], data[9:], b""
    if len(block) > 16384:  # the frames of a large block
        parts = [block[i : i + 16384] for i in range(0, len(block), 16384)]
        frames = frame(codes.HEADERS, flags & ~codes.END_HEADERS, 1, parts[0])
        for part in parts[1:]:
            last = codes.END_HEADERS if part is parts[-1] else 0
            frames += frame(codes.CONTINUATION, last, 1, part)
    (event,) = peer.feed(frames or data)
    assert event.what is Happened.REFUSED
    assert event.error.status == status


def test_a_name_with_an_underscore_does_not_reach_the_application() -> None:
    pairs = [*GET, ("x_a", "1"), ("x-a", "2")]
    head = Peer().opened(pairs).head
    assert head is not None
    assert head.fields()[1:] == [("x-a", "2")]
    head = Peer(Limits(underscore_fields=True)).opened(pairs).head
    assert head is not None
    assert len(head.fields()) == 3


def test_equal_requests_get_heads_of_their_own() -> None:
    peer = Peer()
    peer.opened(number=1)
    heads = [peer.opened(number=number).head for number in (3, 5, 7)]
    assert [head.path for head in heads if head] == ["/"] * 3
    assert heads[0] is not heads[1]
    assert heads[1] is not heads[2]
    assert heads[1] is not None
    heads[1].fields().clear()
    assert heads[2] is not None
    assert heads[2].fields() == [("host", "example.test")]
    other = peer.opened([*GET[:3], (":path", "/b")], number=9).head
    assert other is not None
    assert other.path == "/b"


def test_the_urgency_of_a_request_can_be_changed() -> None:
    peer = Peer()
    assert peer.opened().priority.urgency == 3
    for number in (3, 5, 7):  # equal heads are made once
        stream = peer.opened([*GET, ("priority", "u=1, i")], number=number)
        assert stream.priority == (1, True)
    peer.feed(frame(codes.PRIORITY_UPDATE, 0, 0, b"\0\0\0\7i,u=6"))
    assert stream.priority == (6, True)


# --- content


def test_content_has_to_have_the_length_that_was_said() -> None:
    for end, data in ((False, b"abcd"), (True, b"ab"), (True, b"")):
        peer = Peer()
        peer.opened([*POST, ("content-length", "3")], end=False)
        flags = codes.END_STREAM if end else 0
        assert peer.reset(frame(codes.DATA, flags, 1, data)) is Code.PROTOCOL_ERROR


def test_trailers_end_the_content_and_are_checked() -> None:
    for pairs, code in (
        ([("x", "y")], None),
        ([(":path", "/")], Code.PROTOCOL_ERROR),
        ([("X", "y")], Code.PROTOCOL_ERROR),
        ([("connection", "close")], Code.PROTOCOL_ERROR),
    ):
        peer = Peer()
        stream = peer.opened(POST, end=False)
        if code is None:
            peer.feed(peer.head(1, pairs))
            assert stream.ended
        else:
            assert peer.reset(peer.head(1, pairs)) is code
    peer = Peer()
    peer.opened(POST, end=False)
    assert peer.reset(peer.head(1, [("x", "y")], end=False)) is Code.PROTOCOL_ERROR


def test_a_window_opens_when_content_is_taken() -> None:
    peer = Peer(window=100_000)
    stream = peer.opened(POST, end=False)
    for _ in range(6):
        peer.feed(frame(codes.DATA, 0, 1, b"x" * 16000))
    assert peer.sent() == []
    assert len(peer.session.take(stream, 60_000)) == 60_000
    assert peer.sent() == [(codes.WINDOW_UPDATE, 0, 1, (60_000).to_bytes(4))]
    peer.feed(frame(codes.DATA, 0, 1, b"x" * 16000))


def test_more_content_than_the_window_allows_is_an_error() -> None:
    peer = Peer(window=100_000)
    peer.opened(POST, end=False)
    for _ in range(6):
        peer.feed(frame(codes.DATA, 0, 1, b"x" * 16000))
    assert peer.reset(frame(codes.DATA, 0, 1, b"x" * 16000)) is Code.FLOW_CONTROL_ERROR


def test_content_of_a_frame_that_is_not_complete_is_taken() -> None:
    peer = Peer(window=100_000)
    stream = peer.opened([*POST, ("content-length", "10000")], end=False)
    data = frame(codes.DATA, codes.END_STREAM, 1, b"ab" * 5000)
    assert peer.feed(data[:9]) == []
    for at in range(9, len(data), 1000):
        (event,) = peer.feed(data[at : at + 1000])
        assert event.what is Happened.READABLE
        assert stream.ended == (at + 1000 >= len(data))
    assert bytes(stream.received) == b"ab" * 5000
    assert stream.window_in == 90_000
    assert not peer.session.incomplete


def test_a_padded_frame_is_taken_when_it_is_complete() -> None:
    peer = Peer()
    stream = peer.opened(POST, end=False)
    data = frame(codes.DATA, codes.PADDED, 1, b"\3abc\0\0\0")
    assert peer.feed(data[:12]) == []
    assert len(peer.feed(data[12:])) == 1
    assert bytes(stream.received) == b"abc"


# --- frames of the connection


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(codes.DATA, 0, 0, b"x"), Code.PROTOCOL_ERROR),
        (frame(codes.DATA, 0, 1, b"x"), Code.PROTOCOL_ERROR),
        (frame(codes.HEADERS, 4, 0, b"\x82"), Code.PROTOCOL_ERROR),
        (frame(codes.HEADERS, 4, 2, b"\x82"), Code.PROTOCOL_ERROR),
        (frame(codes.HEADERS, 12, 1, b"\x05\x82"), Code.PROTOCOL_ERROR),
        (frame(codes.HEADERS, 4, 1, b"\xff\xff\xff\xff\xff"), Code.COMPRESSION_ERROR),
        (frame(codes.HEADERS, 4, 1, b"\x40\x05abc"), Code.COMPRESSION_ERROR),
        (frame(codes.HEADERS, 4, 1, b"\x3f\xe1\xff\x07"), Code.COMPRESSION_ERROR),
        (frame(codes.HEADERS, 0, 1, b"\x82") + frame(codes.DATA, 0, 1, b""), Code.PROTOCOL_ERROR),
        (frame(codes.HEADERS, 0, 1, b"") + frame(codes.CONTINUATION, 4, 3, b""), 1),
        (frame(codes.HEADERS, 0, 1, b"\x82") + frame(99, 0, 1, b""), Code.PROTOCOL_ERROR),
        (frame(codes.CONTINUATION, 4, 1, b""), Code.PROTOCOL_ERROR),
        (frame(codes.PRIORITY, 0, 0, b"\0" * 5), Code.PROTOCOL_ERROR),
        (number_frame(codes.RST_STREAM, 0, 8), Code.PROTOCOL_ERROR),
        (number_frame(codes.RST_STREAM, 1, 8), Code.PROTOCOL_ERROR),
        (frame(codes.RST_STREAM, 0, 1, b"\0"), Code.FRAME_SIZE_ERROR),
        (frame(codes.SETTINGS, 0, 1, b""), Code.PROTOCOL_ERROR),
        (frame(codes.SETTINGS, 0, 0, b"\0"), Code.FRAME_SIZE_ERROR),
        (frame(codes.SETTINGS, 1, 0, b"\0" * 6), Code.FRAME_SIZE_ERROR),
        (frame(codes.SETTINGS, 0, 0, b"\0\2\0\0\0\2"), Code.PROTOCOL_ERROR),
        (frame(codes.SETTINGS, 0, 0, b"\0\4\x80\0\0\0"), Code.FLOW_CONTROL_ERROR),
        (frame(codes.SETTINGS, 0, 0, b"\0\5\0\0\0\1"), Code.PROTOCOL_ERROR),
        (frame(codes.PUSH_PROMISE, 4, 1, b"\0\0\0\2"), Code.PROTOCOL_ERROR),
        (frame(codes.PING, 0, 1, b"\0" * 8), Code.PROTOCOL_ERROR),
        (frame(codes.PING, 0, 0, b"\0" * 7), Code.FRAME_SIZE_ERROR),
        (frame(codes.GOAWAY, 0, 1, b"\0" * 8), Code.PROTOCOL_ERROR),
        (number_frame(codes.WINDOW_UPDATE, 0, 0), Code.PROTOCOL_ERROR),
        (number_frame(codes.WINDOW_UPDATE, 0, 2**31 - 1), Code.FLOW_CONTROL_ERROR),
        (number_frame(codes.WINDOW_UPDATE, 1, 1), Code.PROTOCOL_ERROR),
        (frame(codes.WINDOW_UPDATE, 0, 0, b"\0"), Code.FRAME_SIZE_ERROR),
        (frame(codes.DATA, 0, 1, b"x" * 16385), Code.FRAME_SIZE_ERROR),
        (frame(codes.PRIORITY_UPDATE, 0, 1, b"\0\0\0\1"), Code.PROTOCOL_ERROR),
    ],
)
def test_a_frame_that_breaks_a_rule_ends_the_connection(data: bytes, code: Code) -> None:
    assert Peer().failure(data) == code


def test_a_wrong_preface_ends_the_connection() -> None:
    session = Session(Limits(), Http2Limits())
    with pytest.raises(ConnectionFailed):
        session.receive(b"PRI * HTTP/2.0\r\n\r\nSM\r\nxx", 0.0)
    assert session.failed
    assert bytes(session.sender.out).endswith(b"the preface of the connection is wrong")


def test_the_first_frame_is_settings() -> None:
    peer = Peer(greet=False)
    assert peer.failure(frame(codes.PING, 0, 0, b"\0" * 8)) is Code.PROTOCOL_ERROR


def test_frames_of_a_stream_that_has_ended() -> None:
    peer = Peer()
    peer.opened()
    assert peer.reset(frame(codes.DATA, 0, 1, b"x")) is Code.STREAM_CLOSED  # half-closed
    peer.feed(frame(codes.DATA, 0, 1, b"x"))  # we have reset it, so it may have been on its way
    assert peer.sent() == []
    peer.opened(number=3, end=False)
    peer.feed(number_frame(codes.RST_STREAM, 3, 8))
    assert peer.reset(frame(codes.DATA, 0, 3, b"x"), 3) is Code.STREAM_CLOSED
    done = peer.opened(number=5)
    peer.session.sender.send(done, done.whole_response("200 OK", [], b"", EXTRA), 10**6)
    peer.session.forget(done)
    peer.sent()
    assert peer.failure(frame(codes.DATA, 0, 5, b"x")) is Code.STREAM_CLOSED


def test_a_number_that_is_smaller_than_the_last_ends_the_connection() -> None:
    peer = Peer()
    peer.opened(number=5)
    assert peer.failure(peer.head(3, GET)) is Code.PROTOCOL_ERROR


def test_windows_of_a_stream() -> None:
    peer = Peer()
    peer.opened(POST, end=False)
    assert peer.reset(number_frame(codes.WINDOW_UPDATE, 1, 0)) is Code.PROTOCOL_ERROR
    peer.opened(POST, number=3, end=False)
    assert peer.reset(number_frame(codes.WINDOW_UPDATE, 3, 2**31 - 1), 3) is Code.FLOW_CONTROL_ERROR


def test_a_stream_may_not_depend_on_itself() -> None:
    peer = Peer()
    block = b"\0\0\0\1\x10" + peer.block(GET)
    assert peer.reset(frame(codes.HEADERS, 0x25, 1, block)) is Code.PROTOCOL_ERROR


def test_pings_and_settings_are_acknowledged() -> None:
    peer = Peer()
    peer.feed(frame(codes.PING, 0, 0, b"12345678") + frame(codes.SETTINGS, 0, 0, b""))
    assert peer.sent() == [
        (codes.PING, 1, 0, b"12345678"), (codes.SETTINGS, 1, 0, b""),
    ]  # fmt: skip


def test_unknown_frames_and_settings_are_ignored() -> None:
    peer = Peer()
    peer.feed(frame(99, 7, 5, b"abc") + frame(codes.SETTINGS, 0, 0, b"\0\x77\0\0\0\1"))
    assert peer.opened().head is not None


# --- floods

CALM = Code.ENHANCE_YOUR_CALM


@pytest.mark.parametrize(
    ("limit", "data"),
    [
        ("pings", frame(codes.PING, 0, 0, b"\0" * 8)),
        ("settings", frame(codes.SETTINGS, 0, 0, b"")),
        ("priorities", frame(codes.PRIORITY, 0, 1, b"\0\0\0\3\x10")),
        ("priorities", frame(99, 0, 1, b"")),
        ("priorities", frame(codes.PRIORITY_UPDATE, 0, 0, b"\0\0\0\1u=1")),
        ("tiny_updates", number_frame(codes.WINDOW_UPDATE, 0, 1)),
        ("empty_frames", frame(codes.DATA, 0, 1, b"")),
    ],
)
def test_a_flood_of_frames_ends_the_connection(limit: str, data: bytes) -> None:
    peer = Peer(**{limit: 20})
    peer.opened(POST, end=False)
    peer.feed(data * 19)
    peer.now += 10.0  # the budget comes back
    peer.feed(data * 20)
    peer.sent()
    assert peer.failure(data) is CALM


def test_rapid_resets_end_the_connection() -> None:
    peer = Peer(resets=20)
    for number in range(1, 41, 2):
        peer.feed(peer.head(number, GET) + number_frame(codes.RST_STREAM, number, 8))
    assert peer.failure(peer.head(41, GET) + number_frame(codes.RST_STREAM, 41, 8)) is CALM


def test_resets_that_the_client_makes_us_send_count_too() -> None:
    peer = Peer(resets=20)
    for number in range(1, 41, 2):
        peer.feed(peer.head(number, GET) + number_frame(codes.WINDOW_UPDATE, number, 0))
    assert peer.failure(peer.head(41, GET) + number_frame(codes.WINDOW_UPDATE, 41, 0)) is CALM


def test_requests_that_were_cancelled_count_until_their_handlers_have_ended() -> None:
    peer = Peer(streams=10, resets=1000)
    for number in range(1, 41, 2):
        peer.feed(peer.head(number, GET) + number_frame(codes.RST_STREAM, number, 8))
    assert peer.reset(peer.head(41, GET), 41) is Code.REFUSED_STREAM
    peer.session.forget(peer.session.streams[1])
    assert peer.opened(number=43).head is not None


def test_more_requests_at_a_time_than_allowed_are_refused() -> None:
    peer = Peer(streams=2)
    peer.opened(number=1)
    peer.opened(number=3)
    assert peer.reset(peer.head(5, GET), 5) is Code.REFUSED_STREAM
    peer.feed(number_frame(codes.RST_STREAM, 1, 8))
    assert peer.opened(number=7).head is not None


def test_too_many_continuation_frames_end_the_connection() -> None:
    peer = Peer(continuations=3)
    more = frame(codes.CONTINUATION, 0, 1, b"\0\1x\1y")
    peer.feed(frame(codes.HEADERS, 0, 1, peer.block(GET)) + more * 3)
    assert peer.failure(more) is CALM


def test_a_header_block_that_is_too_large_ends_the_connection_before_it_is_complete() -> None:
    peer = Peer(header_list=20_000)
    peer.feed(frame(codes.HEADERS, 0, 1, b"\0\1x" + b"\x7f\x80\x7f" + b"y" * 16_000))
    assert peer.failure(frame(codes.CONTINUATION, 0, 1, b"y" * 5_000)) is CALM


def test_a_small_block_that_becomes_large_ends_the_connection() -> None:
    peer = Peer(header_list=50_000)
    peer.feed(peer.head(1, [*GET, ("x", "y" * 3_000)]))
    block = peer.block([*GET, *[("x", "y" * 3_000)] * 100])
    assert len(block) < 200
    assert peer.failure(frame(codes.HEADERS, 5, 3, block)) is CALM


def test_a_table_larger_than_allowed_ends_the_connection() -> None:
    size = blocks.integer(1000, 5, 0x20)  # RFC 7541, section 6.3
    for allowed in (1000, 999):
        peer = Peer(header_table=allowed)
        peer.feed(frame(codes.SETTINGS, codes.ACK, 0, b""))
        data = frame(codes.HEADERS, 5, 1, size + peer.block(GET))
        if allowed == 1000:
            (event,) = peer.feed(data)
            assert event.what is Happened.OPENED
        else:
            assert peer.failure(data) is Code.COMPRESSION_ERROR


def test_a_turn_reads_a_limited_number_of_frames() -> None:
    peer = Peer(priorities=10_000)
    peer.session.receive(frame(99, 0, 0, b"") * 1000, peer.now)
    assert peer.session.more
    turns = 1
    while peer.session.more:
        peer.session.receive(b"", peer.now)
        turns += 1
    assert turns > 10


# --- responses


def fields_of(payload: bytes) -> list[tuple[str, str]]:
    return [(str(name), str(value)) for name, value in Decoder().decode(payload)]


def test_a_response_is_a_field_section_and_content() -> None:
    for _ in range(2):  # the second one is remembered
        peer = Peer()
        stream = peer.opened()
        data = stream.whole_response("200 OK", [("Content-Type", "text/plain")], b"hello", EXTRA)
        assert peer.session.sender.send(stream, data, 10**6) == len(data)
        (kind, flags, number, head), content = peer.sent()
        assert (kind, flags, number) == (codes.HEADERS, codes.END_HEADERS, 1)
        assert fields_of(head) == [
            (":status", "200"), ("content-type", "text/plain"), ("server", "carboy"),
            ("content-length", "5"),
        ]  # fmt: skip
        assert content == (codes.DATA, codes.END_STREAM, 1, b"hello")
        assert stream.closed


@pytest.mark.parametrize(
    ("method", "status", "body"),
    [("HEAD", "200 OK", b"abc"), ("GET", "204 No Content", b""), ("GET", "304 Not Modified", b""),
     ("GET", "200 OK", b"")],
)  # fmt: skip
def test_a_response_without_content_ends_with_its_fields(
    method: str, status: str, body: bytes
) -> None:
    peer = Peer()
    stream = peer.opened([(":method", method), *GET[1:]])
    data = stream.whole_response(status, [], body, EXTRA)
    peer.session.sender.send(stream, data, 10**6)
    ((_, flags, _, head),) = peer.sent()
    assert flags == codes.END_HEADERS | codes.END_STREAM
    length = dict(fields_of(head)).get("content-length")
    assert length == {"HEAD": "3"}.get(method, "0" if status == "200 OK" else None)


def test_headers_of_a_connection_are_left_out() -> None:
    peer = Peer()
    stream = peer.opened()
    headers = [("Connection", "close"), ("Transfer-Encoding", "chunked"), ("Upgrade", "x")]
    peer.session.sender.send(stream, stream.start_response("200 OK", headers, b""), 10**6)
    assert fields_of(peer.sent()[0][3]) == [(":status", "200")]


def test_a_header_that_would_split_a_response_is_refused() -> None:
    stream = Peer().opened()
    with pytest.raises(LocalProtocolError, match="control character"):
        stream.whole_response("200 OK", [("X", "a\r\nb")], b"", b"")
    assert stream.whole_response("500 Internal Server Error", [], b"", b"")


def test_content_is_sent_as_the_windows_allow() -> None:
    peer = Peer()
    peer.feed(frame(codes.SETTINGS, 0, 0, b"\0\4" + (10).to_bytes(4)))
    stream = peer.opened()
    data = stream.whole_response("200 OK", [], b"0123456789abcdef", b"")
    peer.sent()
    sent = peer.session.sender.send(stream, data, 10**6)
    assert peer.sent()[-1] == (codes.DATA, 0, 1, b"0123456789")
    assert not peer.session.sender.can_send(stream)
    (event,) = peer.feed(number_frame(codes.WINDOW_UPDATE, 1, 300))
    assert event.what is Happened.WRITABLE
    assert peer.session.sender.send(stream, data[sent:], 10**6) == 6
    assert peer.sent() == [(codes.DATA, codes.END_STREAM, 1, b"abcdef")]


def test_trailers_follow_content_of_unknown_length_if_the_client_accepts_them() -> None:
    for accepts in (True, False):
        peer = Peer()
        stream = peer.opened([*GET, ("te", "trailers")] if accepts else GET)
        data = stream.start_response("200 OK", [], b"") + stream.send_data(b"abc")
        data += stream.end_response([("X-Sum", "3")])
        peer.session.sender.send(stream, data, 10**6)
        kind, flags, _, payload = peer.sent()[-1]
        assert flags & codes.END_STREAM
        assert kind == (codes.HEADERS if accepts else codes.DATA)
        assert fields_of(payload) == ([("x-sum", "3")] if accepts else [])


def test_a_response_that_is_too_short_is_not_ended() -> None:
    peer = Peer()
    stream = peer.opened()
    data = stream.start_response("200 OK", [("Content-Length", "5")], b"") + stream.send_data(b"ab")
    assert stream.end_response() == b""
    assert stream.short
    peer.session.sender.send(stream, data, 10**6)
    peer.sent()
    peer.session.forget(stream)
    assert peer.sent() == [
        (codes.RST_STREAM, 0, 1, int(Code.INTERNAL_ERROR).to_bytes(4)),
    ]  # fmt: skip


def test_a_refusal_says_which_rule_was_broken() -> None:
    peer = Peer()
    stream = peer.opened()
    error = RemoteProtocolError(400, "a rule")
    peer.session.sender.send(stream, stream.error_response(error, EXTRA), 10**6)
    assert peer.sent()[-1][3] == b"400 Bad Request: a rule\n"


def test_a_large_field_section_is_split_into_frames() -> None:
    peer = Peer()
    stream = peer.opened()
    data = stream.whole_response("200 OK", [("X", "y" * 40_000)], b"", b"")
    peer.session.sender.send(stream, data, 10**6)
    frames = peer.sent()
    assert [each[0] for each in frames] == [codes.HEADERS, codes.CONTINUATION, codes.CONTINUATION]
    assert fields_of(b"".join(each[3] for each in frames))[1] == ("x", "y" * 40_000)


# --- the end


def test_a_stop_is_announced_before_the_last_request_is_named() -> None:
    peer = Peer()
    peer.session.announce_stop()
    goaway, ping = peer.sent()
    assert int.from_bytes(goaway[3][:4]) == 2**31 - 1
    assert ping[0] == codes.PING
    peer.opened(number=1)
    (event,) = peer.feed(frame(codes.PING, codes.ACK, 0, ping[3]))
    assert event.what is Happened.PONG
    peer.session.go_away()
    assert int.from_bytes(peer.sent()[0][3][:4]) == 1
    assert peer.feed(peer.head(3, GET)) == []  # ignored: the client asks elsewhere
    assert peer.sent() == []


# --- pieces


@given(st.lists(st.integers(1, 400), max_size=40))
def test_the_outcome_does_not_depend_on_the_pieces(sizes: list[int]) -> None:
    peer = Peer(greet=False)
    stream = frame(codes.SETTINGS, 0, 0, b"") + peer.head(1, GET)
    stream += peer.head(3, [*POST, ("content-length", "600")], end=False)
    stream += frame(codes.DATA, 0, 3, b"a" * 400) + frame(codes.DATA, 1, 3, b"b" * 200)
    stream += peer.head(5, MALFORMED["TE"]) + frame(codes.PING, 0, 0, b"12345678")
    events = []
    for size in sizes:
        events += peer.feed(stream[:size])
        stream = stream[size:]
    events += peer.feed(stream)
    # Content may come in more pieces than frames, and nothing else does.
    assert [what for what, _ in groupby(each.what for each in events)] == [
        Happened.OPENED, Happened.READABLE, Happened.MALFORMED,
    ]  # fmt: skip
    assert sum(each.what is Happened.OPENED for each in events) == 2
    assert events[-1].stream.id == 5
    assert events[1].stream.ended
    assert events[1].stream.expected == 0
    assert bytes(events[1].stream.received) == b"a" * 400 + b"b" * 200
    assert [each[0] for each in peer.sent()] == [codes.SETTINGS, codes.RST_STREAM, codes.PING]


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_end_the_connection(data: bytes) -> None:
    peer = Peer()
    try:
        peer.feed(data)
    except ConnectionFailed:
        assert peer.session.failed
