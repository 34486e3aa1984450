"""The members of a connection's machine that a server may use; types only.

The machine of HTTP/1.1 is protocol/machine.py. A server depends on the members below and on no
other, so another machine with these members can take its place. tests/protocol/test_interface.py
compares the list with the code of `server`.
"""

from __future__ import annotations

from typing import Protocol

from .errors import RemoteProtocolError
from .events import Event, Fields
from .states import Reading, Writing


class ConnectionMachine(Protocol):
    """One connection, seen from the server: bytes in and events out, responses in and bytes out.

    Every method may be called by one thread at a time.
    """

    # --- the request

    reading: Reading
    """DONE: the request is complete. IDLE: the next request may be read, and nothing is kept."""

    @property
    def buffered(self) -> int:
        """Number of bytes that were received but not used yet."""
        ...

    @property
    def another_waits(self) -> bool:
        """Whether the bytes not used yet begin with the head of a GET or HEAD request."""
        ...

    @property
    def request_line(self) -> str:
        """The current request line for a log, even if refused."""
        ...

    def receive(self, data: bytes) -> Event:
        """Take bytes (b"": the client has ended its side) and return the next event."""
        ...

    def next_event(self) -> Event:
        """The next event without new bytes."""
        ...

    def whole_body(self, limit: int | None) -> bytes | None:
        """The content of the request within `limit`, which ends it; None if there is more to do."""
        ...

    def left_to_receive(self, received: int = 0) -> int:
        """Bytes of the content that the server may receive itself, after `received` of them."""
        ...

    def set_body_limit(self, limit: int | None) -> None:
        """Set the largest content of this one request, in bytes; None: the machine's own limit."""
        ...

    @property
    def continue_needed(self) -> bool:
        """Whether the client waits for `100 Continue` before its body."""
        ...

    def send_continue(self) -> bytes:
        """That interim response, once; b"" when it is not needed."""
        ...

    # --- the response

    writing: Writing
    """UNTIL_CLOSE: the end of the response is marked by closing the connection."""
    must_close: bool  # once the response is sent; set by `close_after_response`
    short: bool  # the application gave fewer bytes than its Content-Length
    excess: int  # bytes that it gave beyond its Content-Length, which were dropped

    def close_after_response(self) -> None:
        """Read no further request: the response to this one is the last of the connection."""
        ...

    def whole_response(self, status: str, headers: Fields, body: bytes, extra: bytes) -> bytes:
        """A complete response; `extra` has the encoded default lines."""
        ...

    def head_before(self, status: str, headers: Fields, size: int, extra: bytes) -> bytes:
        """The head of a complete response, whose body of `size` bytes the server sends itself.

        b"" if there is no such head: call `whole_response` then.
        """
        ...

    def start_response(self, status: str, headers: Fields, extra: bytes) -> bytes:
        """The head of a response whose body follows by `send_data` and `end_response`."""
        ...

    def send_data(self, data: bytes) -> bytes:
        """Bytes of the body, framed."""
        ...

    def account(self, count: int) -> int:
        """Count bytes of the body that the server sends itself; returns the number allowed."""
        ...

    def chunk_around(self, count: int) -> tuple[bytes, bytes]:
        """The bytes before and after those `count` bytes."""
        ...

    def end_response(self, trailers: Fields | None = None) -> bytes:
        """The bytes that end the body, with fields after it if the client accepts them."""
        ...

    def informational(self, status: str, headers: Fields) -> bytes:
        """An interim response such as 103."""
        ...

    def error_response(self, error: RemoteProtocolError, extra: bytes) -> bytes:
        """A response that says which rule the client broke; close the connection after it."""
        ...

    # --- another protocol

    def upgrade(self, status: str, headers: Fields) -> bytes:
        """The response 101; from then on, bytes are received and sent as they are."""
        ...

    def hand_over(self, for_good: bool) -> bytes:
        """The bytes after the current request, for the application that takes the socket."""
        ...
