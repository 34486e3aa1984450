"""How much one HTTP/2 connection may ask for, with default and help text of each limit.

Rates are numbers of frames in ten seconds. A client that exceeds one has its connection ended with
ENHANCE_YOUR_CALM. The limits of one request (protocol/limits.py) apply as well.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

KIB = 1024
SECTION = "HTTP/2"
PERIOD = 10.0  # seconds


def _limit(default: int, unit: str, help: str, least: int = 1) -> Any:
    known = {"unit": unit, "help": help, "section": SECTION, "least": least}
    return field(default=default, metadata=known)


@dataclass(frozen=True, slots=True)
class Http2Limits:
    """The limits of one HTTP/2 connection (docs/http2.md)."""

    streams: int = _limit(
        100, "requests", "Maximum number of requests that run at a time on one HTTP/2 connection."
    )
    window: int = _limit(
        128 * KIB,
        "bytes",
        "Amount of a request body that an HTTP/2 client may send before the application has taken"
        " some of it.",
    )
    header_list: int = _limit(
        96 * KIB,
        "bytes",
        "Largest size of the headers of an HTTP/2 request after decompression, with 32 bytes for"
        " each of them; larger ones end the connection.",
    )
    header_table: int = _limit(
        4 * KIB, "bytes", "Memory for the compression of the headers of one HTTP/2 connection.", 0
    )
    continuations: int = _limit(
        16, "frames", "Maximum number of CONTINUATION frames after one HEADERS frame.", 0
    )
    # Rapid Reset (CVE-2023-44487), MadeYouReset (CVE-2025-8671)
    resets: int = _limit(
        200,
        "streams",
        "Maximum number of HTTP/2 requests that a client cancels, or that break a rule, in ten"
        " seconds of one connection.",
    )
    pings: int = _limit(
        100, "frames", "Maximum number of PING frames on an HTTP/2 connection in ten seconds."
    )
    settings: int = _limit(
        50, "frames", "Maximum number of SETTINGS frames on an HTTP/2 connection in ten seconds."
    )
    priorities: int = _limit(
        1000,
        "frames",
        "Maximum number of PRIORITY, PRIORITY_UPDATE and unknown frames on an HTTP/2 connection in"
        " ten seconds.",
    )
    empty_frames: int = _limit(
        100,
        "frames",
        "Maximum number of frames without content on an HTTP/2 connection in ten seconds.",
    )
    tiny_updates: int = _limit(
        1000,
        "frames",
        "Maximum number of WINDOW_UPDATE frames of less than 256 bytes on an HTTP/2 connection in"
        " ten seconds.",
    )


class Budget:
    """A number of frames that comes back within PERIOD."""

    __slots__ = ("left", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        self.left = float(most)

    def spend(self) -> bool:
        """Count one frame; returns whether it is allowed."""
        self.left -= 1.0
        return self.left >= 0.0

    def refill(self, seconds: float) -> None:
        """Note that `seconds` have passed."""
        self.left = min(self.most, self.left + self.most * seconds / PERIOD)
