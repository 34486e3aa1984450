"""The settings for requests that take too long (docs/deadlines.md)."""

from __future__ import annotations

from dataclasses import dataclass

from carboy.server.setting import TIMES, check_values, setting


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """Limits of running requests. Raises ValueError, naming the field."""

    request_timeout: float = setting(
        0.0,
        "seconds",
        "Time limit for a request, from when it has arrived completely until its view returns. The"
        " client then gets 503, and the view is ended. 0: no limit.",
        TIMES,
    )

    def __post_init__(self) -> None:
        check_values(self)
