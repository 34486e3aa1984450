"""Requests that wait for a thread, and which of them gets the next one.

Decides only: it knows no clock, no socket and no thread. Only the leader calls it, or the thread
that replaces a leader (`use_reserve`).

Requests wait in queues, in order of arrival. What the requests of each queue wait for:

    THREAD      one of `threads`
    CPU_THREAD  one of `threads`, and that few others compute: more would only take the
                interpreter from each other
    ANY_THREAD  one of `threads` or, when none of these gets free for a while, of the reserve: its
                key holds a thread for a moment only
    LEADER      the leader, which runs one between two turns: its key computes, but not for long
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Hashable, Iterator
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from carboy.server.exchange import ServerExchange

# Seconds after which another computing handler may begin beside one that runs: that one may wait
# for something by now, and one that computes for minutes must not keep shorter ones waiting.
HOLD = 0.1
# Seconds in which none of `threads` becomes free before the reserve is used. While threads become
# free, no request waits for long, and `threads` is how many the operator wants to run at once.
HELD = 0.05


class WaitsFor(Enum):
    """The resources that a request may wait for, see above."""

    THREAD = "a thread"
    CPU_THREAD = "a thread, and few others that compute"
    ANY_THREAD = "a thread, or one of the reserve"
    LEADER = "the leader"


THREAD, CPU_THREAD, ANY_THREAD, LEADER = WaitsFor


# Exchanges of one key that may have a thread of the reserve, in all and with old leaders in them.
OF_ONE_KEY, STUCK_IN_ONE_KEY = 2, 4
# The reserve counts all keys as one whose first request has not ended. So no known key, however
# many of its requests hold threads, takes away the thread that a new key needs to become known.
UNKNOWN = object()


def reserve_of(threads: int) -> int:
    """Number of threads above `threads`, for keys that are brief or not known yet."""
    return max(4, threads // 4)


def most_stuck(threads: int) -> int:
    """Number of stuck threads above which a worker has too few others."""
    return 1 if threads == 1 else reserve_of(threads)


class Queue:
    """The requests that wait, and counts of the threads that run those that have waited.

    `away` is the number of exchanges that other threads than the leader's run.
    """

    def __init__(self, threads: int, processors: int) -> None:
        self.threads = threads
        self.most = threads + reserve_of(threads)
        self._processors = max(1, processors)
        self.for_leader: deque[ServerExchange] = deque()
        self._for_thread: deque[ServerExchange] = deque()
        self.for_cpu_thread: deque[ServerExchange] = deque()
        self.for_any_thread: deque[ServerExchange] = deque()
        self.last_free = 0.0  # when a thread last became free
        self._queues = {
            THREAD: self._for_thread,
            CPU_THREAD: self.for_cpu_thread,
            ANY_THREAD: self.for_any_thread,
            LEADER: self.for_leader,
        }
        self.count = 0  # exchanges that wait
        self.relieved = 0.0  # when the crew was last asked for threads to be counted apart
        self._computing = 0  # exchanges that waited for a CPU_THREAD and have one
        self._last_began = 0.0  # when the last of them got its thread
        # Exchanges that run above `threads`, by key or UNKNOWN: at most OF_ONE_KEY of each key.
        self.in_reserve: Counter[Hashable] = Counter()

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[ServerExchange]:
        """Everything that waits, queue by queue."""
        for queue in self._queues.values():
            yield from list(queue)

    def put(self, exchange: ServerExchange, waits_for: WaitsFor) -> None:
        """Put `exchange` into its queue; its `queued_at` is set."""
        exchange.waits_for = waits_for
        self._queues[waits_for].append(exchange)
        self.count += 1

    # --- out

    def has_waiting_for_thread(self) -> bool:
        """Whether an exchange waits for a thread other than the leader's."""
        return self.count > len(self.for_leader)

    def next_for_thread(self, away: int, now: float) -> ServerExchange | None:
        """The exchange to start on another thread now, taken out of its queue."""
        if away < self.threads:
            queues = [queue for queue in (self.for_any_thread, self._for_thread) if queue]
            if self.for_cpu_thread and self._may_compute(now):
                queues.append(self.for_cpu_thread)
            if not queues:
                return None
            return self._start(min(queues, key=_first_queued_at), now)
        if away < self.most:
            # A computing handler ends by itself.
            if self.for_cpu_thread and not self._computing:
                return self._start(self.for_cpu_thread, now)
            if now < self.last_free + HELD:
                return None
            for place, exchange in enumerate(self.for_any_thread):
                if self.in_reserve[exchange.key] < OF_ONE_KEY:
                    del self.for_any_thread[place]
                    self.count -= 1
                    self.use_reserve(exchange, exchange.key)
                    return exchange
        return None

    def put_back(self, exchange: ServerExchange) -> None:
        """Put an exchange back: there is no thread for it after all."""
        self.ended(exchange)
        if exchange.waits_for is not None:
            self._queues[exchange.waits_for].appendleft(exchange)
            self.count += 1

    def next_for_leader(self) -> ServerExchange | None:
        """The exchange that the leader is to run next, taken out of its queue."""
        if not self.for_leader:
            return None
        self.count -= 1
        return self.for_leader.popleft()

    def first_of_keys(self) -> list[ServerExchange]:
        """The first request of each brief key that waits."""
        first: dict[Hashable, ServerExchange] = {}
        for exchange in self.for_any_thread:
            first.setdefault(exchange.key, exchange)
        return list(first.values())

    def move_to_leader(self, key: Hashable) -> None:
        """Have the leader run the waiting requests of `key`."""
        for queue in (self._for_thread, self.for_cpu_thread, self.for_any_thread):
            for exchange in [each for each in queue if each.key == key]:
                queue.remove(exchange)
                exchange.waits_for = LEADER
                self.for_leader.append(exchange)

    def take_out(self, exchange: ServerExchange) -> bool:
        """Remove a request that will not run; returns whether it was waiting."""
        queue = None if exchange.waits_for is None else self._queues[exchange.waits_for]
        if queue is None or exchange not in queue:
            return False
        queue.remove(exchange)
        self.count -= 1
        return True

    def older_than(self, moment: float) -> list[ServerExchange]:
        """Take out the requests that have waited since before `moment`."""
        found: list[ServerExchange] = []
        for queue in self._queues.values():
            while queue and queue[0].queued_at < moment:
                found.append(queue.popleft())
        self.count -= len(found)
        return found

    def oldest(self) -> float | None:
        """When the exchange that has waited longest began to wait; None when nothing waits."""
        return min((queue[0].queued_at for queue in self._queues.values() if queue), default=None)

    def due(self) -> float:
        """When `next_for_thread` may return an exchange although none has ended."""
        computes = self._last_began + HOLD if self.for_cpu_thread else math.inf
        return min(computes, self.last_free + HELD) if self.for_any_thread else computes

    def _may_compute(self, now: float) -> bool:
        return self._computing < self._processors or now >= self._last_began + HOLD

    def _start(self, queue: deque[ServerExchange], now: float) -> ServerExchange:
        exchange = queue.popleft()
        self.count -= 1
        if queue is self.for_cpu_thread:
            self._computing += 1
            self._last_began = now
        return exchange

    def ended(self, exchange: ServerExchange) -> None:
        """`exchange` no longer has its thread."""
        if exchange.waits_for is CPU_THREAD:
            self._computing -= 1
        if exchange.in_reserve:
            exchange.in_reserve = False
            self.in_reserve[exchange.reserve_key] -= 1
            if not self.in_reserve[exchange.reserve_key]:
                self.in_reserve.pop(exchange.reserve_key, None)

    # --- the reserve

    def use_reserve(self, exchange: ServerExchange, key: Hashable) -> None:
        """Count `exchange`, which runs above `threads`, for its key or for UNKNOWN."""
        exchange.in_reserve = True
        exchange.reserve_key = key
        self.in_reserve[key] += 1


def _first_queued_at(queue: deque[ServerExchange]) -> float:
    return queue[0].queued_at
