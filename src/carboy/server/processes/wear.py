"""Decides which worker is replaced because of its requests, its age, its memory or its threads.

One worker at a time: the supervisor asks only when all workers serve, so the next one is chosen
when the replacement of the last one is complete. A worker that is over the limit of memory as soon
as it has loaded the application would be replaced again and again, so it gets some time first.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping

from carboy.late import random
from carboy.server.dataclass import dataclass
from carboy.server.logs.error_log import ERROR_LOGGER
from carboy.server.machine import memory_limit, resident
from carboy.server.processes.generations import Generations, Member
from carboy.server.processes.link import WorkerLink
from carboy.server.scoreboard import Figure
from carboy.server.worker_limits import AUTO, WorkerLimits

log = logging.getLogger(ERROR_LOGGER)

LOOK = 0.5  # seconds between two looks at the workers
JITTER = 0.1  # of --max-lifetime: the largest part of it that is added
# With "auto", the largest part of the memory of the container that all workers together may use.
# The rest is for a replacement, which needs memory before the old worker ends: as much as a worker
# had when it had loaded the application, and RESERVE. Where two workers do not fit, a worker may
# still grow by half, because it would be replaced again and again.
SHARE = 0.75
GROWTH = 1.5
REST = 60.0  # seconds before a worker is replaced that was too large from the start
MIB = 1024 * 1024
RESERVE = 48 * MIB  # for the supervisor, and for what the old worker still grows


@dataclass(frozen=True, slots=True)
class Seen:
    """One worker that serves. `age` is in seconds, `memory` in bytes (None: not known).

    `loaded` is its memory when it had loaded the application (0: not known).
    """

    number: int
    age: float
    requests: int
    memory: int | None
    loaded: int = 0
    stuck: int = 0  # threads that do not end a request over its time limit


def seen(
    serving: Mapping[int, WorkerLink], members: Mapping[int, Member], with_memory: bool, now: float
) -> Iterator[Seen]:
    """The workers that serve, as a supervisor sees them."""
    for worker, link in serving.items():
        memory = resident(worker) if with_memory else None
        cells = link.row.cells
        requests, loaded = int(cells[Figure.REQUESTS]), int(cells[Figure.LOADED])
        stuck = int(cells[Figure.STUCK])
        yield Seen(worker, now - members[worker].born, requests, memory, loaded, stuck)


@dataclass(frozen=True, slots=True)
class Worn:
    """A worker that is to be replaced; `reason` is a name for metrics, `text` for the log."""

    number: int
    reason: str
    text: str


@dataclass(slots=True)
class _Limit:
    """The limits of one worker, with their jitter."""

    requests: float
    age: float
    large_from_start: bool


def _uniform(low: float, high: float) -> float:
    return random.uniform(low, high)


class Wear:
    """Which worker is replaced next. `warn` is called with a warning for the log.

    A worker with `most_stuck` threads that do not end their requests is replaced (0: never).
    """

    def __init__(
        self,
        limits: WorkerLimits,
        warn: Callable[[str], object] = lambda text: None,
        uniform: Callable[[float, float], float] = _uniform,
        memory_limit: Callable[[], int] | None = None,
        most_stuck: int = 0,
    ) -> None:
        self._limits = limits
        self._warn = warn
        self._uniform = uniform
        self._memory_limit = memory_limit or _machine_memory
        self._known: dict[int, _Limit] = {}
        self._most_stuck = most_stuck
        self._warned = False
        self.wake_at = 0.0 if limits.any() else float("inf")  # monotonic seconds

    def look(
        self, generations: Generations, serving: Mapping[int, WorkerLink], now: float
    ) -> Worn | None:
        """Have one worker replaced that has exceeded a limit, if all workers serve; returns it."""
        stuck = self._most_stuck and any(link.row.cells[Figure.STUCK] for link in serving.values())
        if now < self.wake_at and not stuck:
            return None
        self.wake_at = now + LOOK
        if not generations.settled():
            return None
        found = seen(serving, generations.members, bool(self._limits.max_memory), now)
        worn = self.due(found, generations.target)
        if worn is not None:
            log.info("Worker %d is replaced, because %s.", worn.number, worn.text)
            generations.wear(worn.number)
        return worn

    def due(self, workers: Iterable[Seen], count: int) -> Worn | None:
        """The worker to replace now, the most worn first. `count` workers are wanted."""
        seen = list(workers)
        allowed = self.memory_allowed(count, max((each.loaded for each in seen), default=0))
        numbers = {each.number for each in seen}
        self._known = {n: limit for n, limit in self._known.items() if n in numbers}
        found = [(over, worn) for each in seen for over, worn in self._over(each, allowed)]
        return max(found, key=lambda pair: pair[0])[1] if found else None

    def memory_allowed(self, count: int, loaded: float = 0) -> float:
        """Bytes that each of `count` workers may use. A new one needs `loaded`."""
        if self._limits.max_memory == AUTO:
            count, limit = max(1, count), self._memory_limit()
            beside_another = (limit - RESERVE - loaded) / count
            return min(SHARE * limit / count, max(beside_another, GROWTH * loaded))
        return self._limits.memory_bytes() or float("inf")

    def _over(self, seen: Seen, allowed: float) -> list[tuple[float, Worn]]:
        """The limits that the worker exceeds, each with its relation to the limit."""
        limit = self._known.get(seen.number)
        if limit is None:
            limit = self._known[seen.number] = self._first_look(seen, allowed)
        found: list[tuple[float, Worn]] = []
        if seen.requests >= limit.requests:
            text = f"it has handled {seen.requests} requests (--max-requests)"
            found.append((seen.requests / limit.requests, Worn(seen.number, "max_requests", text)))
        if seen.age >= limit.age:
            text = f"it has served for {seen.age:.0f} s (--max-lifetime)"
            found.append((seen.age / limit.age, Worn(seen.number, "max_lifetime", text)))
        if self._most_stuck and seen.stuck >= self._most_stuck:
            threads = "one thread does" if seen.stuck == 1 else f"{seen.stuck} threads do"
            text = f"{threads} not end requests that are over their time limit"
            found.append((seen.stuck / self._most_stuck, Worn(seen.number, "stuck_threads", text)))
        rests = limit.large_from_start and seen.age < REST
        if seen.memory is not None and seen.memory > allowed and not rests:
            text = (
                f"it uses {_mib(seen.memory)} of memory, more than {_mib(allowed)} (--max-memory)"
            )
            found.append((seen.memory / allowed, Worn(seen.number, "max_memory", text)))
        return found

    def _first_look(self, seen: Seen, allowed: float) -> _Limit:
        limits = self._limits
        more = self._uniform(0, limits.max_requests_jitter)
        large = seen.loaded > allowed
        if large and not self._warned:
            self._warned = True
            self._warn(
                f"Worker {seen.number} uses {_mib(seen.loaded)} of memory from the start, more than"
                f" {_mib(allowed)}. Use a larger --max-memory, or fewer workers. Such workers are"
                f" replaced after {REST:g} s."
            )
        return _Limit(
            limits.max_requests + int(more) if limits.max_requests else float("inf"),
            limits.max_lifetime * (1 + self._uniform(0, JITTER)) or float("inf"),
            large,
        )


def _machine_memory() -> int:
    """The limit of the container, or all memory of the machine."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(whole, memory_limit() or whole)


def _mib(size: float) -> str:
    return f"{size / MIB:.0f} MiB"
