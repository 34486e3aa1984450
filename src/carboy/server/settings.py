"""Everything about serving that can be set: a name, a unit and the reason for each value.

Values only; nobody here looks at a clock, a socket or the environment. The command line
makes an option, a CARBOY_… variable and a key of [tool.carboy] out of every field.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from typing import Any

from carboy.protocol.limits import Limits

KIB = 1024
POLLERS = ("auto", "epoll", "selectors")
AT_LEAST_ONE = ("threads", "stream_threads", "connections", "backlog", "read_size", "high_water")


def usable_cpus() -> int:
    """How many processors this process may run on: its affinity where the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def default_threads() -> int:
    """Threads of one worker when nobody says: enough for handlers that wait, 16 to 64.

    Quick handlers run on the one thread that reads, so the number matters only for handlers
    that wait for something else; threads are made when first needed.
    """
    return max(16, min(64, 16 * usable_cpus()))


def _setting(default: Any, unit: str, reason: str) -> Any:
    return field(default=default, metadata={"unit": unit, "reason": reason})


@dataclass(frozen=True, slots=True)
class Settings:
    """How one worker serves (docs/design.md, sections 4 and 7).

    Frozen, so that it can be shared by all threads; `dataclasses.replace` makes variants.
    Raises ValueError, naming the field, for a value that could not work.
    """

    # --- the crew
    threads: int = field(
        default_factory=default_threads,
        metadata={"unit": "threads", "reason": "1 means strictly one request at a time"},
    )
    stream_threads: int = _setting(
        128,
        "threads",
        "for answers in pieces that wait for their own source, apart from `threads`",
    )
    inline_budget: float = _setting(
        0.001, "seconds", "a dispatch key slower than this on average goes to the crew"
    )
    watch_interval: float = _setting(
        0.002, "seconds", "a leader inside a handler this long is replaced"
    )
    queue_limit: int = _setting(
        0, "requests", "waiting for a thread; more get 503; 0: as many as there are connections"
    )
    queue_timeout: float = _setting(
        30.0, "seconds", "a request waits for a thread before it gets 503; 0: for ever"
    )
    learned_keys: int = _setting(
        4096, "keys", "dispatch keys whose time is remembered; bounded, as clients choose paths"
    )
    switch_interval: float | None = _setting(
        0.0005, "seconds", "how long a CPU-bound handler may keep the leader from running"
    )

    # --- deadlines, counted from the start of what they limit, never from the last read
    headers_timeout: float = _setting(10.0, "seconds", "a complete head, from accept or first byte")
    keepalive_timeout: float = _setting(75.0, "seconds", "idle between requests; what browsers use")
    body_grace: float = _setting(10.0, "seconds", "before the rate of a request body is looked at")
    body_rate: int = _setting(500, "bytes/s", "slowest average at which a body may arrive")
    write_grace: float = _setting(30.0, "seconds", "before the rate of a response is looked at")
    write_rate: int = _setting(500, "bytes/s", "slowest average at which a response may be taken")
    silence_timeout: float = _setting(
        60.0,
        "seconds",
        "without one byte of a body or an answer; also the most that bytes which"
        " came early count for later",
    )
    graceful_timeout: float = _setting(30.0, "seconds", "running requests may finish after a stop")
    idle_grace: float = _setting(
        2.0, "seconds", "an idle connection may ask once more after a stop; it may have begun to"
    )
    worker_timeout: float = _setting(
        30.0, "seconds", "a worker that shows no sign of life for so long is replaced; 0: never"
    )
    start_timeout: float = _setting(
        120.0, "seconds", "a worker may take to load the application; 0: any time"
    )
    linger_timeout: float = _setting(
        2.0, "seconds", "unread input is drained before closing, so that no reset eats the answer"
    )

    # --- sizes
    linger_size: int = _setting(
        64 * 1024 * KIB,
        "bytes",
        "most input drained before closing; many clients read only after their whole body is sent",
    )
    spool_limit: int = _setting(512 * KIB, "bytes", "of a body in memory; above it goes to a file")
    high_water: int = _setting(
        256 * KIB, "bytes", "of answer waiting for a slow reader before a generator is paused"
    )
    read_size: int = _setting(64 * KIB, "bytes", "taken from a socket at a time")

    # --- connections
    connections: int = _setting(
        10_000, "connections", "a worker; above it the oldest idle one is closed"
    )
    backlog: int = _setting(2048, "connections", "the kernel keeps until they are accepted")

    # --- identity and machinery
    server_header: str = _setting("carboy", "text", "Server field; empty sends none; no version")
    poller: str = _setting("auto", "auto, epoll or selectors", "epoll where there is one")
    sendfile: bool = _setting(True, "yes or no", "let the kernel send files")

    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        for name in AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} has to be at least 1, not {getattr(self, name)!r}.")
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, int | float) and value < 0:
                raise ValueError(f"{each.name} cannot be negative: {value!r}.")
        if self.poller not in POLLERS:
            raise ValueError(f"poller is one of {', '.join(POLLERS)}, not {self.poller!r}.")
        if any(ord(c) < 0x20 or ord(c) > 0x7E for c in self.server_header):
            raise ValueError("server_header takes printable ASCII characters only.")


LIMIT = "limit_"  # before the name of a limit, wherever settings and limits stand side by side


def with_values(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """`settings` with some values changed; a limit is called "limit_" and its name.

    Raises TypeError for a name that does not exist, with the one that may have been meant.
    """
    limits = {f"{LIMIT}{each.name}": each.name for each in fields(Limits) if each.init}
    own = {each.name for each in fields(Settings)} - {"limits"}
    for name in values:
        if name not in own and name not in limits:
            raise TypeError(f"There is no setting {name!r}.{suggestion(name, [*own, *limits])}")
    chosen = {limits[name]: value for name, value in values.items() if name in limits}
    return replace(
        settings,
        **{name: value for name, value in values.items() if name in own},
        limits=replace(settings.limits, **chosen),
    )


def suggestion(name: str, known: list[str]) -> str:
    """ " Did you mean …?" with the nearest of the known names, or ""."""
    near = get_close_matches(name, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
