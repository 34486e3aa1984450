"""Frames that keep and break the rules of HTTP/2 and HPACK, sent to a server as they are.

Each case has a name, by the section of RFC 9113 or RFC 7541, what the client sends after its
preface and SETTINGS, and the outcomes that are allowed. After everything else, the client sends a
PING: its answer shows that nothing has happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hpack import Encoder

from carboy import Carboy, request
from carboy.protocol.http2.codes import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PRIORITY_UPDATE,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    WITH_PRIORITY,
    Code,
    frame,
)
from http2_client import connected, served_h2c
from live_engine import Live

E, H, EH = END_STREAM, END_HEADERS, END_STREAM | END_HEADERS
SENTINEL = b"sentinel"
ANSWER = "answer"  # of the last stream
NOTHING = "nothing"
WAIT = object()  # for the response on the last stream
Fields = list[tuple[str, str]]

GET: Fields = [
    (":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "example.test"),
]  # fmt: skip
POST: Fields = [(":method", "POST"), *GET[1:]]


def block(fields: Fields) -> bytes:
    """A field section that does not change the dynamic table."""
    encoder = Encoder()
    return bytes(encoder.encode([(n.encode(), v.encode(), True) for n, v in fields], huffman=False))


def without(name: str, fields: Fields = GET) -> Fields:
    return [each for each in fields if each[0] != name]


def changed(name: str, value: str, fields: Fields = GET) -> Fields:
    return [(n, value if n == name else v) for n, v in fields]


def headers(fields: Fields = GET, flags: int = EH, stream: int = 1, before: bytes = b"") -> bytes:
    return frame(HEADERS, flags, stream, before + block(fields))


def settings(*pairs: tuple[int, int]) -> bytes:
    payload = b"".join(key.to_bytes(2) + value.to_bytes(4) for key, value in pairs)
    return frame(SETTINGS, 0, 0, payload)


def window(stream: int, more: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, more.to_bytes(4))


def reset(stream: int) -> bytes:
    return frame(RST_STREAM, 0, stream, (8).to_bytes(4))


def goaway(*codes: Code) -> tuple[Any, ...]:
    return tuple(("GOAWAY", code) for code in codes)


def rst(*codes: Code) -> tuple[Any, ...]:
    """An error of a stream, which a server may treat as one of the connection."""
    return (*(("RST_STREAM", code) for code in codes), *goaway(*codes))


P, F, S = Code.PROTOCOL_ERROR, Code.FRAME_SIZE_ERROR, Code.STREAM_CLOSED
FLOW, COMPRESSION, CALM = Code.FLOW_CONTROL_ERROR, Code.COMPRESSION_ERROR, Code.ENHANCE_YOUR_CALM
BAD_HPACK = goaway(COMPRESSION)
OPEN = headers(POST, H)  # a request whose content follows
TRAILER = ("x-trailer", "1")
MALFORMED: dict[str, Fields] = {
    "8.2 a name in upper case": [*GET, ("X-Upper", "1")],
    "8.2 an empty name": [*GET, ("", "1")],
    "8.2.1 a value with a line break": [*GET, ("x", "a\nb")],
    "8.2.1 a value with NUL": [*GET, ("x", "a\0b")],
    "8.2.1 a value that begins with a space": [*GET, ("x", " a")],
    "8.2.1 a value that ends with a tab": [*GET, ("x", "a\t")],
    "8.2.1 a name with a colon": [*GET, ("x:y", "1")],
    "8.2.1 a name with a space": [*GET, ("x y", "1")],
    "8.2.2 Connection": [*GET, ("connection", "keep-alive")],
    "8.2.2 Keep-Alive": [*GET, ("keep-alive", "1")],
    "8.2.2 Proxy-Connection": [*GET, ("proxy-connection", "close")],
    "8.2.2 Transfer-Encoding": [*GET, ("transfer-encoding", "chunked")],
    "8.2.2 Upgrade": [*GET, ("upgrade", "h2c")],
    "8.2.2 TE other than trailers": [*GET, ("te", "trailers, deflate")],
    "8.3 an unknown pseudo-header": [*GET, (":test", "1")],
    "8.3 a pseudo-header of a response": [*GET, (":status", "200")],
    "8.3 a pseudo-header after a header": [*GET[:3], ("x", "1"), GET[3]],
    "8.3.1 an empty :path": changed(":path", ""),
    "8.3.1 no :method": without(":method"),
    "8.3.1 no :scheme": without(":scheme"),
    "8.3.1 no :path": without(":path"),
    "8.3.1 two :method": [*GET, (":method", "GET")],
    "8.3.1 two :scheme": [*GET, (":scheme", "http")],
    "8.3.1 two :path": [*GET, (":path", "/")],
    "8.3.1 two :authority": [*GET, (":authority", "example.test")],
    "8.3.1 :authority and Host that differ": [*GET, ("host", "other.test")],
    "8.3.1 a :path without a slash": changed(":path", "x"),
    "8.5 CONNECT with :path": changed(":method", "CONNECT"),
    "RFC 8441 :protocol without CONNECT": [*GET, (":protocol", "websocket")],
}

CASES: dict[str, tuple[tuple[Any, ...], tuple[Any, ...]]] = {
    # --- frames and streams in general
    "4.1 a frame of an unknown type": ((frame(0x16, 0, 0, b"x" * 8), headers()), (ANSWER,)),
    "4.1 undefined flags": ((frame(PING, 0x16, 0, b"x" * 8),), (NOTHING,)),
    "4.1 a reserved bit": ((frame(PING, 0, 1 << 31, b"x" * 8),), (NOTHING,)),
    "4.2 a DATA frame of 16384 bytes": (
        (OPEN, frame(DATA, E, 1, b"x" * 16_384)), (ANSWER,)),
    "4.2 a DATA frame that is too large": ((OPEN, frame(DATA, E, 1, b"x" * 16_385)), rst(F)),
    "4.2 HEADERS that are too large": ((frame(HEADERS, EH, 1, b"x" * 16_385),), goaway(F)),
    "4.3 a block that cannot be decoded": ((frame(HEADERS, EH, 1, b"\x00\x0a"),), BAD_HPACK),
    "4.3 PRIORITY within a block": (
        (headers(GET, E), frame(PRIORITY, 0, 1, b"\0\0\0\0\x10")), goaway(P)),
    "4.3 HEADERS of another stream within a block": (
        (headers(GET, E), headers(GET, EH, 3)), goaway(P)),
    "4.3 an unknown frame within a block": (
        (headers(GET, E), frame(0x16, 0, 0, b"x")), goaway(P)),
    # --- states of streams (5.1)
    "5.1 idle: DATA": ((frame(DATA, E, 1, b"x"),), goaway(P)),
    "5.1 idle: RST_STREAM": ((reset(1),), goaway(P)),
    "5.1 idle: WINDOW_UPDATE": ((window(1, 100),), goaway(P)),
    "5.1 idle: CONTINUATION": ((frame(CONTINUATION, H, 1, block(GET)),), goaway(P)),
    "5.1 idle: PRIORITY": ((frame(PRIORITY, 0, 1, b"\0\0\0\0\x10"), headers()), (ANSWER,)),
    "5.1 half closed: DATA": ((headers(), frame(DATA, E, 1, b"x")), rst(S)),
    "5.1 half closed: HEADERS": ((headers(), headers()), rst(S)),
    "5.1 half closed: CONTINUATION": (
        (headers(), frame(CONTINUATION, H, 1, block(GET))), goaway(P, S)),
    "5.1 closed by RST_STREAM: DATA": ((OPEN, reset(1), frame(DATA, E, 1, b"x")), rst(S)),
    "5.1 closed by RST_STREAM: HEADERS": ((OPEN, reset(1), headers()), rst(S)),
    "5.1 closed by RST_STREAM: CONTINUATION": (
        (OPEN, reset(1), frame(CONTINUATION, H, 1, block(GET))), goaway(P, S)),
    "5.1 closed: DATA": ((headers(), WAIT, frame(DATA, E, 1, b"x")), rst(S)),
    "5.1 closed: HEADERS": ((headers(), WAIT, headers()), goaway(S)),
    "5.1 closed: CONTINUATION": (
        (headers(), WAIT, frame(CONTINUATION, H, 1, block(GET))), goaway(P, S)),
    "5.1 closed: WINDOW_UPDATE": ((headers(), WAIT, window(1, 100)), (NOTHING,)),
    "5.1 closed: RST_STREAM": ((headers(), WAIT, reset(1)), (NOTHING,)),
    "5.1 closed: PRIORITY": (
        (headers(), WAIT, frame(PRIORITY, 0, 1, b"\0\0\0\0\x10")), (NOTHING,)),
    "5.1.1 an even number": ((headers(stream=2),), goaway(P)),
    "5.1.1 a number smaller than the last": ((headers(stream=5), headers(stream=3)), goaway(P)),
    "5.1.2 more streams than allowed": (
        tuple(headers(POST, H, number) for number in range(1, 9, 2)),
        rst(Code.REFUSED_STREAM, P)),
    "5.3.1 HEADERS that depend on themselves": (
        (headers(GET, EH | WITH_PRIORITY, 1, b"\0\0\0\1\x10"),), rst(P)),
    "5.3.1 PRIORITY that depends on itself": (
        (headers(), frame(PRIORITY, 0, 1, b"\0\0\0\1\x10")), rst(P)),
    "5.4.1 nothing is answered after an error": (
        (frame(PING, 0, 1, b"x" * 8), headers()), goaway(P)),
    "5.5 an unknown setting": ((settings((0xFF, 1)), headers()), (ANSWER,)),
    # --- DATA and HEADERS
    "6.1 DATA for the connection": ((OPEN, frame(DATA, 0, 0, b"x")), goaway(P)),
    "6.1 DATA with its padding": ((OPEN, frame(DATA, E | PADDED, 1, b"\2xy\0\0")), (ANSWER,)),
    "6.1 padding that is too long": ((OPEN, frame(DATA, E | PADDED, 1, b"\6xy\0\0")), goaway(P)),
    "6.2 HEADERS for the connection": ((headers(stream=0),), goaway(P)),
    "6.2 HEADERS with padding": (
        (frame(HEADERS, EH | PADDED, 1, b"\2" + block(GET) + b"\0\0"),), (ANSWER,)),
    "6.2 padding that is too long (HEADERS)": (
        (frame(HEADERS, EH | PADDED, 1, b"\xff" + block(GET)),), goaway(P)),
    "6.2 HEADERS with a priority": (
        (headers(GET, EH | WITH_PRIORITY, 1, b"\0\0\0\0\x10"),), (ANSWER,)),
    "6.2 a priority that is too short": ((frame(HEADERS, EH | WITH_PRIORITY, 1, b"\0"),),
        goaway(F, P)),
    "6.2 a block in two frames": (
        (frame(HEADERS, E, 1, block(GET)[:5]), frame(CONTINUATION, H, 1, block(GET)[5:])),
        (ANSWER,)),
    # --- other frames
    "6.3 PRIORITY for the connection": ((frame(PRIORITY, 0, 0, b"\0\0\0\0\x10"),), goaway(P)),
    "6.3 PRIORITY that is too short": (
        (OPEN, frame(PRIORITY, 0, 1, b"\0\0\0\1")), rst(F)),
    "6.4 RST_STREAM for the connection": ((reset(0),), goaway(P)),
    "6.4 RST_STREAM that is too short": ((OPEN, frame(RST_STREAM, 0, 1, b"\0\0\0")), goaway(F)),
    "6.5 SETTINGS with content that acknowledge": ((frame(SETTINGS, ACK, 0, b"x"),), goaway(F)),
    "6.5 SETTINGS for a stream": ((frame(SETTINGS, 0, 1, b"\0\3\0\0\0\1"),), goaway(P)),
    "6.5 SETTINGS of three bytes": ((frame(SETTINGS, 0, 0, b"\0\3\0"),), goaway(F)),
    "6.5.2 ENABLE_PUSH of 2": ((settings((2, 2)),), goaway(P)),
    "6.5.2 INITIAL_WINDOW_SIZE that is too large": ((settings((4, 2**31)),), goaway(FLOW)),
    "6.5.2 MAX_FRAME_SIZE that is too small": ((settings((5, 16_383)),), goaway(P)),
    "6.5.2 MAX_FRAME_SIZE that is too large": ((settings((5, 2**24)),), goaway(P)),
    "6.5.3 the last of two values counts": ((settings((4, 100), (4, 1)), headers()), (ANSWER,)),
    "6.6 PUSH_PROMISE": (
        (frame(PUSH_PROMISE, H, 1, b"\0\0\0\2" + block(GET)),), goaway(P)),
    "6.7 PING for a stream": ((frame(PING, 0, 1, b"x" * 8),), goaway(P)),
    "6.7 PING of six bytes": ((frame(PING, 0, 0, b"x" * 6),), goaway(F)),
    "6.7 PING that acknowledges": ((frame(PING, ACK, 0, b"unknown "),), (NOTHING,)),
    "6.8 GOAWAY for a stream": ((frame(GOAWAY, 0, 1, bytes(8)),), goaway(P)),
    "6.8 GOAWAY that is too short": ((frame(GOAWAY, 0, 0, bytes(4)),), goaway(F)),
    "6.9 WINDOW_UPDATE by 0": ((window(0, 0),), goaway(P)),
    "6.9 WINDOW_UPDATE by 0 for a stream": ((OPEN, window(1, 0)), rst(P)),
    "6.9 WINDOW_UPDATE of three bytes": ((frame(WINDOW_UPDATE, 0, 0, b"\0\0\1"),), goaway(F)),
    "6.9.1 a window that is too large": ((window(0, 2**31 - 1), window(0, 2**31 - 1)),
        goaway(FLOW)),
    "6.9.1 a window of a stream that is too large": (
        (OPEN, window(1, 2**31 - 1), window(1, 2**31 - 1)), rst(FLOW)),
    "6.9.2 settings make a window too large": (
        (OPEN, window(1, 2**31 - 1 - 65_535), settings((4, 70_000))), goaway(FLOW)),
    "6.10 several CONTINUATION frames": (
        (frame(HEADERS, E, 1, block(GET)[:3]), frame(CONTINUATION, 0, 1, block(GET)[3:6]),
         frame(CONTINUATION, H, 1, block(GET)[6:])), (ANSWER,)),
    "6.10 another frame before CONTINUATION": (
        (headers(GET, E), frame(PING, 0, 0, b"x" * 8)), goaway(P)),
    "6.10 CONTINUATION for the connection": (
        (headers(GET, E), frame(CONTINUATION, H, 0, b"")), goaway(P)),
    "6.10 CONTINUATION of another stream": (
        (headers(GET, E), frame(CONTINUATION, H, 3, b"")), goaway(P)),
    "6.10 CONTINUATION after the end of a block": (
        (headers(POST, H), frame(CONTINUATION, H, 1, b"")), goaway(P)),
    "6.10 CONTINUATION after DATA": (
        (OPEN, frame(DATA, 0, 1, b"x"), frame(CONTINUATION, H, 1, b"")), goaway(P)),
    "7 GOAWAY with an unknown code": (
        (frame(GOAWAY, 0, 0, bytes(4) + b"\0\0\0\xff"), headers()), (ANSWER,)),
    "7 RST_STREAM with an unknown code": (
        (OPEN, frame(RST_STREAM, 0, 1, b"\0\0\0\xff"), headers(stream=3)), (ANSWER,)),
    "RFC 9218 PRIORITY_UPDATE of a request to come": (
        (frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\1u=1"), headers()), (ANSWER,)),
    "RFC 9218 PRIORITY_UPDATE for a stream": (
        (OPEN, frame(PRIORITY_UPDATE, 0, 1, b"\0\0\0\1u=1")), goaway(P)),
    "RFC 9218 PRIORITY_UPDATE of a pushed stream": (
        (frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\2u=1"),), goaway(P)),
    "RFC 9218 PRIORITY_UPDATE that is too short": (
        (frame(PRIORITY_UPDATE, 0, 0, b"\0\0"),), goaway(F)),
    # --- requests
    "8.1 GET": ((headers(),), (ANSWER,)),
    "8.1 HEAD": ((headers(changed(":method", "HEAD")),), (ANSWER,)),
    "8.1 POST": ((OPEN, frame(DATA, E, 1, b"x")), (ANSWER,)),
    "8.1 POST with trailers": (
        (OPEN, frame(DATA, 0, 1, b"x"), headers([TRAILER])), (ANSWER,)),
    "8.1 HEADERS without the end of the request": (
        (OPEN, frame(DATA, 0, 1, b"x"), headers([TRAILER], H)), rst(P)),
    "8.1 a pseudo-header among trailers": (
        (OPEN, frame(DATA, 0, 1, b"x"), headers([(":method", "POST")])), rst(P)),
    "8.1.1 a Content-Length that is too large": (
        (headers([*POST, ("content-length", "2")], H), frame(DATA, E, 1, b"x")), rst(P)),
    "8.1.1 a Content-Length that is too small": (
        (headers([*POST, ("content-length", "1")], H), frame(DATA, E, 1, b"xy")), rst(P)),
    "8.1.1 a Content-Length of several frames": (
        (headers([*POST, ("content-length", "3")], H), frame(DATA, 0, 1, b"x"),
         frame(DATA, E, 1, b"x")), rst(P)),
    "8.1.1 a Content-Length without content": (
        (headers([*POST, ("content-length", "1")]),), rst(P)),
    "8.2.2 TE with trailers": ((headers([*GET, ("te", "trailers")]),), (ANSWER,)),
    "8.2.3 several Cookie fields": (
        (headers([*GET, ("cookie", "a=1"), ("cookie", "b=2")]),), (ANSWER,)),
    **{name: ((headers(fields),), rst(P)) for name, fields in MALFORMED.items()},
    # --- HPACK (RFC 7541)
    "HPACK 2.3.3 an index that does not exist": (
        (frame(HEADERS, EH, 1, block(GET) + b"\xc6"),), BAD_HPACK),
    "HPACK 2.3.3 a name whose index does not exist": (
        (frame(HEADERS, EH, 1, block(GET) + b"\x7f\x20\x01x"),), BAD_HPACK),
    "HPACK 4.2 the size of the table changes at the end of a block": (
        (frame(HEADERS, EH, 1, block(GET) + b"\x20"),), BAD_HPACK),
    "HPACK 5.1 a number that has no end": (
        (frame(HEADERS, EH, 1, block(GET) + b"\xff" + b"\xff" * 20 + b"\x01"),), BAD_HPACK),
    "HPACK 5.2 padding of Huffman code that is longer than 7 bits": (
        (frame(HEADERS, EH, 1, block(GET) + b"\x00\x01x\x82\x1f\xff"),), BAD_HPACK),
    "HPACK 5.2 padding of Huffman code that is zero": (
        (frame(HEADERS, EH, 1, block(GET) + b"\x00\x01x\x81\x18"),), BAD_HPACK),
    "HPACK 5.2 the symbol of the end in Huffman code": (
        (frame(HEADERS, EH, 1, block(GET) + b"\x00\x01x\x84\xff\xff\xff\xff"),), BAD_HPACK),
    "HPACK 6.1 the index 0": ((frame(HEADERS, EH, 1, block(GET) + b"\x80"),), BAD_HPACK),
    "HPACK 6.3 a table that is larger than allowed": (
        (frame(HEADERS, EH, 1, b"\x3f\xe2\x1f" + block(GET)),), BAD_HPACK),
    "HPACK 6.2.1 a literal with an index": (
        (frame(HEADERS, EH, 1, block(GET) + b"\x40\x01x\x01y"),), (ANSWER,)),
    "HPACK 6.2.2 a literal without an index": (
        (frame(HEADERS, EH, 1, block(GET) + b"\x00\x01x\x01y"),), (ANSWER,)),
    "HPACK 6.2.3 a literal that is never indexed": (
        (frame(HEADERS, EH, 1, block(GET) + b"\x10\x01x\x01y"),), (ANSWER,)),
    "HPACK 6.3 a size of the table before a block": (
        (frame(HEADERS, EH, 1, b"\x20\x3f\xe1\x1f" + block(GET)),), (ANSWER,)),
    "HPACK 5.2 a value that is longer than its block": (
        (frame(HEADERS, EH, 1, block(GET) + b"\x00\x01x\x7e"),), BAD_HPACK),
}  # fmt: skip


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    app = Carboy(__name__)

    @app.route("/", methods=["GET", "POST"])
    def hello() -> str:
        return f"hello {request.get_data(as_text=True)[:10]}"

    with served_h2c(app, http2_streams=3) as running:
        yield running


class Peer:
    """The frames that come: their types, flags, streams and payloads."""

    def __init__(self, sock: Any) -> None:
        self.sock = sock
        self.buffer = b""
        self.answered: set[int] = set()

    def next(self) -> tuple[int, int, int, bytes] | None:
        """The next frame; None at the end of the connection."""
        while len(self.buffer) < 9 or len(self.buffer) < 9 + int.from_bytes(self.buffer[:3]):
            try:
                data = self.sock.recv(65_536)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self.buffer += data
        size = 9 + int.from_bytes(self.buffer[:3])
        found, self.buffer = self.buffer[:size], self.buffer[size:]
        return found[3], found[4], int.from_bytes(found[5:9]), found[9:]

    def until_answered(self, stream: int) -> None:
        """Wait for the end of a response; its windows are open."""
        while stream not in self.answered:
            found = self.next()
            assert found is not None, "the connection has ended"
            self.note(found)

    def note(self, found: tuple[int, int, int, bytes]) -> None:
        kind, flags, stream, _ = found
        if kind in (HEADERS, DATA) and flags & END_STREAM:
            self.answered.add(stream)

    def outcome(self) -> Any:
        """The error that comes before the answer to the last PING, or NOTHING."""
        while (found := self.next()) is not None:
            kind, flags, _, payload = found
            self.note(found)
            if kind == GOAWAY:
                return "GOAWAY", Code(int.from_bytes(payload[4:8]))
            if kind == RST_STREAM:
                return "RST_STREAM", Code(int.from_bytes(payload))
            if kind == PING and flags & ACK and payload == SENTINEL:
                return NOTHING
        return "closed"


def last_stream(steps: tuple[Any, ...]) -> int:
    frames = [each for each in steps if each is not WAIT and each[3] == HEADERS]
    return int.from_bytes(frames[-1][5:9]) if frames else 0


@pytest.mark.parametrize("name", CASES)
def test_a_rule_is_kept(live: Live, name: str) -> None:
    steps, allowed = CASES[name]
    with connected(live) as sock:
        peer = Peer(sock)
        sock.sendall(PREFACE + settings() + frame(SETTINGS, ACK, 0, b""))
        for at, step in enumerate(steps):
            if step is WAIT:
                peer.until_answered(last_stream(steps[:at]))
            else:
                sock.sendall(step)
        sock.sendall(frame(PING, 0, 0, SENTINEL))
        outcome = peer.outcome()
        if allowed == (ANSWER,):
            assert outcome == NOTHING
            if "last of two values" in name:  # the window of the stream is one byte
                sock.sendall(window(last_stream(steps), 1000))
            peer.until_answered(last_stream(steps))
        else:
            assert outcome in allowed
            if outcome[0] == "GOAWAY":
                assert peer.next() is None, "the connection goes on"
    with connected(live) as sock:  # other clients are served
        sock.sendall(PREFACE + settings() + headers())
        Peer(sock).until_answered(1)


@pytest.mark.parametrize("start", [b"INVALID PREFACE\r\n\r\n", PREFACE[:-2] + b"xx"])
def test_another_preface_ends_the_connection(live: Live, start: bytes) -> None:
    with connected(live) as sock:
        sock.sendall(start)
        sock.shutdown(1)
        assert b"200" not in b"".join(iter(lambda: sock.recv(65_536), b""))


def test_the_first_frame_has_to_be_settings(live: Live) -> None:
    with connected(live) as sock:
        sock.sendall(PREFACE + headers())
        assert Peer(sock).outcome() == ("GOAWAY", P)


def test_the_server_sends_its_settings_first_and_acknowledges_those_of_the_client(
    live: Live,
) -> None:
    with connected(live) as sock:
        peer = Peer(sock)
        sock.sendall(PREFACE + settings())
        first = peer.next()
        assert first is not None
        assert (first[0], first[1] & ACK) == (SETTINGS, 0)
        while (found := peer.next()) is not None and not (found[0] == SETTINGS and found[1] & ACK):
            pass
        assert found is not None


@pytest.mark.parametrize(
    ("size", "update", "expected"),
    [
        (1, window(1, 2), [1, 2]),
        (0, settings((4, 3)), [3]),  # the settings open the windows of running streams
        (3, settings((4, 1)) + window(1, 3), [3, 1]),  # a window may become negative
    ],
)
def test_the_window_of_the_client_is_kept(
    live: Live, size: int, update: bytes, expected: list[int]
) -> None:
    with connected(live) as sock:
        peer = Peer(sock)
        sock.sendall(PREFACE + settings((4, size)) + headers())
        sizes: list[int] = []
        updated = False
        while sum(sizes) < sum(expected):
            found = peer.next()
            assert found is not None
            if found[0] == DATA:
                sizes.append(len(found[3]))
            if not updated and found[0] == (DATA if size else HEADERS):
                updated = True
                sock.sendall(update)
        assert sizes == expected
