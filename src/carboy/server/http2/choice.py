"""Whether a server speaks HTTP/2: the settings `http2` and `h2c`."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec

from carboy.server.dataclass import dataclass
from carboy.server.setting import HTTP2, setting


@lru_cache(1)
def http2_installed() -> bool:
    """Whether the package that HTTP/2 needs is there."""
    return find_spec("hpack") is not None


@dataclass(frozen=True, slots=True)
class Http2Choice:
    """Where HTTP/2 is spoken (docs/http2.md). Raises ValueError if its package is missing."""

    http2: bool = setting(
        http2_installed,
        "yes or no",
        "HTTP/2 over TLS, for clients that ask for it.",
        HTTP2,
        shown="yes, if the extra http2 is installed",
    )
    h2c: bool = setting(
        False,
        "yes or no",
        "HTTP/2 without TLS, for proxies that know of it; other clients use HTTP/1.1.",
        HTTP2,
    )
    http2_websocket: bool | None = setting(
        None,
        "yes or no",
        "WebSockets on HTTP/2 connections, which applications that take over the socket cannot"
        " serve.",
        HTTP2,
        flag=True,
        shown="yes, if the applications are ASGI, or Carboy applications with WebSocket rules",
    )

    def __post_init__(self) -> None:
        for name in ("http2", "h2c"):
            if getattr(self, name) and not http2_installed():
                raise ValueError(f"--{name} needs a package. Use: pip install carboy[http2].")

    def protocols(self) -> tuple[str, ...]:
        """The protocols that clients are offered over TLS, the best first."""
        return ("h2", "http/1.1") if self.http2 else ("http/1.1",)
