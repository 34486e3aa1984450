"""The settings for requests that take too long (docs/deadlines.md)."""

from __future__ import annotations

from carboy.server.dataclass import dataclass
from carboy.server.setting import THREADS, TIMES, check_values, setting


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

    adaptive_limit: bool = setting(
        False,
        "yes or no",
        "Limit of the requests that run at a time, per worker, which follows their durations;"
        " further requests get 503.",
        THREADS,
    )
    adaptive_exempt: tuple[str, ...] = setting(
        ("/livez", "/readyz", "/healthz", "/health", "/ping"),
        "PATH",
        "Path of requests that --adaptive-limit does not refuse, such as health checks. May be"
        " given more than once.",
        THREADS,
        shown="/livez /readyz /healthz /health /ping",
    )

    def __post_init__(self) -> None:
        check_values(self)
