"""What the engine asks of a connection's socket; a plain socket gives it, and so does TLS."""

from __future__ import annotations

from typing import Any, Protocol


class WantsWrite(BlockingIOError):
    """Receiving waits until the socket takes octets: TLS has something to say first."""


class Stream(Protocol):
    """A non-blocking stream of octets; BlockingIOError where it would have to wait."""

    def fileno(self) -> int: ...

    def recv(self, size: int, /) -> bytes: ...

    def send(self, data: Any, /) -> int: ...

    def shutdown(self, how: int, /) -> None: ...

    def setsockopt(self, level: int, option: int, value: bytes, /) -> None: ...

    def close(self) -> None: ...
