"""A client of HTTP/2 for tests: the package h2 on a socket, and frames as they are."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings
from hpack import Encoder
from hyperframe.frame import (
    Frame,
    GoAwayFrame,
    HeadersFrame,
    RstStreamFrame,
    SettingsFrame,
)

from live_engine import Live, served

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
Fields = list[tuple[str, str]]


class Reply:
    """The frames that have come on one stream."""

    def __init__(self) -> None:
        self.interim: list[int] = []
        self.hints: list[str] = []  # the links of a 103
        self.headers: dict[str, str] = {}
        self.fields: Fields = []
        self.body = b""
        self.trailers: Fields = []
        self.ended = False
        self.reset: int | None = None

    @property
    def status(self) -> int:
        return int(self.headers.get(":status", "0"))


class Http2Client:
    """One connection. Windows are opened as content arrives, unless `reading` is false."""

    def __init__(self, sock: Any, **settings: int) -> None:
        self.sock = sock
        config = h2.config.H2Configuration(
            client_side=True, header_encoding="latin-1",
            validate_outbound_headers=False, normalize_outbound_headers=False,
        )  # fmt: skip
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        if settings:
            codes = h2.settings.SettingCodes
            self.h2.update_settings({codes[key]: value for key, value in settings.items()})
        self.replies: dict[int, Reply] = {}
        self.reading = True
        self.goaways: list[Any] = []
        self.closed = False
        self.flush()

    def flush(self) -> None:
        self.sock.sendall(self.h2.data_to_send())

    def request(
        self,
        method: str = "GET",
        path: str = "/",
        fields: Sequence[tuple[str, str]] = (),
        end: bool = True,
        **more: Any,
    ) -> int:
        """Begin a request; returns the number of its stream."""
        number = self.h2.get_next_available_stream_id()
        pseudo = {"method": method, "scheme": "http", "authority": "example.test", "path": path}
        head = [(f":{name}", value) for name, value in (pseudo | more).items() if value is not None]
        self.replies[number] = Reply()
        self.h2.send_headers(number, [*head, *fields], end_stream=end)
        self.flush()
        return number

    def send(self, number: int, data: bytes, end: bool = True) -> None:
        """Send content, as the windows allow."""
        while data:
            room = min(self.h2.local_flow_control_window(number), self.h2.max_outbound_frame_size)
            if not room:
                self.step()
                continue
            piece, data = data[:room], data[room:]
            self.h2.send_data(number, piece, end_stream=end and not data)
            self.flush()

    def end(self, number: int) -> None:
        self.h2.end_stream(number)
        self.flush()

    def reset(self, number: int, code: int = 8) -> None:
        self.h2.reset_stream(number, code)
        self.flush()

    def step(self) -> bool:
        """Receive once; returns whether the connection goes on."""
        data = self.sock.recv(65536)
        if not data:
            self.closed = True
            return False
        for event in self.h2.receive_data(data):
            self._note(event)
        self.flush()
        return True

    def _note(self, event: Any) -> None:
        if isinstance(event, h2.events.ConnectionTerminated):
            self.goaways.append((event.last_stream_id, event.error_code, event.additional_data))
            return
        reply = self.replies.setdefault(getattr(event, "stream_id", 0) or 0, Reply())
        if isinstance(event, h2.events.InformationalResponseReceived):
            headers: Any = event.headers
            reply.interim.append(int(dict(headers)[":status"]))
            reply.hints += [value for name, value in headers if name == "link"]
        elif isinstance(event, h2.events.ResponseReceived):
            received: Any = event.headers
            reply.fields = list(received)
            reply.headers = dict(received)
        elif isinstance(event, h2.events.DataReceived):
            reply.body += event.data
            if self.reading and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            trailers: Any = event.headers
            reply.trailers = list(trailers)
        elif isinstance(event, h2.events.StreamEnded):
            reply.ended = True
        elif isinstance(event, h2.events.StreamReset):
            reply.reset = int(event.error_code)

    def until(self, condition: Any) -> None:
        while not condition():
            assert self.step(), "the connection has ended"

    def reply(self, number: int) -> Reply:
        """The whole reply on a stream."""
        reply = self.replies[number]
        self.until(lambda: reply.ended or reply.reset is not None)
        return reply

    def get(self, path: str = "/", **more: Any) -> Reply:
        return self.reply(self.request("GET", path, **more))

    def post(self, path: str, body: bytes, fields: Sequence[tuple[str, str]] = ()) -> Reply:
        number = self.request("POST", path, fields, end=False)
        self.send(number, body)
        return self.reply(number)


class FrameClient:
    """One connection, on which frames are sent as they are."""

    def __init__(self, sock: Any, preface: bool = True) -> None:
        self.sock = sock
        self.buffer = b""
        self.encoder = Encoder()
        if preface:
            sock.sendall(PREFACE + SettingsFrame(0).serialize())

    def send(self, *frames: Frame | bytes) -> None:
        data = b"".join(each if isinstance(each, bytes) else each.serialize() for each in frames)
        self.sock.sendall(data)

    def head(
        self, number: int, pairs: list[tuple[str, str]] | None = None, end: bool = True, **more: Any
    ) -> HeadersFrame:
        """A HEADERS frame; by default of an ordinary request."""
        pairs = GET if pairs is None else pairs
        frame = HeadersFrame(number, flags=["END_HEADERS", *(["END_STREAM"] if end else [])])
        frame.data = self.encoder.encode(
            [(n.encode("latin-1"), v.encode("latin-1")) for n, v in pairs]
        )
        return frame

    def frames(self) -> Iterator[Frame]:
        """The frames that come, up to the end of the connection."""
        while True:
            while len(self.buffer) >= 9:
                frame, length = Frame.parse_frame_header(memoryview(self.buffer[:9]))
                if len(self.buffer) < 9 + length:
                    break
                frame.parse_body(memoryview(self.buffer[9 : 9 + length]))
                self.buffer = self.buffer[9 + length :]
                yield frame
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                return
            if not data:
                return
            self.buffer += data

    def next(self, kind: type[Frame]) -> Any:
        """The next frame of a kind; those of others are left out."""
        for frame in self.frames():
            if isinstance(frame, kind):
                return frame
        raise AssertionError(f"the connection ended without {kind.__name__}")

    def goaway(self) -> Any:
        return self.next(GoAwayFrame)

    def rst(self) -> Any:
        return self.next(RstStreamFrame)


GET = [
    (":method", "GET"), (":scheme", "http"), (":authority", "example.test"), (":path", "/"),
]  # fmt: skip


@contextmanager
def connected(live: Any, context: ssl.SSLContext | None = None) -> Iterator[Any]:
    """A socket to an engine; under TLS with a context."""
    sock: Any = socket.create_connection(live.address, 60)
    try:
        if context is not None:
            context.set_alpn_protocols(["h2", "http/1.1"])
            sock = context.wrap_socket(sock, server_hostname="localhost")
        yield sock
    finally:
        sock.close()


@contextmanager
def http2(live: Live, **settings: int) -> Iterator[Http2Client]:
    """A client of an engine."""
    with connected(live) as sock:
        yield Http2Client(sock, **settings)


def served_h2c(app: Any, **settings: Any) -> Any:
    """`app` served with prior knowledge of HTTP/2 until the block ends."""
    return served(app, h2c=True, **settings)


def show(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """A WSGI application that answers with parts of its environ, and the content."""
    names = ("SERVER_PROTOCOL", "REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "HTTP_HOST")
    text = " ".join(environ.get(name, "-") for name in names)
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Case", "Kept")])
    return [text.encode(), b" ", body]
