"""Refuses requests above the adaptive limit, before the application is called (--adaptive-limit).

Requests that run or wait count: those in the queue, on threads, and those that are answered later
and have not begun their response. Requests that the leader runs at once do not: they neither wait
nor keep others waiting. Only the leader calls this file, except for `Entrance.handle`, which looks
at nothing for a request that another thread runs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

from carboy.server.adaptive_limit import AdaptiveLimit
from carboy.server.exchange import ServerExchange

if TYPE_CHECKING:
    from carboy.gateway.interface import Answer, Gateway
    from carboy.server.settings import Settings

log = logging.getLogger("carboy.error")

BUSY = "503 Service Unavailable"
BUSY_TEXT = b"503 Service Unavailable: the server is overloaded; try again later.\n"
BUSY_FIELDS = [("Content-Type", "text/plain; charset=utf-8"), ("Retry-After", "1")]
REFUSAL = "overload"
LEAST = 2
MOST = 1000  # or ten times the threads: the limit finds its own value far below
WARN_EVERY = 60.0  # seconds between two lines in the log


class Shedding:
    """Counts what runs or waits, and refuses what is too much."""

    def __init__(self, settings: Settings, busy: Callable[[], int]) -> None:
        threads = settings.threads
        self._limit = AdaptiveLimit(max(threads, LEAST), LEAST, max(MOST, 10 * threads))
        self._exempt = frozenset(settings.request_limits.adaptive_exempt)
        self._later: dict[ServerExchange, None] = {}  # answered later, and not begun
        # Keys whose requests are answered later. Bounded: clients choose the paths.
        self._keys: dict[Hashable, None] = {}
        self._most_keys = settings.learned_keys
        self._busy = busy  # number of requests on threads and in the queue
        self._refused = 0
        self._warn_at = 0.0

    @classmethod
    def of(cls, settings: Settings, busy: Callable[[], int]) -> Shedding | None:
        """The one of a server with the option; None without it."""
        return cls(settings, busy) if settings.request_limits.adaptive_limit else None

    @property
    def limit(self) -> int:
        """The number of requests that may run or wait now."""
        return int(self._limit.limit)

    def running(self) -> int:
        """The number of requests that run or wait."""
        return self._busy() + len(self._later)

    def refuses(self, exchange: ServerExchange, now: float) -> bool:
        """Whether the request is one too many. Counts it, if it is refused."""
        if self._limit.allows(self.running()) or exchange.head.path in self._exempt:
            return False
        exchange.refusal = REFUSAL
        self._refused += 1
        if now >= self._warn_at:
            self._warn_at = now + WARN_EVERY
            log.warning(
                "The server is overloaded: %d requests run or wait, as many as the adaptive limit"
                " allows now. Refused with 503 since the last such line: %d.",
                self.running(),
                self._refused,
            )
            self._refused = 0
        return True

    def ended(self, exchange: ServerExchange, now: float) -> None:
        """A request that was placed has ended on its thread."""
        since = exchange.queued_at or exchange.began
        self._limit.note(exchange.key, now - since, self.running(), now)

    # --- requests that are answered later

    def opened(self, exchange: ServerExchange) -> None:
        """The request will be answered later."""
        self._later[exchange] = None
        if exchange.key not in self._keys:
            if len(self._keys) >= self._most_keys:
                self._keys.clear()
            self._keys[exchange.key] = None

    def closed(self, exchange: ServerExchange, now: float) -> None:
        """Its response is complete, or it has to be run on."""
        if exchange in self._later:
            running = self.running()
            del self._later[exchange]
            self._limit.note(exchange.key, now - exchange.began, running, now)

    def tick(self) -> None:
        """Once an interval: no longer count those whose response has begun, such as streams."""
        for exchange in list(self._later):
            if exchange.head_begun:
                del self._later[exchange]

    def before(self, gateway: Gateway) -> Gateway:
        """The gateway, asked only for requests that are not refused."""
        return Entrance(gateway, self)

    def answers_later(self, exchange: ServerExchange) -> bool:
        """Whether other requests of this key were answered later."""
        return exchange.key in self._keys


def refusal() -> tuple[str, list[tuple[str, str]], bytes]:
    """The response to a request that is one too many."""
    return BUSY, BUSY_FIELDS.copy(), BUSY_TEXT


class Entrance:
    """Refuses requests that the gateway `inner` would answer later."""

    def __init__(self, inner: Gateway, shedding: Shedding) -> None:
        self._inner = inner
        self._shedding = shedding
        self.prepare = inner.prepare
        self.body_limit = inner.body_limit
        self.wants_stream = inner.wants_stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def handle(self, exchange: Any) -> Answer:
        """The answer of the application, or 503."""
        shedding = self._shedding
        if (
            not exchange.queued_at  # it has passed the scheduler
            and shedding.answers_later(exchange)
            and shedding.refuses(exchange, exchange.began)
        ):
            return *refusal(), None
        return self._inner.handle(exchange)
